package batch

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/kafka"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Brokers before Kafka 2.8 have no ids of topics. A topic that was created again there is known by
// its epochs, which begin anew, and is written to at its new leader.
func TestTopicCreatedAgainWithoutID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.version = 7
		m.create("t", 3).id = [16]byte{}
		m.topics["t"].epochs[0] = 9
		p := start(t, m)
		if got, err := produce(t, p, `{"records":[{"value":1}]}`, 0); got != "0@0" || err != nil {
			t.Fatal(got, err)
		}
		again := m.create("t", 3)
		again.id, again.leaders[0] = [16]byte{}, 2
		if got, err := produce(t, p, `{"records":[{"value":2}]}`, 0); got != "0@0" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A partition that loses its leader while it waits for others to share a request takes more records
// than a batch has room for, and is sent to its next leader.
func TestLeaderIsLostWhileABatchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m)
		hold := make(chan struct{})
		m.mu.Lock()
		m.hold = hold
		m.mu.Unlock()
		all := []<-chan error{begin(t, p, "busy", 1), begin(t, p, "waits", 0)}
		m.move("t", 0, -1)
		of, _ := p.router.topic("t", 3)
		of.leave()
		p.router.lookUp(of)
		time.Sleep(time.Second)
		for _, letter := range []string{"a", "b", "c"} {
			all = append(all, begin(t, p, strings.Repeat(letter, 40<<10), 0))
		}
		m.move("t", 0, 2)
		m.mu.Lock()
		m.hold = nil
		m.mu.Unlock()
		time.Sleep(time.Second)
		if got := len(m.log("t", 0)); got != 5 {
			t.Errorf("%d records are written while the former leader is busy, want 5", got)
		}
		close(hold)
		for _, done := range all {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// A look-up at which a broker fails is made again, and nothing is refused for it.
func TestBrokerFailsAtLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.lookUps = []int16{kerr.UnknownServerError.Code, kerr.UnknownServerError.Code}
		p := start(t, m)
		if got, err := produce(t, p, `{"records":[{"value":1}]}`, 0); got != "0@0" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A broker that has lost its state of the producer never tells whether a batch was written. It
// does not hold up the partition: the outcome of that batch is unknown, and others go on.
func TestOutcomeThatNoBrokerTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.latency = func() time.Duration { return 20 * time.Millisecond }
		attempts := map[int32]int{}
		m.fault = func(_ string, _ int32, b *kmsg.RecordBatch) int16 {
			if b.ProducerEpoch > 0 {
				return 0
			}
			attempts[b.FirstSequence]++
			switch {
			case b.FirstSequence == 1:
				return kerr.UnknownServerError.Code
			case b.FirstSequence == 2 && attempts[2] == 1:
				return kerr.RequestTimedOut.Code
			case b.FirstSequence == 2:
				return kerr.UnknownProducerID.Code
			}
			return 0
		}
		p := start(t, m)
		if got, err := produce(t, p, `{"records":[{"value":0}]}`, 0); got != "0@0" || err != nil {
			t.Fatal(got, err)
		}
		var both sync.WaitGroup
		for _, body := range []string{`{"records":[{"value":1}]}`, `{"records":[{"value":2}]}`} {
			both.Go(func() {
				if got, err := produce(t, p, body, 0); err == nil {
					t.Errorf("%s: %s", body, got)
				}
			})
			time.Sleep(5 * time.Millisecond)
		}
		both.Wait()
		if got, err := produce(t, p, `{"records":[{"value":3}]}`, 0); got != "0@1" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if attempts[2] > 3 {
			t.Errorf("a batch was sent %d times", attempts[2])
		}
	})
}

// A topic that brokers did not know for a while, and that is still there, is written to under
// another epoch: batches of the same one that begin with sequence 0 again would be acked as those
// that the topic has, and stored nowhere.
func TestTopicUnknownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.version = 7 // the former leader does not name the next
		p := start(t, m)
		if got, err := produce(t, p, `{"records":[{"value":1}]}`, 0); got != "0@0" || err != nil {
			t.Fatal(got, err)
		}
		m.move("t", 0, 2)
		m.lookUps = slices.Repeat([]int16{kerr.UnknownTopicOrPartition.Code}, 1000)
		if _, err := produce(t, p, `{"records":[{"value":2}]}`, 0); !apierr.TopicNotFound.Is(err) {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.lookUps = nil
		m.mu.Unlock()
		if got, err := produce(t, p, `{"records":[{"value":3}]}`, 0); got != "0@1" || err != nil {
			t.Errorf("%q, %v; the log is %v", got, err, m.log("t", 0))
		}
	})
}

// So it is where the partition had used the last epoch that there is: it needs another id.
func TestTopicUnknownForAWhileAfterTheLastEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m)
		former, all := p.router.topic("t", 3)
		all[0].mu.Lock()
		all[0].producer.epoch, all[0].sequence, all[0].fresh = math.MaxInt16, 0, true
		all[0].mu.Unlock()
		if got, err := produce(t, p, `{"records":[{"value":1}]}`, 0); got != "0@1" || err != nil {
			t.Fatal(got, err)
		}
		former.leave()
		former.end(kerr.UnknownTopicOrPartition)
		began := time.Now()
		if got, err := produce(t, p, `{"records":[{"value":2}]}`, 0); got != "0@2" || err != nil || time.Since(began) > time.Second {
			t.Errorf("%q, %v after %v; the log is %v", got, err, time.Since(began), m.log("t", 0))
		}
	})
}

