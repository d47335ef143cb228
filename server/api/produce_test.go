package api_test

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

func TestProduceExchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		testkit.RunExchanges(t, "testdata/produce.txt", s.base, map[string]string{
			"topic": testkit.CreateTopic(t, b, 3), "new": testkit.Topic(t),
		})
	})
}

// All the real records through the node, in batches of 1, 7 and 500, from 16 clients at once: every
// record is in Kafka once, equal to the sent one, in the order of its client, in the configured
// compression, and a consumer of the v2 API reads the same. See TestRealRecordsInEveryCodec.
func TestRealRecordsArriveOnceAndInOrder(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) { realRecordsArrive(t, b, kafka.Zstd) })
}

// realRecordsArrive sends all real records by one codec, and checks what is in Kafka and what a
// consumer gets.
func realRecordsArrive(t *testing.T, b testkit.Broker, codec kafka.Codec) {
	t.Helper()
	s := start(t, b, func(o *stackOptions) { o.producer.Compression = codec })
	topic := testkit.CreateTopic(t, b, 4)
	sent := produceReal(t, s, topic)
	checkRaw(t, b, topic, codec, sent)
	checkConsumer(t, s, topic, sent)
}

const realClients = 16

// produceReal sends every real record once: client c of 16 sends every 16th,
// to partition c % 4, keyed by its number and the record's. It returns the
// compact text of each record by key.
func produceReal(t *testing.T, s *stack, topic string) map[string]string {
	t.Helper()
	records := testkit.RealRecords(t)
	sent := make(map[string]string, len(records))
	var clients sync.WaitGroup
	for c := range realClients {
		var bodies []string
		var body strings.Builder
		n, batch := 0, []int{1, 7, 500}[c%3]
		flush := func() {
			if n > 0 {
				bodies = append(bodies, `{"records":[`+body.String()+`]}`)
			}
			body.Reset()
			n = 0
		}
		for i, seq := c, 0; i < len(records); i, seq = i+realClients, seq+1 {
			key := fmt.Sprintf(`"%02d-%04d"`, c, seq)
			var compact bytes.Buffer
			if err := stdjson.Compact(&compact, records[i]); err != nil {
				t.Fatal(err)
			}
			sent[key] = compact.String()
			if n > 0 {
				body.WriteByte(',')
			}
			fmt.Fprintf(&body, `{"key":%s,"value":%s}`, key, records[i])
			if n++; n == batch {
				flush()
			}
		}
		flush()
		clients.Go(func() {
			for _, b := range bodies {
				r, err := s.try("POST", fmt.Sprintf("/topics/%s/partitions/%d", topic, c%4), b, jsonV2)
				if err != nil || r.status != 200 || strings.Contains(r.body, `"error":"`) {
					t.Errorf("client %d: %d %.200s %v", c, r.status, r.body, err)
					return
				}
			}
		})
	}
	clients.Wait()
	return sent
}

// checkRaw reads the topic without the node.
func checkRaw(t *testing.T, b testkit.Broker, topic string, codec kafka.Codec, sent map[string]string) {
	t.Helper()
	seen := make(map[string]bool, len(sent))
	last := make(map[string]string) // of each client, the last key
	codecs := make(map[string]int)
	for _, r := range testkit.ReadTopic(t, b, topic, len(sent)) {
		key := string(r.Key)
		if seen[key] {
			t.Errorf("record %s is there twice", key)
		}
		seen[key] = true
		if sent[key] != string(r.Value) {
			t.Errorf("record %s is %.100q, want %.100q", key, r.Value, sent[key])
		}
		client := key[1:3]
		if key < last[client] {
			t.Errorf("record %s comes after %s", key, last[client])
		}
		last[client] = key
		codecs[testkit.RecordCodec(r)]++
	}
	// A batch that compression would make larger is sent as it is; among
	// these records a few small ones are.
	plain := codecs[string(kafka.None)]
	if codecs[string(codec)] < len(sent)*9/10 || codec != kafka.None && plain+codecs[string(codec)] != len(sent) {
		t.Errorf("asked for %s, the batches are %v", codec, codecs)
	}
}

