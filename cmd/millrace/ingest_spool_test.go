package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
	"millrace/spool"
)

// outage has a fake Kafka refuse all records until it is over, or those of one broker.
func outage(b *testkit.FakeKafka, brokers ...int32) (over func()) {
	var out atomic.Bool
	out.Store(true)
	b.Cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster.KeepControl()
		if !out.Load() || len(brokers) > 0 && !slices.Contains(brokers, b.Cluster.CurrentNode()) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.NotEnoughReplicas.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	return func() { out.Store(false) }
}

// ingestEvents posts events as JSON, and returns the answer.
func ingestEvents(t *testing.T, url, body string, headers ...string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// routesFile writes a file of routes.
func routesFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Events that the disk has are in Kafka in the end, in the order of their key, though Kafka is away
// and the process is killed twice.
func TestSpoolOutlivesKills(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 3)
	over := outage(b)
	args := []string{
		"--set=ingest.routes.file=" + routesFile(t, "routes: {events: {topic: "+topic+", key: {pointer: /w}, ack: disk}}\n"),
		"--set=ingest.spool.dir=" + t.TempDir(),
	}
	const writers = 4
	var acked [writers][]int // events of each writer
	var sent [writers]int
	for range 2 {
		p, url := serve(t, b.Broker, args...)
		var working sync.WaitGroup
		var total atomic.Int64
		for w := range writers {
			working.Go(func() {
				for {
					n := sent[w]
					sent[w] += 2
					body := fmt.Sprintf("{\"w\":\"w%d\",\"n\":%d}\n{\"w\":\"w%d\",\"n\":%d}\n", w, n, w, n+1)
					resp, err := http.Post(url+"/ingest/events", "application/x-ndjson", strings.NewReader(body))
					if err != nil {
						return // it was killed
					}
					resp.Body.Close()
					if resp.StatusCode != http.StatusAccepted {
						t.Errorf("answered %s", resp.Status)
						return
					}
					acked[w] = append(acked[w], n, n+1)
					total.Add(2)
				}
			})
		}
		testkit.Eventually(t, time.Minute, "events", func() bool { return total.Load() > 100 })
		p.Signal(t, syscall.SIGKILL)
		working.Wait()
	}
	over()
	_, url := serve(t, b.Broker, args...)
	testkit.Eventually(t, time.Minute, "an empty spool", func() bool {
		_, text := call(t, "GET", url+"/metrics", "")
		return strings.Contains(text, "\nmillrace_spool_entries 0\n") && !strings.Contains(text, "\nmillrace_ingest_forwarded_events_total 0\n")
	})
	wantInOrder(t, b.Broker, topic, acked, sent)
}

// wantInOrder checks that a topic has all events that were acknowledged, in the order of their key,
// and none that was not sent. Events that come again come again in order.
func wantInOrder(t *testing.T, b testkit.Broker, topic string, acked [4][]int, sent [4]int) {
	t.Helper()
	seen := [4]map[int]int{{}, {}, {}, {}}
	doubles := 0
	last := [4]int{-1, -1, -1, -1}
	for _, r := range readAll(t, b, topic) {
		var w, n int
		if _, err := fmt.Sscanf(string(r.Value), `{"w":"w%d","n":%d}`, &w, &n); err != nil || string(r.Key) != fmt.Sprintf("w%d", w) {
			t.Fatalf("the record %q has the key %q: %v", r.Value, r.Key, err)
		}
		if seen[w][n]++; seen[w][n] > 1 {
			doubles++
		} else if n < last[w] {
			t.Errorf("event %d of writer %d comes after %d", n, w, last[w])
		}
		last[w] = n
	}
	for w := range acked {
		for _, n := range acked[w] {
			if seen[w][n] == 0 {
				t.Errorf("event %d of writer %d is lost", n, w)
			}
		}
		if len(seen[w]) > sent[w] {
			t.Errorf("writer %d sent %d events, there are %d", w, sent[w], len(seen[w]))
		}
	}
	t.Logf("of %v events %d came twice", sent, doubles)
}

