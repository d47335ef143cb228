package batch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
	"millrace/pool"
)

// sink is a Kafka client that keeps its records until it is told their results.
type sink struct {
	mu      sync.Mutex
	records []lent
	auto    bool // ack at once, as if Kafka had taken the record
	flushed bool
}

type lent struct {
	*kgo.Record
	promise func(*kgo.Record, error)
}

func (s *sink) Produce(_ context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.auto {
		promise(r, nil)
		return
	}
	s.records = append(s.records, lent{r, promise})
}

func (s *sink) Flush(context.Context) error { s.flushed = true; return nil }
func (s *sink) Close()                      {}

// finish runs the promises of all records that the sink holds.
func (s *sink) finish(err func(i int) error) {
	s.mu.Lock()
	records := s.records
	s.records = nil
	s.mu.Unlock()
	for i, r := range records {
		if r.Partition < 0 {
			r.Partition = 0
		}
		r.Offset = int64(100 + i)
		r.promise(r.Record, err(i))
	}
}

// take hides the records that the sink holds, until give brings them back.
func (s *sink) take() []lent {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.records
	s.records = nil
	return taken
}

func (s *sink) give(records []lent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, records...)
}

func (s *sink) holds(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records) == n
}

func noError(int) error { return nil }

// cluster has the topic "t" with three partitions.
var cluster = Cluster{
	Topic: func(_ context.Context, name string) (string, int32, error) {
		if name != "t" {
			return "", 0, apierr.TopicNotFound.Err()
		}
		return "t", 3, nil
	},
	Healthy: func() error { return nil },
	Afresh: func(_ context.Context, name string) (string, int32, error) {
		return "t", 3, nil
	},
	Contradicted: func() {},
	Recreated:    func(string) {},
}

func newTestProducer(t *testing.T, s *sink, buffer int64) *Producer {
	t.Helper()
	before := pool.Outstanding()
	p := New(s, cluster, Settings{BufferBytes: buffer, Timeout: time.Second})
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if p.Held() != 0 {
			t.Errorf("%d bytes are still admitted", p.Held())
		}
		if n := pool.Outstanding() - before; n != 0 {
			t.Errorf("%d jobs were not released", n)
		}
	})
	return p
}

// fill makes a job of the records in body.
func fill(t testing.TB, p *Producer, body string) *Job {
	t.Helper()
	j := p.Acquire()
	j.Body = append(j.Body, body...)
	if _, err := codec.DecodeProduce(j.Body, codec.JSON, &j.Slab, 10000); err != nil {
		t.Fatal(err)
	}
	return j
}

// results writes each record's result: partition@offset or the error's code.
func results(dst []byte, j *Job) []byte {
	for i := range j.Len() {
		p, o, err := j.Result(i)
		if err != nil {
			dst = fmt.Appendf(dst, "%d ", err.Kind.Code)
			continue
		}
		dst = fmt.Appendf(dst, "%d@%d ", p, o)
	}
	return dst
}

