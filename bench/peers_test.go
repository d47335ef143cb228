package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// runPeers runs the suites that take peers, with those in args.
func runPeers(t *testing.T, brokers []string, args ...string) (*report, string, error) {
	t.Helper()
	return quickBench(t, brokers, append([]string{"-records", "10", "-formats", "json,binary"}, args...)...)
}

// A proxy that runs already, here a second millrace, stands in the tables with
// how much more it costs; those that were measured elsewhere stand apart.
func TestPeerStandsBesideUs(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	brokers := testkit.Fake(t).Addrs
	other, err := startMillrace(t.Context(), testkit.Binary(t), "bootstrap.servers="+strings.Join(brokers, ","))
	if err != nil {
		t.Fatal(err)
	}
	defer other.stop()
	rep, tables, err := runPeers(t, brokers, "-only", "produce,metadata", "-peer", fmt.Sprintf("Other=%s/,%d", other.url, other.pid))
	if err != nil {
		t.Fatalf("%v\n%s", err, tables)
	}
	produce := place{Suite: "produce", Records: 10, Connections: 64, ValueBytes: 200, Format: "json", Compression: "none"}
	topics := place{Suite: "metadata", Connections: metadataConnections, Request: "GET /topics"}
	binary := produce
	binary.Format = "binary"
	for server, at := range map[string]place{"Other json": produce, "Other binary": binary, "Other": topics} {
		r := rep.at(server, at)
		if r == nil || r.Peer != "Other" || r.Figures.CPUPerRequest <= 0 || r.Rounds[0].Requests == 0 {
			t.Errorf("%s at %s: %+v", server, at, r)
			continue
		}
		i := slices.IndexFunc(rep.Peers, func(q peerRatio) bool { return q.Proxy == "Other" && q.place == at })
		if i < 0 || rep.Peers[i].Elsewhere || rep.Peers[i].CPU != r.Figures.CPUPerRequest ||
			rep.Peers[i].Times != r.Figures.CPUPerRequest/rep.at(r.ownServer(), at).Figures.CPUPerRequest {
			t.Errorf("%s at %s has no comparison: %+v", server, at, rep.Peers)
		}
	}
	for _, want := range []string{
		"| Other | in this run |", "its over ours",
		"| Confluent REST Proxy 8 (Java 17, 1 GB heap) | elsewhere, on another day | 680 µs |",
		"| Strimzi Kafka Bridge 1.1.0 (Java 25) | elsewhere, on another day | 1,450 µs |",
	} {
		if !strings.Contains(tables, want) {
			t.Errorf("the tables lack %q:\n%s", want, tables)
		}
	}
	if strings.Contains(tables, "| Karapace") {
		t.Error("Karapace has a figure for 10 records, which nobody measured")
	}
}

// A proxy that says that it wrote and did not has no figures.
func TestPeerIsReadBack(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", v2JSON)
		_, _ = w.Write(constantAnswer(10))
	}))
	defer liar.Close()
	rep, tables, err := runPeers(t, testkit.Fake(t).Addrs, "-only", "produce", "-peer", "Liar="+liar.URL+","+strconv.Itoa(os.Getpid()))
	if err == nil || !strings.Contains(err.Error(), "2 of 7 rows are no measurements") {
		t.Errorf("the bench says %v:\n%s", err, tables)
	}
	for _, r := range rep.Rows {
		if r.Peer == "Liar" && (!strings.Contains(r.Failure, "LOST") || r.Figures != (figures{})) {
			t.Errorf("%s with figures %+v", r, r.Figures)
		}
	}
	if slices.ContainsFunc(rep.Peers, func(q peerRatio) bool { return q.Proxy == "Liar" }) {
		t.Errorf("it is compared: %+v", rep.Peers)
	}
}

func TestPeerOption(t *testing.T) {
	p, err := readPeer("Some proxy=http://127.0.0.1:8082/base/,4711")
	if want := (peer{"Some proxy", "http://127.0.0.1:8082/base", 4711}); err != nil || p != want {
		t.Errorf("%+v, %v, want %+v", p, err, want)
	}
	for _, wrong := range []string{"", "a", "a=http://h", "a=http://h,x", "a=h,1", "http://h,1"} {
		if p, err := readPeer(wrong); err == nil {
			t.Errorf("%q is peer %+v", wrong, p)
		}
	}
}
