package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// stubProxy is a v2 proxy of a few lines, that a test can make do wrong. It
// answers produce requests with the next offsets of partition 0, and writes to
// Kafka only if it has one.
type stubProxy struct {
	*httptest.Server
	t     testing.TB
	kafka *kgo.Client
	topic string

	mu      sync.Mutex
	offset  int64
	headers http.Header // of the last request

	// before is called first with each produce request; when it returns true it
	// has answered.
	before func(w http.ResponseWriter, r *http.Request) bool
	// faults changes the records of request n before they are written, and may
	// return a status to answer with.
	faults func(n int, records []stubRecord) (write []stubRecord, status int)
	n      int

	// The log is given to one consumer: all that was written, in its order, unless deliver changes
	// it.
	log     []stubDelivery
	next    int           // of log
	grown   chan struct{} // has one element after log has grown
	deliver func([]stubDelivery) []stubDelivery
	// pollStatus is what polls are answered with instead.
	pollStatus int
}

// stubDelivery is a record as a consumer is given it.
type stubDelivery struct {
	partition int
	offset    int64
	value     []byte
}

// stubRecord is a record of a request: place is which.
type stubRecord struct {
	place int
	value []byte
}

func newStub(t testing.TB, b *testkit.Broker, topic string) *stubProxy {
	s := &stubProxy{t: t, topic: topic, grown: make(chan struct{}, 1)}
	if b != nil {
		s.kafka = testkit.Client(t, *b, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *stubProxy) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.headers = r.Header.Clone()
	s.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/consumers/") {
		s.consumer(w, r)
		return
	}
	if r.URL.Path == "/topics" {
		fmt.Fprintf(w, "[%q]", s.topic)
		return
	}
	if r.Method != http.MethodPost {
		fmt.Fprint(w, "{}")
		return
	}
	if s.before != nil && s.before(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	var envelope struct {
		Records []struct{ Value json.RawMessage }
	}
	if err == nil {
		err = json.Unmarshal(body, &envelope)
	}
	if err != nil {
		s.t.Errorf("the request does not read: %v", err)
	}
	var records []stubRecord
	for i, rec := range envelope.Records {
		records = append(records, stubRecord{i, rec.Value})
	}
	// One at a time: the order of the requests is that of the topic.
	s.mu.Lock()
	defer s.mu.Unlock()
	write, status := records, http.StatusOK
	if s.faults != nil {
		write, status = s.faults(s.n, records)
	}
	s.n++
	offsets := s.write(write)
	if status != http.StatusOK {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error_code":%d,"message":"it was planted"}`, status*100+1)
		return
	}
	var slots []string
	for i := range records {
		o, ok := offsets[i]
		if !ok { // dropped, and answered for all that
			o = s.offset + 1000
		}
		slots = append(slots, fmt.Sprintf(`{"partition":0,"offset":%d,"error_code":null,"error":null}`, o))
	}
	fmt.Fprintf(w, `{"offsets":[%s],"key_schema_id":null,"value_schema_id":null}`, strings.Join(slots, ","))
}

// write produces the records in their order, and returns the offset of the
// first of each place; s.mu must be held.
func (s *stubProxy) write(records []stubRecord) map[int]int64 {
	at := map[int]int64{}
	for _, rec := range records {
		o := s.offset
		if s.kafka != nil {
			res := s.kafka.ProduceSync(context.Background(), &kgo.Record{Value: rec.value})
			if err := res.FirstErr(); err != nil {
				s.t.Errorf("the stub cannot produce: %v", err)
			}
			o = res[0].Record.Offset
		}
		if _, twice := at[rec.place]; !twice {
			at[rec.place] = o
		}
		s.offset = o + 1
		s.log = append(s.log, stubDelivery{0, o, rec.value})
	}
	select {
	case s.grown <- struct{}{}:
	default:
	}
	return at
}

// consumer answers what is asked of a consumer, of which there is one.
func (s *stubProxy) consumer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet:
		s.poll(w, r)
	case r.Method == http.MethodPost && strings.Count(r.URL.Path, "/") == 2:
		fmt.Fprint(w, `{"instance_id":"i","base_uri":"http://elsewhere"}`)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// drained reports whether the consumer was given all that was written, or as
// much of it as it is to be given.
func (s *stubProxy) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next == len(s.log)
}

// poll answers with up to 50 records, waiting a little where there is none.
func (s *stubProxy) poll(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.grown:
	case <-time.After(20 * time.Millisecond):
	case <-r.Context().Done():
	}
	if s.pollStatus != 0 {
		w.WriteHeader(s.pollStatus)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := s.log[s.next:min(s.next+50, len(s.log))]
	s.next += len(batch)
	if s.deliver != nil {
		batch = s.deliver(slices.Clone(batch))
	}
	var records []string
	for _, d := range batch {
		records = append(records, fmt.Sprintf(`{"topic":%q,"key":null,"value":%s,"partition":%d,"offset":%d}`, s.topic, d.value, d.partition, d.offset))
	}
	fmt.Fprintf(w, "[%s]", strings.Join(records, ","))
}

// scenario parses YAML that must be right.
func scenario(t testing.TB, text string) *Scenario {
	t.Helper()
	s, err := parseScenario([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s.Name = "test"
	return s
}

func mustRun(t testing.TB, s *Scenario, o Options) *Result {
	t.Helper()
	res, err := Run(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}
