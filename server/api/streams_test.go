package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// follower reads a stream.
type follower struct {
	t      testing.TB
	resp   *http.Response
	in     *bufio.Scanner
	cancel context.CancelFunc
	id     string // of the last event
}

// event is a message of a stream.
type event struct {
	name      string // of a server-sent event; "" for a record
	text      string
	Topic     string
	Key       json.RawMessage
	Value     json.RawMessage
	Partition int32
	Offset    int64
	ErrorCode int `json:"error_code"`
	Final     bool
}

// follow opens a stream, which must begin, and ends it with t.
func (s *stack) follow(t testing.TB, path string, headers ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	req, err := http.NewRequestWithContext(ctx, "GET", s.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := client.Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, resp: resp, in: bufio.NewScanner(resp.Body), cancel: cancel}
	f.in.Buffer(nil, 64<<20)
	t.Cleanup(f.close)
	if resp.StatusCode != 200 {
		f.in.Scan()
		t.Fatalf("%s: %d %s", path, resp.StatusCode, f.in.Text())
	}
	return f
}

func (f *follower) close() {
	f.cancel()
	f.resp.Body.Close()
}

// next returns the next message; ok is false at the end of the stream.
func (f *follower) next() (e event, ok bool) {
	f.t.Helper()
	events := f.resp.Header.Get("Content-Type") == "text/event-stream"
	for f.in.Scan() {
		line := f.in.Text()
		if id, is := strings.CutPrefix(line, "id: "); is {
			f.id = id
		}
		if name, is := strings.CutPrefix(line, "event: "); is {
			e.name = name
		}
		if events {
			if line, ok = strings.CutPrefix(line, "data: "); !ok {
				continue
			}
		}
		if line == "" {
			continue
		}
		e.text = line
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			f.t.Fatalf("%q is not JSON: %v", line, err)
		}
		return e, true
	}
	if err := f.in.Err(); err != nil {
		f.t.Fatalf("the stream broke: %v", err)
	}
	return e, false
}

// want fails unless the next messages are records of these values.
func (f *follower) want(values ...any) {
	f.t.Helper()
	for n, v := range values {
		e, ok := f.next()
		if got := string(e.Value); !ok || got != fmt.Sprint(v) {
			f.t.Fatalf("record %d is %q, want the value %v", n, e.text, v)
		}
	}
}

// wantID fails unless the last event can be resumed from at these positions.
func (f *follower) wantID(topic, positions string) {
	f.t.Helper()
	parts := strings.Split(f.id, "/")
	if len(parts) != 3 || parts[0] != topic || len(parts[1]) != 6 || parts[2] != positions {
		f.t.Errorf("the id is %q, want %s/…/%s", f.id, topic, positions)
	}
}

const sse = "Accept: text/event-stream"

func (s *stack) put(t testing.TB, topic string, values ...any) {
	t.Helper()
	var records []string
	for _, v := range values {
		records = append(records, fmt.Sprintf(`{"value":%v}`, v))
	}
	s.do(t, "POST", "/topics/"+topic, `{"records":[`+strings.Join(records, ",")+`]}`, jsonV2).want(t, 200, "")
}

func TestStream(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		s.put(t, topic, 0, 1, 2)
		for _, accept := range []string{sse, "Accept: */*"} {
			all := s.follow(t, "/topics/"+topic+"/stream?from=beginning", accept)
			all.want(0, 1, 2)
			later := s.follow(t, "/topics/"+topic+"/stream", accept)
			one := s.follow(t, "/topics/"+topic+"/partitions/0/stream?from=2", accept)
			one.want(2)
			s.put(t, topic, 3)
			all.want(3)
			later.want(3)
			one.want(3)
			for n := 4; n < 50; n++ {
				s.put(t, topic, n)
				all.want(n)
				later.want(n)
			}
			topic = testkit.CreateTopic(t, b, 1)
			s.put(t, topic, 0, 1, 2)
		}
	})
}