// A refused batch that waits for the outcome of one behind it is answered when the topic is
// deleted meanwhile, and so is the other.
func TestTopicDeletedWhileAnOutcomeIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.version = 7
		m.latency = func() time.Duration { return 20 * time.Millisecond }
		told := false
		m.fault = func(_ string, _ int32, b *kmsg.RecordBatch) int16 {
			switch {
			case b.FirstSequence == 1:
				m.lookUps = slices.Repeat([]int16{kerr.UnknownTopicOrPartition.Code}, 1000)
				return kerr.UnknownServerError.Code
			case b.FirstSequence == 2 && !told:
				told = true
				return kerr.RequestTimedOut.Code
			case b.FirstSequence == 2:
				return kerr.NotLeaderForPartition.Code
			}
			return 0
		}
		p := start(t, m)
		if got, err := produce(t, p, `{"records":[{"value":0}]}`, 0); got != "0@0" || err != nil {
			t.Fatal(got, err)
		}
		began := time.Now()
		var both sync.WaitGroup
		for _, body := range []string{`{"records":[{"value":1}]}`, `{"records":[{"value":2}]}`} {
			both.Go(func() {
				if got, err := produce(t, p, body, 0); err == nil {
					t.Errorf("%s: %s", body, got)
				}
			})
			time.Sleep(5 * time.Millisecond)
		}
		both.Wait()
		if took := time.Since(began); took > unknownFor+2*time.Second {
			t.Errorf("the requests were answered after %v", took)
		}
	})
}

// A refused batch that waits for the outcome of one behind it is held no longer than others are,
// though the partition has no leader by then that could tell: nor is anything behind the two.
func TestDeliveryTimeoutWhileAnOutcomeIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m, func(_ *Cluster, s *Settings, k *kafka.Producer) {
			s.Linger, k.DeliveryTimeout = 0, 5*time.Second
		})
		attempts := map[int32]int{}
		m.mu.Lock()
		m.latency = func() time.Duration { return 20 * time.Millisecond }
		m.fault = func(_ string, _ int32, b *kmsg.RecordBatch) int16 {
			attempts[b.FirstSequence]++
			switch {
			case b.FirstSequence == 1:
				return kerr.UnknownServerError.Code
			case attempts[2] == 1:
				return kerr.RequestTimedOut.Code
			}
			m.topics["t"].leaders[0] = -1
			return kerr.NotLeaderForPartition.Code
		}
		m.mu.Unlock()
		began := time.Now()
		var all []<-chan error
		for _, value := range []string{"refused", "unknown", "behind"} {
			all = append(all, begin(t, p, value, 0))
			time.Sleep(5 * time.Millisecond)
			if value == "unknown" {
				time.Sleep(time.Second)
			}
		}
		for i, done := range all {
			if err := <-done; err == nil {
				t.Errorf("record %d is written", i)
			}
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("record %d was answered after %v", i, took)
			}
		}
		if attempts[2] != 2 {
			t.Errorf("a batch was sent %d times, want 2", attempts[2])
		}
		if n := p.Buffered(); n != 0 {
			t.Errorf("%d records are held", n)
		}
	})
}

// Batches that a deleted topic leaves to the one created since go behind a batch that this one may
// have: a broker forgets it after five others, and it would be written twice.
func TestBequestWhileAnOutcomeIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := quick(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.Linger = 0 })
		time.Sleep(idleFor + time.Second) // then one batch at a time is sent
		old, parts := p.router.topic("t", 3)
		old.leave()
		hold := make(chan struct{})
		m.mu.Lock()
		m.hold = hold
		m.mu.Unlock()
		m.create("t", 3)
		all, want := []<-chan error{begin(t, p, "0", 0)}, []string{`"new"`, `"0"`} // its refusal comes late
		for i := range maxInFlight + 1 {
			value := fmt.Sprint(i + 1)
			all, want = append(all, begin(t, p, value, 0)), append(want, strconv.Quote(value))
			parts[0].mu.Lock()
			parts[0].taking().sealed = true
			parts[0].mu.Unlock()
		}
		lost := true
		m.mu.Lock()
		m.hold = nil
		m.fault = func(string, int32, *kmsg.RecordBatch) int16 {
			if lost {
				return kerr.NotEnoughReplicasAfterAppend.Code
			}
			return 0
		}
		m.mu.Unlock()
		p.router.lookUp(old)
		time.Sleep(time.Second)
		all = append(all, begin(t, p, "new", 0))
		time.Sleep(time.Second)
		m.mu.Lock()
		lost = false
		m.mu.Unlock()
		close(hold)
		for _, done := range all {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if got := m.log("t", 0); !slices.Equal(got, want) {
			t.Errorf("written: %q, want %q", got, want)
		}
	})
}

