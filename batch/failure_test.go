package batch

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// together has several requests of one record each share a batch, and returns their errors.
func together(t *testing.T, m *model, p *Producer, values ...string) []error {
	t.Helper()
	m.mu.Lock()
	m.hold = make(chan struct{})
	m.mu.Unlock()
	all := []<-chan error{begin(t, p, "first", 0)}
	for _, v := range values {
		all = append(all, begin(t, p, v, 0))
	}
	m.mu.Lock()
	close(m.hold)
	m.hold = nil
	m.mu.Unlock()
	var errs []error
	for _, done := range all[1:] {
		errs = append(errs, <-done)
	}
	return errs
}

// quick is a producer that has a batch acked by partition 0.
func quick(t *testing.T, m *model, change ...func(*Cluster, *Settings, *kafka.Producer)) *Producer {
	t.Helper()
	p := start(t, m, append([]func(*Cluster, *Settings, *kafka.Producer){func(_ *Cluster, s *Settings, _ *kafka.Producer) {
		s.Linger, s.Timeout = 10*time.Second, 5*time.Minute
	}}, change...)...)
	if _, err := produce(t, p, `{"records":[{"value":"warm"}]}`, 0); err != nil {
		t.Fatal(err)
	}
	m.came()
	return p
}

// A bad record of one client fails alone, whether the broker names it or not, and its client is
// told its place in its own request.
func TestStrangersAreNotRefused(t *testing.T) {
	for _, unnamed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel()
			m.unnamed = unnamed
			p := quick(t, m)
			var values []string
			for i := range 40 {
				values = append(values, fmt.Sprint("v", i))
			}
			values[23] = "bad one"
			for i, err := range together(t, m, p, values...) {
				if (err != nil) != (i == 23) {
					t.Errorf("unnamed %v: the record %q got %v", unnamed, values[i], err)
				}
				if i == 23 && !unnamed && !strings.Contains(apierr.From(err).Message(), "record 0 of the request: Timestamp 1 is out of range.") {
					t.Errorf("its client is told %q", apierr.From(err).Message())
				}
			}
			if unnamed && m.requests > 3+2*6 {
				t.Errorf("%d requests were made for 40 records of which one is bad", m.requests)
			}
			if got := m.log("t", 0); len(got) != 41 {
				t.Errorf("%d records are written: %q", len(got), got)
			}
		})
	}
}

// The rest of a full batch may be larger than that was, as each record has its time relative to the
// first, which is another then. It is sent all the same.
func TestRestOfABatchThatIsLarger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100 << 10
		p := quick(t, newModel(), func(_ *Cluster, s *Settings, _ *kafka.Producer) {
			s.BatchBytes, s.BufferBytes = size, requestShare*size
		})
		const records = size / 60
		text := `{"records":[{"value":"bad"},{"value":"first","timestamp":1}` + strings.Repeat(`,{"value":"`+strings.Repeat("v", 48)+`"}`, records) + `]}`
		began := time.Now()
		got, err := produce(t, p, text, 0)
		if took := time.Since(began); err != nil || strings.Count(got, "0@") != records+1 || took > time.Second {
			t.Errorf("%d records are written after %v, want %d at once: %v", strings.Count(got, "0@"), took, records+1, err)
		}
	})
}

// While a right is missing, one batch at a time is tried. When it is given back, no batch arrives
// behind one that was refused, which the broker would take for out of order, and log as an error.
func TestRightReturnsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.Linger = 0 })
		denied := false
		m.mu.Lock()
		m.latency = func() time.Duration { return 10 * time.Millisecond }
		m.fault = func(string, int32, *kmsg.RecordBatch) int16 {
			if denied {
				return kerr.TopicAuthorizationFailed.Code
			}
			return 0
		}
		m.mu.Unlock()
		var all []<-chan error
		for i := range 300 {
			m.mu.Lock()
			denied = i >= 100 && i < 200
			m.mu.Unlock()
			all = append(all, begin(t, p, fmt.Sprint("v", i), 0))
			time.Sleep(time.Millisecond)
		}
		for i, done := range all {
			if err := <-done; err != nil && (i < 80 || i >= 200 || !apierr.Unauthorized.Is(err)) {
				t.Errorf("record %d: %v", i, err)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.disorder != 0 {
			t.Errorf("%d batches came out of order", m.disorder)
		}
	})
}

