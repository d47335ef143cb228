package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"millrace/internal/testkit"
	"millrace/loadtest/check"
)

// TestLoadtestCheck checks the program itself, and what it leaves behind.
func TestLoadtestCheck(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	dir := t.TempDir()
	out, code := runLoadtest(t, "--check", "--dev", "--duration=500ms", "--clients=3", "--seed=7", "--out", dir)
	if code != 0 || !strings.Contains(out, "seed 7") || !strings.Contains(out, "no anomaly") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "check-*.history.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := check.ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[check.Kind]int{}
	for _, op := range h.Ops() {
		kinds[op.Kind]++
	}
	if h.Seed != 7 || kinds[check.Produce] < 3 || kinds[check.Read] < 3 || kinds[check.Commit] < 1 || kinds[check.Leave] != 3 {
		t.Errorf("seed %d, operations %v", h.Seed, kinds)
	}
	if _, err := os.Stat(strings.TrimSuffix(files[0], ".history.jsonl") + ".json"); err != nil {
		t.Error(err)
	}
}

// TestLoadtestCheckFails has a proxy in front of a node that acknowledges one request and
// throws it away.
func TestLoadtestCheckFails(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s, url := serve(t, b.Broker)
	defer s.Signal(t, os.Interrupt)
	var produced atomic.Int32
	swallow := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/topics/") || produced.Add(1) != 5 {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		slot := `{"partition":0,"offset":0,"error_code":null,"error":null}`
		slots := strings.Repeat(slot+",", strings.Count(string(body), `"value":`))
		fmt.Fprintf(w, `{"offsets":[%s]}`, strings.TrimSuffix(slots, ","))
		return true
	}
	same := func(body []byte) []byte { return body }
	topic := testkit.CreateTopic(t, b.Broker, 2)
	out, code := runLoadtest(t, "--check", "--url", between(t, url, swallow, same), "--brokers", b.Addrs[0], "--topics", topic,
		"--duration=500ms", "--clients=2", "--seed=4", "--out", t.TempDir())
	if code != loadtestFailed || strings.Count(out, "ANOMALY") != 1 || !strings.Contains(out, "ANOMALY lost-write: ") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestLoadtestCheckFlags(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }))
	defer proxy.Close()
	for want, args := range map[string][]string{
		"name a scenario":                         {},
		"or say --check":                          {"--check", "produce-1x64"},
		"--clients must be at least 1":            {"--check", "--clients=0"},
		"--bad must be from 0 to 1":               {"--check", "--bad=2"},
		"name it with --brokers or --config":      {"--check"},
		"cannot reach the brokers":                {"--check", "--brokers=127.0.0.1:1", "--url", proxy.URL},
		"it must be http://HOST:PORT or https://": {"--check", "--brokers=127.0.0.1:1", "--url=localhost:8082"},
	} {
		if out, code := runLoadtest(t, args...); code == 0 || code == loadtestFailed || !strings.Contains(out, want) {
			t.Errorf("%v: exit code %d, want another and %q in:\n%s", args, code, want, out)
		}
	}
}
