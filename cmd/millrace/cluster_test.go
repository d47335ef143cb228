package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// A service of three: one node is asked to go, another is killed, and the
// client of a consumer instance only ever talks to whoever is left.
func TestInstanceSurvivesItsNodes(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 2)
		var nodes []*testkit.Process
		var urls []string
		for n := range 3 {
			p, url := serve(t, b, fmt.Sprintf("--set=id=%s-%d", topic, n), "--set=cluster.enable=true", "--set=cluster.secret=sixteen letters.",
				"--set=cluster.topic=_"+topic, "--set=cluster.heartbeat.interval.ms=1000", "--set=cluster.lease.ms=5000")
			nodes, urls = append(nodes, p), append(urls, url)
		}
		group := "/consumers/" + testkit.Group(t)
		wantStatus(t, 200, "POST", urls[0]+group, `{"name":"i","format":"json","auto.offset.reset":"earliest"}`)
		i := group + "/instances/i"
		wantStatus(t, 204, "POST", urls[1]+i+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic))
		got := map[string]int{}
		read := func(from, want int) {
			t.Helper()
			testkit.Eventually(t, 40*time.Second, fmt.Sprintf("%d records", want), func() bool {
				for _, url := range urls[from:] {
					status, body := call(t, "GET", url+i+"/records?timeout=500", "")
					if status == 503 {
						continue
					}
					var records []struct{ Value json.RawMessage }
					if err := json.Unmarshal([]byte(body), &records); status != 200 || err != nil {
						t.Fatalf("a read was answered %d %s (%v)", status, body, err)
					}
					for _, r := range records {
						got[string(r.Value)]++
					}
				}
				return len(got) >= want
			})
		}
		writeNumbers(t, b, topic, 0, 100)
		read(0, 100)
		nodes[0].Signal(t, syscall.SIGTERM)
		writeNumbers(t, b, topic, 100, 100)
		read(1, 200)
		if code := nodes[0].WaitExit(t, 20*time.Second); code != 0 {
			t.Errorf("the node that was asked to go exited with %d", code)
		}
		nodes[1].Signal(t, syscall.SIGKILL)
		writeNumbers(t, b, topic, 200, 100)
		read(2, 300)
		if !strings.Contains(nodes[2].Output(), "consumer instance adopted") {
			t.Error("the last node has adopted nothing")
		}
		wantStatus(t, 204, "DELETE", urls[2]+i, "")
		repeated := -300
		for _, times := range got {
			repeated += times
		}
		t.Logf("%d records came more than once", repeated)
	})
}

func wantStatus(t *testing.T, want int, method, url, body string) {
	t.Helper()
	if status, answer := call(t, method, url, body); status != want {
		t.Fatalf("%s %s: %d %s, want %d", method, url, status, answer, want)
	}
}

// writeNumbers writes n values from a number on to the partitions 0 and 1.
func writeNumbers(t *testing.T, b testkit.Broker, topic string, from, n int) {
	t.Helper()
	cl := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	var rs []*kgo.Record
	for v := from; v < from+n; v++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: int32(v % 2), Value: fmt.Appendf(nil, "%d", v)})
	}
	if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