// A batch that is too large for its topic is divided, and later ones are smaller; a record that is
// too large alone fails.
func TestTooLargeForTheTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("t", 1).limit = 1000
		m.configs = map[string]string{"max.message.bytes": "1000"}
		p := quick(t, m)
		value := strings.Repeat("x", 200)
		if got, err := produce(t, p, `{"records":[`+strings.Repeat(`{"value":"`+value+`"},`, 19)+`{"value":"`+value+`"}]}`, 0); err != nil || strings.Count(got, "0@") != 20 {
			t.Errorf("%s, %v", got, err)
		}
		before := m.requests
		if _, err := produce(t, p, `{"records":[`+strings.Repeat(`{"value":"`+value+`"},`, 19)+`{"value":"`+value+`"}]}`, 0); err != nil {
			t.Error(err)
		}
		m.mu.Lock()
		for _, n := range m.sizes[len(m.sizes)-(m.requests-before):] {
			if n > 4 {
				t.Errorf("a batch of %d records was sent to a topic that takes 4", n)
			}
		}
		m.mu.Unlock()
		got, err := produce(t, p, `{"records":[{"value":1},{"value":"`+strings.Repeat("x", 1000)+`"},{"value":3}]}`, 0)
		if err != nil || strings.Count(got, "0@") != 2 || !strings.Contains(got, " 413 ") {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// The leader that a broker names is asked at once.
func TestLeaderHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m)
		m.move("t", 0, 2)
		began := time.Now()
		if _, err := produce(t, p, `{"records":[{"value":1}]}`, 0); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the new leader was asked after %v", took)
		}
	})
}

// Records for a topic that was created again go to the new one. With other partitions they are
// refused, because keys would be in others; later ones go there.
func TestTopicCreatedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m)
		m.create("t", 3)
		if got, err := produce(t, p, `{"records":[{"value":1}]}`, 0); err != nil || got != "0@0" {
			t.Errorf("%s, %v", got, err)
		}
		m.create("t", 4)
		if _, err := produce(t, p, `{"records":[{"value":1}]}`, 0); !apierr.KafkaRetriable.Is(err) {
			t.Errorf("got %v", err)
		}
		if got, err := produce(t, p, `{"records":[{"value":2}]}`, 0); err != nil || got != "0@0" {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// A topic that no broker knows any more is given up after a few seconds.
func TestTopicGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m)
		m.mu.Lock()
		delete(m.topics, "t")
		m.mu.Unlock()
		began := time.Now()
		if _, err := produce(t, p, `{"records":[{"value":1}]}`, 0); !apierr.TopicNotFound.Is(err) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took < unknownFor || took > 2*unknownFor {
			t.Errorf("it took %v", took)
		}
	})
}

// After the delivery timeout clients are told what is known, and the next records are written.
func TestDeliveryTimeout(t *testing.T) {
	for _, reached := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel()
			p := quick(t, m, func(_ *Cluster, _ *Settings, k *kafka.Producer) { k.DeliveryTimeout = 5 * time.Second })
			down := true
			m.cut = func() int {
				switch {
				case !down:
					return 0
				case reached:
					return 2
				}
				return 1
			}
			began := time.Now()
			_, err := produce(t, p, `{"records":[{"value":"late"}]}`, 0)
			if !apierr.WriteUnknown.Is(err) || !strings.Contains(err.Error(), "may") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took < 5*time.Second || took > 7*time.Second {
				t.Errorf("it took %v", took)
			}
			down = false
			if _, err := produce(t, p, `{"records":[{"value":"next"}]}`, 0); err != nil {
				t.Error(err)
			}
			want := `["\"warm\"" "\"next\""]`
			if reached {
				want = `["\"warm\"" "\"late\"" "\"next\""]`
			}
			if got := fmt.Sprintf("%q", m.log("t", 0)); got != want {
				t.Errorf("written: %s, want %s", got, want)
			}
		})
	}
}

// A broker that has lost the state of the producer, or has another, gets a new epoch.
func TestStateLost(t *testing.T) {
	for _, code := range []*kerr.Error{kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch} {
		synctest.Test(t, func(t *testing.T) {
			m, epoch, first := newModel(), int16(-1), int32(-1)
			p := quick(t, m)
			refusals := 1
			m.fault = func(_ string, _ int32, b *kmsg.RecordBatch) int16 {
				epoch, first = b.ProducerEpoch, b.FirstSequence
				if refusals > 0 {
					refusals--
					return code.Code
				}
				return 0
			}
			if _, err := produce(t, p, `{"records":[{"value":1}]}`, 0); err != nil || epoch != 1 || first != 0 {
				t.Errorf("%v: %v, epoch %d, sequence %d", code, err, epoch, first)
			}
		})
	}
}