// A stream that is resumed by the id of the last event, on another node, misses nothing and
// repeats nothing, whatever happens in the topic.
func TestStreamResumes(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		const partitions, total = 5, 600
		first := start(t, b)
		topic := testkit.CreateTopic(t, b, partitions)
		var writing sync.WaitGroup
		defer writing.Wait() // it must not outlive the test
		writing.Go(func() {
			writer := start(t, b)
			for n := range total {
				writer.put(t, topic, n)
			}
		})
		f := first.follow(t, "/topics/"+topic+"/stream?from=beginning", sse)
		seen := make([]int64, partitions) // the next offset
		got := 0
		take := func(until int) {
			for got < until {
				e, ok := f.next()
				if !ok {
					return
				}
				if e.Offset != seen[e.Partition] {
					t.Fatalf("%s comes where offset %d should", e.text, seen[e.Partition])
				}
				seen[e.Partition]++
				got++
			}
		}
		for restart := 1; restart <= 3; restart++ {
			take(restart * 100)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			next := start(t, b)
			ended := make(chan error, 1)
			go func() { ended <- first.server.Shutdown(ctx) }()
			take(total) // ends in order
			if err := <-ended; err != nil {
				t.Fatalf("the drain: %v", err)
			}
			cancel()
			first = next
			f = first.follow(t, "/topics/"+topic+"/stream?from=end", sse, "Last-Event-ID: "+f.id)
		}
		take(total)
	})
}

// A client that has seen no event yet resumes from where the stream began.
func TestStreamResumesFromItsBeginning(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	topic := "resumed"
	s.put(t, topic, 0, 1)
	f := s.follow(t, "/topics/"+topic+"/stream", sse)
	for f.id == "" {
		f.in.Scan()
		f.id, _ = strings.CutPrefix(f.in.Text(), "id: ")
		if strings.HasPrefix(f.in.Text(), "retry: ") || f.in.Text() == "" {
			f.id = ""
		}
	}
	f.close()
	s.put(t, topic, 2)
	s.follow(t, "/topics/"+topic+"/stream", sse, "Last-Event-ID: "+f.id).want(2)
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	s := start(t, b, func(o *stackOptions) { o.server.MaxStreams = 1 })
	f := func(path string, status, code int, headers ...string) {
		t.Helper()
		s.do(t, "GET", path, "", headers...).want(t, status, fmt.Sprintf(`{"error_code":%d,`, code))
	}
	at := "/topics/" + topic + "/stream"
	f("/topics/unheard-of/stream", 404, 40401)
	f("/topics/unheard-of/partitions/0/stream", 404, 40401)
	f("/topics/"+topic+"/partitions/2/stream", 404, 40402)
	f("/topics/"+topic+"/partitions/x/stream", 404, 404)
	f(at+"?partition=0,2", 404, 40402)
	f(at+"?partition=one", 400, 400)
	f(at+"?partition=0,", 400, 400)
	f(at+"?partition=-1", 400, 400)
	f(at+"?from=yesterday", 400, 400)
	f(at+"?from=7", 400, 400) // of which partition?
	f(at+"?from=end&timestamp=1", 400, 400)
	f(at+"?timestamp=then", 400, 400)
	f(at+"?headers=1", 400, 400)
	f(at+"?key_base64=*", 400, 400)
	f(at+"?on_decode_error=cry", 400, 400)
	f(at+"?format=avro", 422, 422)
	f(at+"?format=csv", 422, 422)
	f(at, 406, 406, "Accept: text/html")
	f(at, 400, 400, sse, "Last-Event-ID: ...")
	f(at, 400, 400, sse, "Last-Event-ID: "+topic+"/0.0")
	f(at, 400, 400, sse, "Last-Event-ID: other/Yk3x-T/0.0")
	f("/consumers/g/instances/i/stream", 404, 40403)
	i := createConsumer(t, s, "")
	f(i+"/stream", 409, 40903)
	s.do(t, "HEAD", at, "", sse).want(t, 200, "")
	open := s.follow(t, at)
	full := s.do(t, "GET", at, "").want(t, 503, `"error_code":50306`)
	if full.header.Get("Retry-After") == "" {
		t.Error("the refusal does not say when to come again")
	}
	open.close()
	testkit.Eventually(t, 20*time.Second, "the end of the stream whose client is gone", func() bool {
		s.put(t, topic, 1) // a client that is gone is noticed when something is sent to it
		return s.streams(t) == 0
	})
	s.follow(t, at)
}