// Brokers that take topics by name would write what a deleted topic sends to the one created since,
// and take its heir's first batch of the same epoch for one that they have. So nothing of it is
// sent once the heir is told which epochs it had.
func TestNothingIsSentWhileAnHeirIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.version = 7
		p := quick(t, m)
		old, parts := p.router.topic("t", 3)
		old.leave()
		m.create("t", 3)
		old.ending.Store(true) // the first step of what follows
		done := begin(t, p, "1", 2)
		time.Sleep(time.Second)
		if id := parts[2].producer.id; id >= 0 || len(m.log("t", 2)) > 0 {
			t.Errorf("the deleted topic has an epoch of the producer id %d, and wrote %q", id, m.log("t", 2))
		}
		old.succeeded(3)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got, err := produce(t, p, `{"records":[{"value":2}]}`, 2); got != "2@1" || err != nil {
			t.Errorf("%s, %v; the log is %q", got, err, m.log("t", 2))
		}
	})
}

// Records for a topic that was created again with more partitions are refused, also where the first
// to hear of them was a request: their keys would be in other partitions.
func TestTopicCreatedAgainWithMorePartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		partitions := int32(3)
		p := quick(t, m, func(c *Cluster, s *Settings, _ *kafka.Producer) {
			s.Linger = 0
			c.Topic = func(context.Context, string) (string, int32, error) { return "t", partitions, nil }
		})
		hold := make(chan struct{})
		m.mu.Lock()
		m.hold = hold
		m.mu.Unlock()
		m.create("t", 4)
		old := begin(t, p, "of three", 0) // its refusal comes late
		m.mu.Lock()
		m.hold = nil
		m.mu.Unlock()
		partitions = 4
		if _, err := produce(t, p, `{"records":[{"value":"of four"}]}`, 3); !apierr.KafkaRetriable.Is(err) {
			t.Errorf("the request that grew the former topic: %v", err)
		}
		close(hold)
		if err := <-old; !apierr.KafkaRetriable.Is(err) {
			t.Errorf("the one before it: %v", err)
		}
		if got, err := produce(t, p, `{"records":[{"value":"of four"}]}`, 0); got != "0@0" || err != nil {
			t.Errorf("the new topic: %s, %v; it has %q", got, err, m.log("t", 0))
		}
	})
}

// A request that has chosen among more partitions than the topic created since has fails alone.
func TestBequestOfAPartitionThatTheHeirLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quick(t, newModel())
		old, _ := p.router.topic("t", 3)
		defer old.leave()
		old.succeeded(3)
		grown := old.first(4)[3]
		j := fill(t, p, `{"records":[{"value":1,"partition":3}]}`)
		if _, of := p.prepare(j, "t", AnyPartition, 4); of != 4 {
			t.Fatal(of)
		}
		j.left.Store(1)
		_, tell := grown.add(j, 0)
		tell.tell()
		j.drop()
		if _, err := p.Await(j, nil, results); !apierr.KafkaRetriable.Is(err) {
			t.Errorf("got %v", err)
		}
	})
}

// During a rolling upgrade the first broker that is asked may have no ids of topics, and a later
// one has: the id is taken while batches of the topic are on their way.
func TestTopicWhoseIDIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.latency = func() time.Duration { return time.Duration(rand.IntN(40)) * time.Millisecond }
		topic := m.create("t", 1)
		id := topic.id
		topic.id = [16]byte{}
		p := start(t, m)
		for i := range 50 {
			if i == 10 {
				m.mu.Lock()
				topic.id = id
				m.mu.Unlock()
			}
			_, all := p.router.topic("t", 1)
			p.router.lookUp(all[0].topic)
			if got, err := produce(t, p, `{"records":[{"value":1}]}`, 0); got != fmt.Sprintf("0@%d", i) || err != nil {
				t.Fatal(got, err)
			}
		}
	})
}

// Where Kafka refuses an id, records of all topics that wait for one are refused: those too of a
// topic that is not being looked up.
func TestIDRefusedForAllTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("u", 3)
		p := start(t, m, func(c *Cluster, _ *Settings, _ *kafka.Producer) {
			c.Topic = func(_ context.Context, name string) (string, int32, error) { return name, 3, nil }
		})
		write := func(topic string, partition int32) error {
			_, err := p.Produce(fill(t, p, `{"records":[{"value":1}]}`), topic, partition, nil, results)
			return err
		}
		for _, topic := range []string{"t", "u"} {
			if err := write(topic, 0); err != nil {
				t.Fatal(err)
			}
		}
		m.mu.Lock()
		m.idRefused = kerr.ClusterAuthorizationFailed.Code
		m.mu.Unlock()
		p.router.renew(p.router.identity().id) // its epochs are used up
		known, _ := p.router.topic("t", 3)
		defer known.leave()
		p.router.lookUp(known)
		began := time.Now()
		if err := write("u", 1); !apierr.Unauthorized.Is(err) || time.Since(began) > time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if err := write("u", 0); err != nil {
			t.Errorf("a partition that has an id: %v", err)
		}
	})
}
