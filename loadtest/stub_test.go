package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

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
}

// stubRecord is a record of a request: place is which.
type stubRecord struct {
	place int
	value []byte
}

func newStub(t testing.TB, b *testkit.Broker, topic string) *stubProxy {
	s := &stubProxy{t: t}
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
	}
	return at
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