// streams returns the number of streams in the node's metrics.
func (s *stack) streams(t testing.TB) (n int) {
	t.Helper()
	body := s.do(t, "GET", "/metrics", "").body
	_, after, ok := strings.Cut(body, "\nmillrace_http_streams ")
	if _, err := fmt.Sscan(after, &n); !ok || err != nil {
		t.Fatalf("the metrics do not say how many streams there are: %v", err)
	}
	return n
}

func TestStreamFilters(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 4)
	s := start(t, b, func(o *stackOptions) { o.rest.StreamHeartbeat = 50 * time.Millisecond })
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":0,"partition":0},{"value":1,"partition":1},{"value":2,"partition":2},{"value":3,"partition":3}]}`, jsonV2).want(t, 200, "")
	two := s.follow(t, "/topics/"+topic+"/stream?from=beginning&partition=1,3", sse)
	two.want(1, 3)
	two.wantID(topic, "1:1.3:1")
	text := s.follow(t, "/topics/"+topic+"/stream?key=a&on_decode_error=base64", sse)
	raw := s.follow(t, "/topics/"+topic+"/stream?key_base64=/w==&key_base64=AA==&format=binary")
	s.do(t, "POST", "/topics/"+topic+"/partitions/1", `{"records":[{"value":4},{"key":"a","value":5},{"key":"b","value":6}]}`, jsonV2).want(t, 200, "")
	s.do(t, "POST", "/topics/"+topic+"/partitions/2", `{"records":[{"key":"/w==","value":"MQ=="},{"key":"YQ==","value":"Nw=="},{"key":"/w==","value":"OQ=="}]}`, binaryV2).want(t, 200, "")
	two.want(4, 5, 6)
	for range 2 { // a JSON text, and the bytes themselves, which are no JSON
		if e, _ := text.next(); string(e.Value) != "5" && !strings.HasSuffix(e.text, `"value":"Nw==","partition":2,"offset":2,"format":"binary"}`) {
			t.Errorf("the stream of a key has %s", e.text)
		}
	}
	raw.want(`"MQ=="`, `"OQ=="`)
	// Filtered records are not read again after a resumption.
	for text.in.Scan() {
		if strings.HasPrefix(text.in.Text(), "id: "+topic+"/") && strings.HasSuffix(text.in.Text(), "/1.4.4.1") {
			return
		}
	}
	t.Error("the id does not move on")
}

func TestStreamFollowsNewPartitions(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		f := s.follow(t, "/topics/"+topic+"/stream", sse)
		if _, err := kadm.NewClient(testkit.Client(t, b)).UpdatePartitions(t.Context(), 3, topic); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, 20*time.Second, "the new partition", func() bool {
			r := s.do(t, "POST", "/topics/"+topic+"/partitions/2", `{"records":[{"value":7}]}`, jsonV2)
			return r.status == 200 && strings.Contains(r.body, `"offset":`)
		})
		f.want(7)
		f.wantID(topic, "0.0.1")
	})
}

