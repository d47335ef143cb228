package reader

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience bounds waits for a condition; no test waits that long when it passes.
const patience = 30 * time.Second

// newReader returns a reader on b that is closed with t.
func newReader(t *testing.T, b testkit.Broker, change func(*Settings)) *Reader {
	t.Helper()
	s := Settings{RequestTimeout: patience, MaxBytes: 64 << 20}
	if change != nil {
		change(&s)
	}
	r := New(kafka.Settings{Brokers: b.Addrs}, kafka.DefaultConsumer(), s, Deps{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Errorf("cannot close the reader: %v", err)
		}
	})
	return r
}

// produce writes the records and waits for them.
func produce(t *testing.T, b testkit.Broker, records ...*kgo.Record) {
	t.Helper()
	cl := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatalf("cannot produce: %v", err)
	}
	cl.Close()
}

// numbers are n records of one partition whose values are from, from+1, ….
func numbers(topic string, partition int32, from, n int) []*kgo.Record {
	var rs []*kgo.Record
	for v := from; v < from+n; v++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Appendf(nil, "%d", v)})
	}
	return rs
}

// record is one element of a page.
type record struct {
	Topic     string
	Key       json.RawMessage
	Value     json.RawMessage
	Partition int32
	Offset    int64
}

func decode(t *testing.T, answer []byte) []record {
	t.Helper()
	var rs []record
	if err := json.Unmarshal(answer, &rs); err != nil {
		t.Fatalf("the answer is not a list of records: %v\n%.300s", err, answer)
	}
	return rs
}

// values returns the numbers in the records, in their order.
func values(t *testing.T, rs []record) []int {
	t.Helper()
	var vs []int
	for _, r := range rs {
		var v int
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatalf("the value %s is not a number", r.Value)
		}
		vs = append(vs, v)
	}
	return vs
}

func span(from, n int) []int {
	var vs []int
	for v := from; v < from+n; v++ {
		vs = append(vs, v)
	}
	return vs
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantKind(t *testing.T, err error, k *apierr.Kind) {
	t.Helper()
	if !k.Is(err) {
		t.Fatalf("got error %v, want kind %s", err, k.Name)
	}
}

func wantValues(t *testing.T, rs []record, want []int) {
	t.Helper()
	if got := values(t, rs); !slices.Equal(got, want) {
		t.Fatalf("read %v, want %v", got, want)
	}
}
