package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// Python's SDK of CloudEvents sends in each mode, and the records are those of the Kafka binding.
func TestPythonClientOfCloudEvents(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_CLIENTS", "the SDK of CloudEvents was not tried: it has to be downloaded; `make clients` does")
	t.Parallel()
	dir := filepath.Join("testdata", "clients", "python-cloudevents")
	python := testkit.Python(t, filepath.Join(dir, "requirements.txt"))
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, python, filepath.Join(dir, "events.py"), url+"/ingest/"+topic).CombinedOutput()
		const one, two = `{"accepted":1,"refused":0}` + "\n", `{"accepted":2,"refused":0}` + "\n"
		if err != nil || string(out) != one+one+two {
			t.Fatalf("%v: %s", err, out)
		}
		for i, r := range testkit.ReadTopic(t, b, topic, 4) {
			id, n := string(rune('1'+i)), i+1
			headers := map[string]string{}
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			var event struct {
				ID   string
				N    int
				Data struct{ N int }
			}
			if err := json.Unmarshal(r.Value, &event); err != nil {
				t.Fatalf("%s: %v", r.Value, err)
			}
			switch binary := i == 0; {
			case string(r.Key) != "key-"+id:
				t.Errorf("event %d has the key %s", n, r.Key)
			case binary && (event.N != n || headers["ce_id"] != "id-1" || headers["ce_type"] != "test.sent" || headers["ce_source"] != "/sdk" || headers["content-type"] != "application/json"):
				t.Errorf("in binary mode: %s with %v", r.Value, headers)
			case !binary && (event.Data.N != n || event.ID != "id-"+id || headers["content-type"] != "application/cloudevents+json"):
				t.Errorf("event %d: %s with %v", n, r.Value, headers)
			}
		}
	})
}
