package reader

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// from reads the JSON records of partition 0 from an offset.
func from(topic string, offset int64) DirectRead {
	return DirectRead{TopicPartition: TopicPartition{Topic: topic, Partition: 0}, Offset: offset, Format: codec.JSON}
}

func direct(t *testing.T, m *Reader, q DirectRead) []record {
	t.Helper()
	answer, err := m.Append(t.Context(), []byte("HTTP"), q)
	ok(t, err)
	text, found := bytes.CutPrefix(answer, []byte("HTTP"))
	if !found {
		t.Fatalf("what stood in the buffer is gone: %.100s", answer)
	}
	return decode(t, text)
}

// Paging by offset, with any limit, through compressed batches of many records with control
// records between them, returns every record once.
func TestDirectPagingLosesNothing(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		const batches, each = 30, 40
		rnd := rand.New(rand.NewPCG(3, 4))
		topic := testkit.CreateTopic(t, b, 1)
		tx := testkit.Client(t, b, kgo.TransactionalID(testkit.Topic(t)), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
		var values []string
		for n := range batches {
			ok(t, tx.BeginTransaction())
			var rs []*kgo.Record
			for range each {
				text := `"` + strings.Repeat("v", rnd.IntN(300)) + `"`
				rs = append(rs, kgo.StringRecord(text))
				if n%3 != 0 {
					values = append(values, text)
				}
			}
			ok(t, tx.ProduceSync(t.Context(), rs...).FirstErr())
			ok(t, tx.EndTransaction(t.Context(), kgo.TransactionEndTry(n%3 != 0)))
		}
		m := newReader(t, b, func(s *Settings) { s.IsolationLevel = ReadCommitted })
		for _, count := range []int{0, 1, 7, 1000} {
			got := 0
			for offset := int64(0); got < len(values); {
				q := from(topic, offset)
				q.Count, q.MaxBytes = count, 1+rnd.IntN(5000)
				rs := direct(t, m, q)
				size := 0
				for _, r := range rs {
					if string(r.Value) != values[got] || r.Offset < offset {
						t.Fatalf("record %d at offset %d is %s, want %s", got, r.Offset, r.Value, values[got])
					}
					size += len(r.Value)
					offset = r.Offset + 1
					got++
				}
				if len(rs) == 0 || len(rs) > 1 && size > q.MaxBytes || count > 0 && len(rs) > count {
					t.Fatalf("%d records with %d bytes for count %d and max_bytes %d", len(rs), size, count, q.MaxBytes)
				}
			}
		}
	})
}

// Records of a direct read are counted like those of an instance.
func TestDirectIsCounted(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 10, 5)...)
	var told []string
	m := newReader(t, b, nil)
	begun := time.Now()
	m.deps.Read = func(r Returned) {
		told = append(told, fmt.Sprint(r.Format, r.Topic, r.Records, r.Bytes))
		if r.Asked.Before(begun) || r.Ready.Before(r.Asked) || r.First.IsZero() || r.Last.Before(r.First) {
			t.Errorf("the times of what was returned are %+v", r)
		}
	}
	q := from(topic, 2)
	q.NoWait = true
	wantValues(t, direct(t, m, q), []int{12, 13, 14})
	q.Offset = 5
	wantValues(t, direct(t, m, q), nil)
	if want := fmt.Sprint(codec.JSON, topic, 3, 6); len(told) != 1 || told[0] != want {
		t.Errorf("told %q, want %q once", told, want)
	}
}

// A count that takes several fetches is returned whole.
func TestDirectCountTakesSeveralFetches(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	for n := range 5 {
		produce(t, b, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, `"%d%s"`, n, strings.Repeat("x", 20_000))})
	}
	m := newReader(t, b, nil)
	q := from(topic, 0)
	q.Count = 4
	if rs := direct(t, m, q); len(rs) != 4 || rs[3].Offset != 3 {
		t.Errorf("got %d records of 4", len(rs))
	}
	q.Count = 9
	if rs := direct(t, m, q); len(rs) != 5 {
		t.Errorf("got %d records of the 5 that there are", len(rs))
	}
}

func TestDirectUndecodable(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, append(numbers(topic, 0, 0, 2), &kgo.Record{Topic: topic, Value: []byte("{no")}, numbers(topic, 0, 3, 1)[0])...)
	m := newReader(t, b, nil)
	wantValues(t, direct(t, m, from(topic, 0)), []int{0, 1})
	dst, err := m.Append(t.Context(), []byte("x"), from(topic, 2))
	wantKind(t, err, apierr.Undecodable)
	if string(dst) != "x" {
		t.Errorf("dst became %q", dst)
	}
	wantValues(t, direct(t, m, from(topic, 3)), []int{3})
}

