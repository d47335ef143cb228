package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/internal/testkit"
)

// The latency of reads has no wait for records, however a reader reads; their age is that of the
// records.
func TestLatencyOfReadsIsShown(t *testing.T) {
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	_, url := serve(t, b.Broker)
	produce := func() {
		t.Helper()
		if status, answer := call(t, "POST", url+"/topics/t", `{"records":[{"value":1}]}`); status != 200 {
			t.Errorf("%d %s", status, answer)
		}
	}
	call(t, "POST", url+"/consumers/g", `{"name":"i","format":"json","auto.offset.reset":"earliest"}`)
	call(t, "POST", url+"/consumers/g/instances/i/assignments", `{"partitions":[{"topic":"t","partition":0}]}`)
	read := map[string]string{
		"an instance": "/consumers/g/instances/i/records?timeout=20000",
		"a partition": "/topics/t/partitions/0/records?timeout=20000&offset=",
	}
	var waited, counted float64
	for _, name := range []string{"an instance", "a partition"} {
		path := read[name]
		if strings.HasSuffix(path, "=") {
			path += fmt.Sprint(int(counted))
		}
		const pause = 700 * time.Millisecond
		begun := time.Now()
		written := time.AfterFunc(pause, produce)
		defer written.Stop()
		if _, body := call(t, "GET", url+path, ""); !strings.Contains(body, `"value":1`) {
			t.Fatalf("%s: %s", name, body)
		}
		waited += time.Since(begun).Seconds()
		counted++
		s := scrape(t, url)
		latency, age := s.sum(t, "millrace_consume_latency_seconds", "sum"), s.sum(t, "millrace_consume_record_age_seconds", "sum")
		if n := s.sum(t, "millrace_consume_latency_seconds"); n != counted {
			t.Errorf("%s: %v latencies are counted", name, n)
		}
		if most := waited - counted*pause.Seconds(); latency > most+.1 || age > most+.1 || latency < 0 {
			t.Errorf("%s: %v s of latency, %v s of age, of %v s of which the reader has waited for records that were not there for %v s", name, latency, age, waited, counted*pause.Seconds())
		}
	}
}