// Retries are bounded by producer.retries, and what a broker refuses for good is not retried.
func TestRetries(t *testing.T) {
	f := func(code *kerr.Error, retries, want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			m := newModel()
			p := quick(t, m, func(_ *Cluster, _ *Settings, k *kafka.Producer) { k.Retries = retries })
			m.fault = func(string, int32, *kmsg.RecordBatch) int16 { return code.Code }
			m.requests = 0
			if _, err := produce(t, p, `{"records":[{"value":1}]}`, 0); err == nil || m.requests != want {
				t.Errorf("%v: %v after %d requests, want %d", code, err, m.requests, want)
			}
		})
	}
	f(kerr.NotEnoughReplicas, 0, 1)
	f(kerr.NotEnoughReplicas, 3, 4)
	f(kerr.RequestTimedOut, 2, 3)
	f(kerr.TopicAuthorizationFailed, 9, 1)
	f(kerr.PolicyViolation, 9, 1)
	f(kerr.UnknownServerError, 9, 1)
}

// A broker that has lost its state of the producer takes the second of two batches, and refuses the
// first. Of what the first is divided into, and what came since, none has the sequence of the
// second, as which the broker would ack it.
func TestStateLostBeforeARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.Linger = 0 })
		id := m.topics["t"].id
		m.create("t", 3).id = id // forgets the producer
		m.mu.Lock()
		m.latency = func() time.Duration { return 20 * time.Millisecond }
		m.fault = func(_ string, _ int32, b *kmsg.RecordBatch) int16 {
			if b.NumRecords == 2 {
				return kerr.MessageTooLarge.Code
			}
			return 0
		}
		m.mu.Unlock()
		first := make(chan error, 1)
		go func() {
			_, err := produce(t, p, `{"records":[{"value":"1"},{"value":"2"}]}`, 0)
			first <- err
		}()
		time.Sleep(5 * time.Millisecond)
		second := begin(t, p, "3", 0)
		time.Sleep(17 * time.Millisecond) // the first is refused by then
		for _, done := range []<-chan error{begin(t, p, "4", 0), second, first} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if got := fmt.Sprintf("%q", m.log("t", 0)); got != `["\"3\"" "\"1\"" "\"2\"" "\"4\""]` {
			t.Errorf("written: %s", got)
		}
	})
}

// Where a record is not sent again, its failure still has the new leader found, for the next one.
func TestLeaderMovesWithoutRetries(t *testing.T) {
	for _, version := range []int16{7, maxProduce} { // brokers name the new leader, or do not
		synctest.Test(t, func(t *testing.T) {
			m := newModel()
			m.version = version
			p := quick(t, m, func(_ *Cluster, _ *Settings, k *kafka.Producer) { k.Retries = 0 })
			m.move("t", 0, 2)
			if _, err := produce(t, p, `{"records":[{"value":1}]}`, 0); err == nil {
				t.Fatal("a broker that does not lead has taken a record")
			}
			time.Sleep(time.Second)
			if _, err := produce(t, p, `{"records":[{"value":2}]}`, 0); err != nil {
				t.Errorf("version %d: %v", version, err)
			}
		})
	}
}