// A topic that Kafka does not take is set aside: others go on, also after a kill, and it gets its
// events in their order in the end.
func TestSpoolSetsATopicAside(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.NumBrokers(2))
	stuck, other := testkit.CreateTopic(t, b.Broker, 1), testkit.CreateTopic(t, b.Broker, 1)
	for node, topic := range []string{stuck, other} {
		if err := b.Cluster.MoveTopicPartition(topic, 0, int32(node)); err != nil {
			t.Fatal(err)
		}
	}
	over := outage(b, 0)
	args := []string{
		"--set=ingest.spool.dir=" + t.TempDir(), "--set=producer.delivery.timeout.ms=1000", "--set=producer.request.timeout.ms=500",
		"--set=ingest.routes.file=" + routesFile(t, "routes:\n  stuck: {topic: "+stuck+", ack: disk}\n  other: {topic: "+other+", ack: disk}\n"),
	}
	p, url := serve(t, b.Broker, args...)
	post := func(route string, from, n int) {
		t.Helper()
		for i := range n {
			if status, text := ingestEvents(t, url+"/ingest/"+route, numbered(from+i, 1)); status != http.StatusAccepted {
				t.Fatalf("%s: %d %s", route, status, text)
			}
		}
	}
	metric := func(line string) {
		t.Helper()
		testkit.Eventually(t, time.Minute, line, func() bool {
			_, text := call(t, "GET", url+"/metrics", "")
			return strings.Contains(text, "\n"+line+"\n")
		})
	}
	post("stuck", 0, 10)
	post("other", 0, 10)
	wantNumbered(t, b.Broker, other, 10)
	metric("millrace_spool_aside_topics 1")
	post("stuck", 10, 10)
	p.Signal(t, syscall.SIGKILL)
	p, url = serve(t, b.Broker, args...)
	metric("millrace_spool_aside_topics 1")
	post("stuck", 20, 10)
	post("other", 10, 10)
	wantNumbered(t, b.Broker, other, 20)
	over()
	metric("millrace_spool_aside_topics 0")
	metric("millrace_spool_entries 0")
	p.WaitLine(t, "set aside takes events again.*"+stuck, time.Minute)
	next := 0
	for _, r := range readAll(t, b.Broker, stuck) {
		var event struct{ N int }
		if err := json.Unmarshal(r.Value, &event); err != nil || event.N > next {
			t.Fatalf("%s comes before %d: %v", r.Value, next, err)
		}
		next = max(next, event.N+1)
	}
	if next != 30 {
		t.Errorf("there are %d events, want 30", next)
	}
}

// failedRecords is the count of records that failed, where it is not 0.
var failedRecords = regexp.MustCompile(`millrace_produce_failed_records_total\{.*\} [1-9].*`)

// A route with a fallback is answered by Kafka, and during an outage by the disk.
func TestFallback(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	_, url := serve(t, b.Broker, "--set=ingest.spool.dir="+t.TempDir(), "--set=produce.timeout.ms=30000",
		"--set=producer.delivery.timeout.ms=1000", "--set=producer.request.timeout.ms=500", "--set=producer.retries=1",
		"--set=ingest.routes.file="+routesFile(t, `routes:
  safe: {topic: `+topic+`, fallback: disk}
  fast: {topic: `+topic+`, ack: memory}
  lost: {topic: no-such-topic, ack: disk}
`), "--set=topics.auto.create=false")
	post := func(route, body string, want int) {
		t.Helper()
		resp, err := http.Post(url+"/ingest/"+route, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", route, resp.Status, want)
		}
	}
	metric := func(line string) {
		t.Helper()
		testkit.Eventually(t, time.Minute, line, func() bool {
			_, text := call(t, "GET", url+"/metrics", "")
			return strings.Contains(text, "\n"+line+"\n")
		})
	}
	post("safe", "1", http.StatusOK)
	post("fast", "2", http.StatusAccepted)
	metric(`millrace_produce_records_total{format="ingest"} 2`)
	over := outage(b)
	post("safe", "3", http.StatusAccepted)
	post("safe", "4", http.StatusAccepted)
	metric("millrace_spool_entries 2")
	if _, text := call(t, "GET", url+"/metrics", ""); failedRecords.MatchString(text) {
		t.Errorf("events that the spool has are counted as failed: %s", failedRecords.FindString(text))
	}
	over()
	metric("millrace_spool_entries 0")
	post("safe", "5", http.StatusOK)
	post("lost", "[6,7]", http.StatusAccepted) // Kafka will never take it
	metric("millrace_ingest_dead_events_total 2")
	var got []string
	for _, r := range testkit.ReadTopic(t, b.Broker, topic, 5) {
		got = append(got, string(r.Value))
	}
	if want := "1 2 3 4 5"; strings.Join(got, " ") != want {
		t.Errorf("the topic has %q, want %s", got, want)
	}
}