// checkConsumer reads the topic through a v2 consumer, in pages of 64 KiB.
func checkConsumer(t *testing.T, s *stack, topic string, sent map[string]string) {
	t.Helper()
	instance := s.consumer(t, `{"format":"json","auto.offset.reset":"earliest"}`)
	s.do(t, "POST", instance+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
	seen := make(map[string]bool, len(sent))
	last := make(map[int32]int64)
	for deadline := time.Now().Add(30 * time.Second); len(seen) < len(sent); {
		if time.Now().After(deadline) {
			t.Fatalf("read %d of %d records in 30 s", len(seen), len(sent))
		}
		r := s.do(t, "GET", instance+"/records?timeout=2000&max_bytes=65536", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, "[")
		var page []struct {
			Key, Value stdjson.RawMessage
			Partition  int32
			Offset     int64
		}
		if err := stdjson.Unmarshal([]byte(r.body), &page); err != nil {
			t.Fatal(err)
		}
		for _, rec := range page {
			if before, ok := last[rec.Partition]; ok && rec.Offset != before+1 {
				t.Fatalf("partition %d goes from offset %d to %d", rec.Partition, before, rec.Offset)
			}
			last[rec.Partition] = rec.Offset
			if seen[string(rec.Key)] || sent[string(rec.Key)] != string(rec.Value) {
				t.Fatalf("record %s is wrong or doubled", rec.Key)
			}
			seen[string(rec.Key)] = true
		}
	}
	s.do(t, "DELETE", instance, "").want(t, 204, "")
}

// consumer creates a consumer instance in a new group and returns its path.
func (s *stack) consumer(t testing.TB, body string) string {
	t.Helper()
	r := s.do(t, "POST", "/consumers/"+testkit.Group(t), body, plainV2).want(t, 200, `"base_uri":"`)
	var made struct {
		BaseURI string `json:"base_uri"`
	}
	if err := stdjson.Unmarshal([]byte(r.body), &made); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(made.BaseURI, s.base)
}

// A text that JSONTestSuite accepts is stored as it is, one that it rejects gets 400; there is no
// other result.
func TestJSONTestSuiteOverHTTP(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.Topic(t)
	for _, c := range testkit.JSONTestSuite(t) {
		body := fmt.Sprintf(`{"records":[{"value":%s}]}`, c.Text)
		r := s.do(t, "POST", "/topics/"+topic, body, jsonV2)
		ok := r.status == 200 && strings.Contains(r.body, `"error":null`)
		switch {
		case r.status != 200 && r.status != 400:
			t.Errorf("%s: %d %s", c.Name, r.status, r.body)
		case c.Want == testkit.Accept && !ok:
			t.Errorf("%s: refused %q: %s", c.Name, c.Text, r.body)
		case c.Want == testkit.Refuse && ok && !completes(c.Text):
			t.Errorf("%s: accepted %q", c.Name, c.Text)
		}
	}
}

// completes reports whether a text that is no JSON value on its own becomes a
// part of a valid request between `{"records":[{"value":` and `}]}`.
func completes(text []byte) bool {
	return stdjson.Valid([]byte(fmt.Sprintf(`{"records":[{"value":%s}]}`, text)))
}

func TestHeadersAndTimestampsAreStored(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.Topic(t)
		before := time.Now().Truncate(time.Millisecond)
		s.do(t, "POST", "/topics/"+topic, `{"records":[
			{"value":1,"timestamp":1700000000123,"headers":[{"key":"a","value":"eA=="},{"key":"b","value":null},{"key":"a","value":""}]},
			{"key":null,"value":null}]}`, jsonV2).want(t, 200, `"offset":1`)
		r := testkit.ReadTopic(t, b, topic, 2)
		if got := r[0].Timestamp.UnixMilli(); got != 1700000000123 {
			t.Errorf("timestamp %d", got)
		}
		if got := fmt.Sprintf("%q", r[0].Headers); got != `[{"a" "x"} {"b" ""} {"a" ""}]` || r[0].Headers[1].Value != nil || r[0].Headers[2].Value == nil {
			t.Errorf("headers %s", got)
		}
		if r[1].Timestamp.Before(before) || r[1].Value != nil || r[1].Key != nil {
			t.Errorf("second record %+v", r[1])
		}
	})
}

func TestKeylessRecordsSpreadEvenly(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 4)
	value := strings.Repeat("x", 1000)
	for range 400 {
		s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":"`+value+`"}]}`, jsonV2).want(t, 200, "offset")
	}
	count := make(map[int32]int)
	for _, r := range testkit.ReadTopic(t, b.Broker, topic, 400) {
		count[r.Partition]++
	}
	for p := range int32(4) {
		if count[p] < 80 || count[p] > 120 {
			t.Errorf("partition %d has %d of 400 records", p, count[p])
		}
	}
}

func TestTopicCreationCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.create = false })
	began := time.Now()
	s.do(t, "POST", "/topics/"+testkit.Topic(t), `{"records":[{"value":1}]}`, jsonV2).want(t, 404, `"error_code":40401`)
	if took := time.Since(began); took > 5*time.Second { // a wait for the topic takes twice that
		t.Errorf("an unknown topic took %v", took)
	}
}