func TestSequencesWrap(t *testing.T) {
	for _, c := range []struct{ sequence, records, want int32 }{
		{0, 5, 5}, {math.MaxInt32 - 5, 5, math.MaxInt32}, {math.MaxInt32 - 4, 5, 0}, {math.MaxInt32, 1, 0}, {math.MaxInt32, 3, 2},
	} {
		if got := addSequence(c.sequence, c.records); got != c.want {
			t.Errorf("%d records behind sequence %d is %d, want %d", c.records, c.sequence, got, c.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m)
		_, all := p.router.topic("t", 3)
		all[0].mu.Lock()
		all[0].producer.epoch, all[0].sequence, all[0].fresh = math.MaxInt16, math.MaxInt32-1, true
		all[0].mu.Unlock()
		id := m.topics["t"].id
		m.create("t", 3).id = id // forgets the producer
		for i := range 3 {
			if got, err := produce(t, p, `{"records":[{"value":1},{"value":2}]}`, 0); err != nil || got != fmt.Sprintf("0@%d 0@%d", 2*i, 2*i+1) {
				t.Errorf("%s, %v", got, err)
			}
		}
		all[0].mu.Lock()
		former := all[0].producer.id
		all[0].bump() // there is no higher epoch: another id is needed
		all[0].mu.Unlock()
		m.mu.Lock()
		m.fault = func(_ string, _ int32, b *kmsg.RecordBatch) int16 {
			if b.ProducerID <= former || b.ProducerEpoch != 0 || b.FirstSequence != 0 {
				t.Errorf("id %d, epoch %d, sequence %d, after id %d", b.ProducerID, b.ProducerEpoch, b.FirstSequence, former)
			}
			return 0
		}
		m.mu.Unlock()
		for _, partition := range []int32{0, 1} { // one that had the former id, and one that has none yet
			if _, err := produce(t, p, `{"records":[{"value":1}]}`, partition); err != nil {
				t.Error(err)
			}
		}
	})
}

// Without idempotence, and without acks, batches have no sequence.
func TestOtherAcks(t *testing.T) {
	for _, acks := range []int{0, 1, -1} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel()
			p := start(t, m, func(_ *Cluster, _ *Settings, k *kafka.Producer) { k.Acks, k.Idempotent = acks, false })
			m.fault = func(_ string, _ int32, b *kmsg.RecordBatch) int16 {
				if b.ProducerID != -1 || b.FirstSequence != -1 {
					t.Errorf("acks %d: id %d, sequence %d", acks, b.ProducerID, b.FirstSequence)
				}
				return 0
			}
			if got, err := produce(t, p, `{"records":[{"value":1},{"value":2}]}`, 0); err != nil || got != "0@0 0@1" {
				t.Errorf("acks %d: %s, %v", acks, got, err)
			}
		})
	}
}

// Each version of the request that Kafka has had since record batches says the same.
func TestVersions(t *testing.T) {
	for version := int16(3); version <= maxProduce; version++ {
		synctest.Test(t, func(t *testing.T) {
			m := newModel()
			m.version = version
			p := start(t, m)
			for i := range 2 {
				got, err := produce(t, p, `{"records":[{"value":1,"partition":0},{"value":"bad","partition":0},{"value":2,"partition":1},{"value":3,"partition":2}]}`, AnyPartition)
				if want := fmt.Sprintf("0@%d 40002 1@%d 2@%d", i, i, i); err != nil || got != want {
					t.Errorf("version %d: %s, %v, want %s", version, got, err, want)
				}
			}
		})
	}
}

// Truncated responses are refused, whatever their version, and read without a panic.
func TestResponsesThatBreakOff(t *testing.T) {
	for version := int16(3); version <= maxProduce; version++ {
		out := kmsg.NewPtrProduceResponse()
		out.Version = version
		of, p := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
		of.Topic = "t"
		p.CurrentLeader.LeaderID = 7
		p.ErrorRecords = []kmsg.ProduceResponseTopicPartitionErrorRecord{{RelativeOffset: 3, ErrorMessage: kmsg.StringPtr("x")}}
		of.Partitions = append(of.Partitions, p, p)
		out.Topics = append(out.Topics, of)
		whole := out.AppendTo(nil)
		r := &produceResponse{version: version}
		for n := range whole {
			if err := r.ReadFrom(whole[:n]); err == nil {
				t.Errorf("version %d: %d of %d bytes are taken for a response", version, n, len(whole))
			}
		}
		if err := r.ReadFrom(whole); err != nil || len(r.results) != 2 {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// Every code of Kafka has a meaning, and none that is of the topic or the caller divides a batch.
func TestMeanings(t *testing.T) {
	for code := int16(-1); code < 200; code++ {
		err := kerr.ErrorForCode(code)
		if err == nil {
			continue
		}
		m := judge(&result{code: code, leader: -1}).meaning
		blames := errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.InvalidTimestamp) || errors.Is(err, kerr.CorruptMessage)
		if (m == unnamed) != blames {
			t.Errorf("%v means %d", err, m)
		}
		if m == written && !errors.Is(err, kerr.DuplicateSequenceNumber) {
			t.Errorf("%v counts as written", err)
		}
	}
}