// A record that cannot be decoded fails the stream, or is skipped, or is shown in base64.
func TestStreamUndecodable(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b)
	s.put(t, "mixed", 0)
	for _, value := range []string{"\xff", "[1,\r\n2]"} {
		if err := testkit.Client(t, b).ProduceSync(t.Context(), &kgo.Record{Topic: "mixed", Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	const from = "/topics/mixed/stream?from=beginning"
	for _, accept := range []string{sse, "Accept: application/x-ndjson"} {
		f := s.follow(t, from, accept)
		f.want(0)
		if e, _ := f.next(); e.ErrorCode != 40801 || !e.Final || e.Topic != "mixed" || e.Offset != 1 || (accept == sse) != (e.name == "failure") {
			t.Errorf("the failure is %+v", e)
		}
		if e, ok := f.next(); ok {
			t.Errorf("after the failure comes %+v", e)
		}
		if accept == sse {
			f.wantID("mixed", "1")
		}
	}
	s.follow(t, from+"&on_decode_error=skip").want(0, "[1,  2]")
	shown := s.follow(t, from+"&on_decode_error=base64&timestamps=true&headers=true", sse)
	shown.want(0, `"/w=="`, "[1,  2]")
	s.follow(t, from+"&format=binary").want(`"MA=="`, `"/w=="`)
}

// Records that retention has deleted before the client resumed are reported.
func TestStreamTellsOfAGap(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		s.put(t, topic, 0, 1, 2, 3)
		gone := make(kadm.Offsets)
		gone.Add(kadm.Offset{Topic: topic, At: 2})
		if _, err := kadm.NewClient(testkit.Client(t, b)).DeleteRecords(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		s.do(t, "GET", "/topics/"+topic+"/partitions/0/stream?from=1", "").want(t, 404, `"error_code":40404`)
		first := s.follow(t, "/topics/"+topic+"/partitions/0/stream?from=2", sse)
		first.want(2)
		before, ok := strings.CutSuffix(first.id, "/3")
		if !ok {
			t.Fatalf("the id is %q", first.id)
		}
		f := s.follow(t, "/topics/"+topic+"/stream", sse, "Last-Event-ID: "+before+"/1")
		if e, _ := f.next(); e.name != "failure" || e.ErrorCode != 40404 || e.Final || e.Offset != 1 {
			t.Errorf("the gap is %+v", e)
		}
		f.want(2, 3)
	})
}

// A stream survives errors of Kafka, and continues afterwards.
func TestStreamOutlastsTrouble(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	s := start(t, f.Broker, func(o *stackOptions) { o.rest.StreamHeartbeat = 100 * time.Millisecond })
	at := s.follow(t, "/topics/"+topic+"/stream", sse)
	s.put(t, topic, 0)
	at.want(0)
	for _, fault := range []kfake.Fault{
		{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Partitions: []int32{0}, Err: kerr.NotLeaderForPartition, Count: -1},
		{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Partitions: []int32{0}, Err: kerr.KafkaStorageError, Count: -1},
	} {
		fault := f.Fault(fault)
		behind := s.follow(t, "/topics/"+topic+"/stream?from=beginning")
		s.put(t, topic, 1)
		for beats := 0; beats < 10; {
			if !at.in.Scan() {
				t.Fatal("the stream ended")
			}
			if at.in.Text() == ":" {
				beats++
			}
		}
		fault.Remove()
		at.want(1)
		behind.want(0, 1)
	}
}

// The deletion of the topic ends its streams.
func TestStreamOfATopicThatGoes(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		s.put(t, topic, 0)
		f := s.follow(t, "/topics/"+topic+"/stream?from=beginning", sse)
		f.want(0)
		if _, err := kadm.NewClient(testkit.Client(t, b)).DeleteTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		if e, _ := f.next(); e.name != "failure" || e.ErrorCode != 40401 || !e.Final {
			t.Errorf("the stream ends with %+v", e)
		}
		if e, ok := f.next(); ok {
			t.Errorf("after the failure comes %+v", e)
		}
	})
}

// Offsets without records, of transactions and their markers, do not stop a stream, neither at
// the end of the log nor before.
func TestStreamOfTransactions(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b, func(o *stackOptions) { o.consumer.IsolationLevel = "read_committed" })
		topic := testkit.CreateTopic(t, b, 1)
		live := s.follow(t, "/topics/"+topic+"/stream", sse)
		cl := testkit.Client(t, b, kgo.TransactionalID(topic))
		var want []any
		for n := range 20 {
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			commit := n%3 == 0
			if err := cl.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
				t.Fatal(err)
			}
			if commit {
				want = append(want, n)
				live.want(n)
			}
		}
		s.follow(t, "/topics/"+topic+"/stream?from=beginning").want(want...)
		s.follow(t, "/topics/"+topic+"/stream", sse, "Last-Event-ID: "+live.id)
	})
}