// The leader moves during reads; none of them fails.
func TestDirectFollowsTheLeader(t *testing.T) {
	f := testkit.Fake(t, kfake.NumBrokers(3))
	topic := testkit.CreateTopic(t, f.Broker, 1)
	produce(t, f.Broker, numbers(topic, 0, 0, 10)...)
	m := newReader(t, f.Broker, nil)
	for n := range int64(10) {
		ok(t, f.MoveTopicPartition(topic, 0, int32(n%3)))
		began := time.Now()
		q := from(topic, n)
		q.Count = 1
		wantValues(t, direct(t, m, q), []int{int(n)})
		if took := time.Since(began); took > faultTimeout {
			t.Errorf("read %d took %v", n, took)
		}
	}
	// A topic that was deleted and made again has another identity.
	ok(t, f.DeleteTopic(topic))
	_, err := m.Append(t.Context(), nil, from(topic, 0))
	wantKind(t, err, apierr.TopicNotFound)
	ok(t, f.CreateTopic(topic, 2, nil))
	produce(t, f.Broker, numbers(topic, 0, 77, 1)...)
	wantValues(t, direct(t, m, from(topic, 0)), []int{77})
}

func TestDirectFaults(t *testing.T) {
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	produce(t, f.Broker, numbers(topic, 0, 0, 1)...)
	m := newReader(t, f.Broker, nil)
	fault := func(err *kerr.Error, count int) *kfake.FaultHandle {
		return f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: err, Count: count})
	}
	for _, err := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.KafkaStorageError, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID} {
		h := fault(err, 2)
		wantValues(t, direct(t, m, from(topic, 0)), []int{0})
		if h.Hits() != 2 {
			t.Errorf("%s: %d faults were met", err.Message, h.Hits())
		}
	}
	fails := func(e *kerr.Error, want *apierr.Kind) {
		t.Helper()
		defer fault(e, -1).Remove()
		q := from(topic, 0)
		q.NoWait = true
		_, err := m.Append(t.Context(), nil, q)
		wantKind(t, err, want)
	}
	fails(kerr.TopicAuthorizationFailed, apierr.Unauthorized)
	fails(kerr.CorruptMessage, apierr.KafkaRetriable) // at the end of faultTimeout
	fails(kerr.UnknownServerError, apierr.KafkaRetriable)

	ok(t, m.Close(t.Context()))
	_, err := m.Append(t.Context(), nil, from(topic, 0))
	wantKind(t, err, apierr.Interrupted)
}

// A drain does not wait for reads that wait for records.
func TestDirectEndsWithADrain(t *testing.T) {
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	m := newReader(t, b.Broker, nil)
	looks := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Count: -1, Observe: true})
	answered := make(chan string, 1)
	go func() {
		answer, err := m.Append(context.Background(), nil, from(topic, 0))
		answered <- fmt.Sprint(string(answer), err)
	}()
	testkit.Eventually(t, patience, "the read to look", func() bool { return looks.Hits() > 0 })
	m.Drain()
	select {
	case got := <-answered:
		if got != "[]<nil>" {
			t.Errorf("the read ended with %s", got)
		}
	case <-time.After(patience / 2):
		t.Error("the read waits on")
	}
}

// Every page is valid JSON and within its bounds.
func FuzzPage(f *testing.F) {
	f.Add(int64(1), 10, 3)
	f.Add(int64(2), 0, 0)
	f.Fuzz(func(t *testing.T, seed int64, limit, count int) {
		rnd := rand.New(rand.NewPCG(uint64(seed), 0))
		p := page{limit: limit, count: max(count, 1), format: codec.Binary}
		dst := []byte("[")
		for range 3 {
			var rs []*kgo.Record
			for range rnd.IntN(5) {
				rs = append(rs, &kgo.Record{Topic: "t", Value: make([]byte, rnd.IntN(20))})
			}
			var err error
			if dst, err = p.fill(dst, rs); err != nil {
				t.Fatal(err)
			}
		}
		var got []record
		if err := json.Unmarshal(append(dst, ']'), &got); err != nil || len(got) != p.n || p.n > max(count, 1) || p.n > 1 && p.bytes > limit {
			t.Fatalf("%d records, %d counted with %d bytes, limits %d and %d: %v", len(got), p.n, p.bytes, limit, count, err)
		}
	})
}