func TestProduceAnswers(t *testing.T) {
	s := &sink{}
	p := newTestProducer(t, s, 1<<20)
	f := func(body string, partition int32, lent int, err func(int) error, want string, kind *apierr.Kind) {
		t.Helper()
		done := make(chan struct{})
		var got []byte
		var failure error
		go func() {
			defer close(done)
			got, failure = p.Produce(fill(t, p, body), "t", partition, nil, results)
		}()
		if lent > 0 {
			testkit.Eventually(t, 10*time.Second, "the records", func() bool { return s.holds(lent) })
			s.finish(err)
		}
		<-done
		if kind == nil && failure != nil || kind != nil && !kind.Is(failure) {
			t.Errorf("%s: error %v, want %v", body, failure, kind)
		}
		if strings.TrimSpace(string(got)) != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	f(`{"records":[{"value":1},{"value":2}]}`, AnyPartition, 2, noError, "0@100 0@101", nil)
	f(`{"records":[{"value":1},{"value":2,"partition":1}]}`, 2, 2, noError, "2@100 1@101", nil)
	// A partition that does not exist fails its own slot only.
	f(`{"records":[{"partition":9},{"partition":1},{"partition":-5}]}`, AnyPartition, 1, noError, "40402 1@100 40402", nil)
	// When all fail for one reason the request does.
	f(`{"records":[{"partition":9},{"partition":-1}]}`, AnyPartition, 0, nil, "", apierr.PartitionNotFound)
	f(`{"records":[{"value":1}]}`, 3, 0, nil, "", apierr.PartitionNotFound)
	f(`{"records":[{"value":1},{"value":2}]}`, AnyPartition, 2, func(int) error { return kerr.NotEnoughReplicas }, "", apierr.KafkaRetriable)
	f(`{"records":[{"value":1}]}`, AnyPartition, 1, func(int) error { return kgo.ErrRecordTimeout }, "", apierr.WriteUnknown)
	// Several reasons, or one success, and each record keeps its own result.
	f(`{"records":[{"value":1},{"value":2}]}`, AnyPartition, 2, func(i int) error {
		return []error{kerr.NotEnoughReplicas, kerr.MessageTooLarge}[i]
	}, "50003 413", nil)
	f(`{"records":[{"value":1},{"value":2}]}`, AnyPartition, 2, func(i int) error {
		return []error{nil, kerr.InvalidRecord}[i]
	}, "0@100 50002", nil)
}

// An error of Kafka's that contradicts the metadata starts a new look-up, and is retriable.
func TestContradictedMetadata(t *testing.T) {
	// The error of the client for a record whose partition it does not know yet.
	unknown := errors.New("a choice of 2 from 2 available")
	f := func(err error, want int, kind *apierr.Kind) {
		t.Helper()
		s, count, c := &sink{}, 0, cluster
		c.Contradicted = func() { count++ }
		p := New(s, c, Settings{BufferBytes: 1 << 20, Timeout: time.Minute})
		failure := make(chan error)
		go func() {
			_, err := p.Produce(fill(t, p, `{"records":[{"value":1}]}`), "t", 2, nil, results)
			failure <- err
		}()
		var got error
		testkit.Eventually(t, 20*time.Second, "the request's end", func() bool {
			if s.holds(1) { // once, or again and again while the partition is not known
				record := s.records[0].Record
				s.finish(func(int) error {
					if err == unknown {
						kafka.Partitioner(1).ForTopic("t").Partition(record, 2)
					}
					return err
				})
			}
			select {
			case got = <-failure:
				return true
			default:
				return false
			}
		})
		if !kind.Is(got) || count < want || want == 0 && count > 0 {
			t.Errorf("%v: %v, looked up again %d times", err, got, count)
		}
	}
	f(kerr.UnknownTopicOrPartition, 1, apierr.TopicNotFound)
	f(unknown, 1, apierr.KafkaRetriable)
	f(kerr.NotLeaderForPartition, 1, apierr.KafkaRetriable)
	f(fmt.Errorf("out of time: %w", kerr.LeaderNotAvailable), 1, apierr.KafkaRetriable)
	f(kerr.NotEnoughReplicas, 0, apierr.KafkaRetriable)
}

func TestRecordsShareOneTimestampUnlessTheyBringTheirOwn(t *testing.T) {
	s := &sink{}
	p := newTestProducer(t, s, 1<<20)
	done := make(chan error)
	go func() {
		_, err := p.Produce(fill(t, p, `{"records":[{"value":1},{"value":2,"timestamp":5},{"value":3}]}`), "t", AnyPartition, nil, results)
		done <- err
	}()
	testkit.Eventually(t, 10*time.Second, "the records", func() bool { return s.holds(3) })
	a, b, c := s.records[0].Timestamp, s.records[1].Timestamp, s.records[2].Timestamp
	if a.IsZero() || !a.Equal(c) || b.UnixMilli() != 5 {
		t.Errorf("timestamps are %v, %v, %v", a, b, c)
	}
	s.finish(noError)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestUnknownTopicAndDeadClusterFailAtOnce(t *testing.T) {
	p := newTestProducer(t, &sink{}, 1<<20)
	if _, err := p.Produce(fill(t, p, `{"records":[{}]}`), "nope", AnyPartition, nil, results); !apierr.TopicNotFound.Is(err) {
		t.Errorf("unknown topic: %v", err)
	}
	sick := cluster
	sick.Healthy = func() error { return apierr.BrokersAway.Err() }
	q := New(&sink{}, sick, Settings{BufferBytes: 1 << 20, Timeout: time.Second})
	if _, err := q.Produce(fill(t, q, `{"records":[{}]}`), "t", AnyPartition, nil, results); !apierr.BrokersAway.Is(err) {
		t.Errorf("no brokers: %v", err)
	}
}

// While Kafka does not ack, memory is bounded: requests beyond the buffer are refused at once,
// those that time out stay charged, and all bytes are returned when the promises run at last.
func TestOutageBoundsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const buffer = 4000
		s := &sink{}
		p := newTestProducer(t, s, buffer)
		var admitted, refused int
		for range 20 {
			_, err := p.Produce(fill(t, p, `{"records":[{"value":1}]}`), "t", AnyPartition, nil, results)
			switch {
			case apierr.WriteUnknown.Is(err), apierr.NotWritten.Is(err):
				admitted++
			case apierr.Overloaded.Is(err):
				refused++
			default:
				t.Fatalf("unexpected %v", err)
			}
			if p.Held() > buffer {
				t.Fatalf("%d bytes admitted", p.Held())
			}
		}
		if admitted < 2 || refused < 2 || p.Held() == 0 {
			t.Errorf("%d admitted, %d refused, %d held", admitted, refused, p.Held())
		}
		if !s.holds(admitted) {
			t.Errorf("the client holds other records than those of %d requests", admitted)
		}
		s.finish(noError) // the abandoned jobs are released by their promises
		if p.Held() != 0 {
			t.Errorf("%d bytes held after the outage", p.Held())
		}
	})
}