// Errors of Kafka for single records and for all of them.
func TestKafkaErrorsByRecord(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.producer.Retries = 0 })
	topic := testkit.CreateTopic(t, b.Broker, 2)
	f := func(fault kfake.Fault, body string, status int, text string) {
		t.Helper()
		h := b.Cluster.Fault(fault)
		defer h.Remove()
		s.do(t, "POST", "/topics/"+topic, body, jsonV2).want(t, status, text)
	}
	two := `{"records":[{"value":1,"partition":0},{"value":2,"partition":1}]}`
	produce := []kmsg.Key{kmsg.Produce}
	f(kfake.Fault{Keys: produce, Topic: topic, Partitions: []int32{1}, Err: kerr.InvalidRecord, Count: -1}, two, 200, `{"partition":null,"offset":null,"error_code":50002,"error":"`)
	f(kfake.Fault{Keys: produce, Topic: topic, Err: kerr.InvalidRecord, Count: -1}, two, 500, `"error_code":50002`)
	f(kfake.Fault{Keys: produce, Topic: topic, Partitions: []int32{1}, Err: kerr.TopicAuthorizationFailed, Count: -1}, two, 200, `{"partition":null,"offset":null,"error_code":40301,"error":"`)
	f(kfake.Fault{Keys: produce, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1}, two, 403, `"error_code":40301`)
	f(kfake.Fault{Keys: produce, Topic: topic, Err: kerr.MessageTooLarge, Count: -1}, `{"records":[{"value":1}]}`, 413, `"error_code":413`)
}

// A dead broker gives a fast error, which asks for a retry only if nothing was written.
func TestBrokerGone(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.batch.Timeout = 500 * time.Millisecond
		o.producer.DeliveryTimeout = 10 * time.Second
	})
	topic := testkit.Topic(t)
	testkit.Eventually(t, 20*time.Second, "a record to be written within the time", func() bool {
		return s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2).status == 200
	})
	b.Cluster.Close()
	began := time.Now()
	r := s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":2}]}`, jsonV2)
	if again := r.header.Get("Retry-After") != ""; r.status != 503 && r.status != 504 || again != (r.status == 503) {
		t.Errorf("got %d, Retry-After %v: %s", r.status, again, r.body)
	}
	if took := time.Since(began); took > 5*time.Second { // half of what it is tried for
		t.Errorf("it took %v", took)
	}
	testkit.Eventually(t, 20*time.Second, "readiness to go", func() bool { return s.do(t, "GET", "/readyz", "").status == 503 })
	testkit.Eventually(t, 20*time.Second, "produce to be refused", func() bool {
		return s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":3}]}`, jsonV2).status == 503
	})
	testkit.Eventually(t, 20*time.Second, "memory to be given back", func() bool { return s.producer.Held() == 0 }) // the abandoned request's bytes are given back
}

// A full buffer refuses at once, and takes requests again once Kafka answers.
func TestFullBufferRefusesAtOnce(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) { o.batch.BufferBytes = 200_000 })
	topic := testkit.CreateTopic(t, b.Broker, 1)
	hold := make(chan struct{})
	b.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster.SleepControl(func() { <-hold })
		return nil, nil, false
	})
	body := `{"records":[{"value":"` + strings.Repeat("x", 50_000) + `"}]}`
	refused := make(chan reply, 10)
	var waiting sync.WaitGroup
	for range cap(refused) { // of which four fill the buffer
		waiting.Go(func() {
			if r := s.do(t, "POST", "/topics/"+topic, body, jsonV2); r.status == 503 {
				refused <- r
			} else {
				r.want(t, 200, "offset")
			}
		})
	}
	select {
	case r := <-refused:
		if r.want(t, 503, `"error_code":50301`); r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing was refused")
	}
	close(hold)
	waiting.Wait()
	if n := len(refused); n == cap(refused)-1 {
		t.Errorf("%d and one were refused: nothing was taken", n)
	}
	testkit.Eventually(t, 20*time.Second, "the buffer to be empty", func() bool { return s.producer.Held() == 0 })
	s.do(t, "POST", "/topics/"+topic, body, jsonV2).want(t, 200, "offset")
}

// Records of one request that go to one partition stay together and in order
// even when many requests run at once.
func TestRequestsOfOneConnectionKeepTheirOrder(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	const requests, records = 50, 20
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := range requests {
				var body []string
				for j := range records {
					body = append(body, fmt.Sprintf(`{"value":[%d,%d]}`, c, i*records+j))
				}
				s.do(t, "POST", "/topics/"+topic, `{"records":[`+strings.Join(body, ",")+`]}`, jsonV2).want(t, 200, "offset")
			}
		})
	}
	wg.Wait()
	next := make([]int, 4)
	var got []*kgo.Record = testkit.ReadTopic(t, b.Broker, topic, 4*requests*records)
	for _, r := range got {
		var c, n int
		if _, err := fmt.Sscanf(string(r.Value), "[%d,%d]", &c, &n); err != nil {
			t.Fatal(err)
		}
		if n != next[c] {
			t.Fatalf("client %d: record %d where %d was due", c, n, next[c])
		}
		next[c]++
	}
}