// readAll returns the records that a topic has.
func readAll(t *testing.T, b testkit.Broker, topic string) []*kgo.Record {
	t.Helper()
	return testkit.ReadTopic(t, b, topic, countAll(t, b, topic))
}

// countAll returns how many records a topic has.
func countAll(t *testing.T, b testkit.Broker, topic string) (n int) {
	t.Helper()
	client := testkit.Client(t, b)
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += int(o.Offset) })
	return n
}

// An entry of the spool that is whole on the disk, and is no entry of this program, ends neither
// the process nor the forwarding of those behind it. It is kept in the folder dead.
func TestSpoolWithForeignEntries(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	dir := t.TempDir()
	head := append(append([]byte{2, byte(len(topic) + 1)}, topic...), 0)
	record := func(partition byte) []byte { // {"a":1} without a key and headers
		return append(append(slices.Clone(head), 0, 8), append([]byte(`{"a":1}`), partition, 0, 0)...)
	}
	whole := record(1) // for any partition
	foreign := [][]byte{
		{9},
		[]byte("no entry at all"), head[:3],
		whole[:len(whole)-2], // without a time
		append(whole[:len(whole)-1:len(whole)-1], 5, 3, 'h'), // headers are cut off
		append(slices.Clone(whole), 0, 8, '{', '"'),          // a second record is cut off
		record(3), // partition -2
		append(slices.Clone(record(1)), record(3)[len(head):]...), // the second for partition -2
		{2, 1, 0, 0, 3, '{', '}', 1, 0, 0},                        // without a topic
	}
	s, err := spool.Open(dir, spool.Settings{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range append(foreign, whole) {
		if err := s.Append(entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, url := serve(t, b.Broker, "--set=ingest.spool.dir="+dir, "--set=ingest.routes.file="+routesFile(t, "routes: {events: {topic: "+topic+", ack: disk}}\n"))
	if status, text := ingestEvents(t, url+"/ingest/events", `{"a":2}`); status != 202 {
		t.Fatalf("%d %s", status, text)
	}
	testkit.Eventually(t, 30*time.Second, "two events in Kafka", func() bool { return countAll(t, b.Broker, topic) >= 2 })
	for i, r := range readAll(t, b.Broker, topic) {
		if want := fmt.Sprintf(`{"a":%d}`, i+1); string(r.Value) != want {
			t.Errorf("event %d is %s", i, r.Value)
		}
	}
	kept := 0
	if _, err := spool.Walk(filepath.Join(dir, "dead"), func(_ time.Time, data []byte) error {
		if !slices.Equal(data, foreign[kept]) {
			t.Errorf("entry %d is kept as %q", kept, data)
		}
		kept++
		return nil
	}); err != nil || kept != len(foreign) {
		t.Errorf("%d of %d entries are kept, %v", kept, len(foreign), err)
	}
}

// Events that are more than the producer's memory takes at once are forwarded one part after the
// other. None is taken for one that Kafka refuses.
func TestSpoolOfManyEvents(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic, dir := testkit.CreateTopic(t, b, 1), t.TempDir()
	_, url := serve(t, b, "--set=ingest.spool.dir="+dir, "--set=producer.buffer.memory=2000000",
		"--set=ingest.routes.file="+routesFile(t, "routes: {events: {topic: "+topic+", ack: disk}}\n"))
	const events = 20_000
	if status, text := ingestEvents(t, url+"/ingest/events", numbered(0, events)); status != 202 {
		t.Fatalf("%d %s", status, text)
	}
	wantNumbered(t, b, topic, events)
}