func TestRequestLargerThanTheBufferIsTheClientsMistake(t *testing.T) {
	p := newTestProducer(t, &sink{}, 1000)
	_, err := p.Produce(fill(t, p, `{"records":[{"value":"`+strings.Repeat("x", 2000)+`"}]}`), "t", AnyPartition, nil, results)
	if !apierr.BodyTooLarge.Is(err) {
		t.Errorf("got %v", err)
	}
}

// The memory of headers counts too, however short they are.
func TestHeadersAreAdmitted(t *testing.T) {
	const headers = 2 * codec.MaxHeaders
	p := newTestProducer(t, &sink{}, headers*40)
	record := `{"headers":[` + strings.Repeat(`{"key":""},`, codec.MaxHeaders-1) + `{"key":""}]}`
	body := `{"records":[` + record + `,` + record + `]}`
	if len(body) > headers*40/2 {
		t.Fatal("the body alone is too large")
	}
	if _, err := p.Produce(fill(t, p, body), "t", AnyPartition, nil, results); !apierr.BodyTooLarge.Is(err) {
		t.Errorf("got %v", err)
	}
}

// A job whose response could not be written is not used again, and holds no memory.
func TestPanicWhileAnswering(t *testing.T) {
	p := newTestProducer(t, &sink{auto: true}, 1<<20)
	j := fill(t, p, `{"records":[{"value":1}]}`)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _ = p.Produce(j, "t", AnyPartition, nil, func([]byte, *Job) []byte { panic("a defect") })
	}()
	for range 10 {
		if other := p.Acquire(); other == j {
			t.Error("the job is used again")
		} else {
			other.discard() // so that the pool has to make another one
		}
	}
}

// The deadline races the last promise: the one that comes second must leave the job alone. The
// race detector and the lifetime checks judge.
func TestTimeoutRacesLastPromise(t *testing.T) {
	s := &sink{}
	p := New(s, cluster, Settings{BufferBytes: 1 << 20, Timeout: 200 * time.Microsecond})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				s.finish(noError)
				return
			default:
				s.finish(noError)
			}
		}
	})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 300 {
				got, err := p.Produce(fill(t, p, `{"records":[{"value":1},{"value":2}]}`), "t", AnyPartition, nil, results)
				if err != nil && !apierr.WriteUnknown.Is(err) && !apierr.NotWritten.Is(err) {
					t.Errorf("unexpected %v", err)
				}
				if err == nil && strings.Count(string(got), "@") != 2 {
					t.Errorf("answer %q", got)
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	wg.Wait()
	if p.Held() != 0 {
		t.Errorf("%d bytes held", p.Held())
	}
}

func TestCloseReportsWhatWasLost(t *testing.T) {
	p := New(failingFlush{}, cluster, Settings{BufferBytes: 1 << 20, Timeout: time.Second})
	if err := p.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "cannot flush") {
		t.Errorf("got %v", err)
	}
}

type failingFlush struct{}

func (failingFlush) Produce(context.Context, *kgo.Record, func(*kgo.Record, error)) {}
func (failingFlush) Flush(context.Context) error                                    { return errors.New("broker gone") }
func (failingFlush) Close()                                                         {}
