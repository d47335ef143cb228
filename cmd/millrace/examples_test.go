package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// readings is what the programs of examples/ print, but for the shell's.
const readings = `written: partition 0, offset 0
written: partition 0, offset 1
written: partition 0, offset 2
consumer: sensor-7 20.5
consumer: sensor-7 21.25
consumer: sensor-7 22.5
direct: sensor-7 20.5
direct: sensor-7 21.25
direct: sensor-7 22.5
`

// TestExamples runs the programs of examples/ as their README tells, each with a topic of
// its own. Their first request is refused with Retry-After, and they retry it.
func TestExamples(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, node := serve(t, b)
		runExamples(t, b, node)
	})
}

func runExamples(t *testing.T, b testkit.Broker, node string) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(readme(t)), "examples")
	same := func(string) string { return readings }
	for _, e := range []struct {
		name string
		run  []string
		want func(topic string) string
	}{
		{"shell", []string{"sh", filepath.Join(dir, "shell", "readings.sh")}, shellReadings},
		{"python", []string{"python3", filepath.Join(dir, "python", "readings.py")}, same},
		{"javascript", []string{"node", filepath.Join(dir, "javascript", "readings.mjs")}, same},
		{"go", []string{"go", "run", filepath.Join(dir, "go")}, same},
	} {
		t.Run(e.name, func(t *testing.T) {
			needs := e.run[:1]
			if e.name == "shell" {
				needs = []string{"sh", "curl"}
			}
			testkit.Needs(t, needs...)
			topic := testkit.CreateTopic(t, b, 1)
			front, refused := refuseFirst(t, node)
			cmd := exec.CommandContext(t.Context(), e.run[0], append(e.run[1:], front, topic)...)
			cmd.Dir, cmd.WaitDelay = filepath.Dir(dir), time.Second
			kill := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
			defer kill.Stop()
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, &stderr)
			}
			if want := e.want(topic); string(out) != want {
				t.Errorf("it printed\n%swant\n%s", out, want)
			}
			if !refused.Load() {
				t.Error("no request of it was refused")
			}
			gone(t, node)
		})
	}
}

// shellReadings is what the shell's program prints: the responses as they come.
func shellReadings(topic string) string {
	slot := `{"partition":0,"offset":N,"error_code":null,"error":null}`
	record := `{"topic":"` + topic + `","key":"sensor-7","value":{"celsius":V},"partition":0,"offset":N}`
	var slots, records []string
	for n, v := range []string{"20.5", "21.0", "21.5"} {
		offset := strings.NewReplacer("N", string(rune('0'+n)), "V", v)
		slots, records = append(slots, offset.Replace(slot)), append(records, offset.Replace(record))
	}
	page := "[" + strings.Join(records, ",") + "]\n"
	return `written: {"offsets":[` + strings.Join(slots, ",") + `],"key_schema_id":null,"value_schema_id":null}` + "\n" +
		"consumer: " + page + "direct: " + page
}

// refuseFirst puts a server in front of node that answers the first request with 503.
func refuseFirst(t *testing.T, node string) (front string, refused *atomic.Bool) {
	t.Helper()
	target, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	refused = new(atomic.Bool)
	proxy := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused.CompareAndSwap(false, true) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, `{"error_code":50303,"message":"No Kafka broker can be reached."}`, http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, refused
}

// gone checks that the instance of an example was deleted.
func gone(t *testing.T, node string) {
	t.Helper()
	status, text := call(t, "GET", node+"/metrics", "")
	if status != http.StatusOK || !strings.Contains(text, "\nmillrace_consumer_instances 0\n") {
		t.Errorf("after the example there are instances left, or no metrics: %d", status)
	}
}
