package batch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// storm is a world in which records may fail for any reason: by short timeouts and few retries,
// partitions without a leader, brokers that are lost or silent, topics that are created again,
// look-ups that fail, and a producer id whose epochs end. All that clients are told must be true in
// it, too.
type storm struct {
	*world
	draw      *rand.Rand
	made      []*modelTopic // the topic, each time that it was created
	limit     int           // of a topic's batches, 0: none
	kills     int           // of 1000 requests
	codes     int           // of 1000 batches
	delivery  time.Duration
	timeout   time.Duration
	retries   int
	moves     bool
	recreates bool
	unknowns  bool
	losses    bool

	lost, silent sync.Map // brokers
	over         atomic.Bool
}

// oneOf draws one of all.
func oneOf[T any](draw *rand.Rand, all ...T) T { return all[draw.IntN(len(all))] }

func newStorm(seed uint64) *storm {
	draw := rand.New(rand.NewPCG(seed, 99))
	s := &storm{world: &world{model: newModel(), rng: rand.New(rand.NewPCG(seed, 77))}, draw: draw}
	s.kills, s.codes = draw.IntN(60), draw.IntN(80)
	s.unnamed, s.vague = draw.IntN(4) == 0, true
	if draw.IntN(3) == 0 {
		s.version = 7 + int16(draw.IntN(6))
	}
	if draw.IntN(3) == 0 {
		s.limit = 400 + draw.IntN(2000)
	}
	latency := time.Duration(draw.IntN(40)) * 300 * time.Microsecond
	s.latency = func() time.Duration { return latency }
	s.delivery = oneOf(draw, 30*time.Millisecond, 100*time.Millisecond, time.Second, time.Minute)
	s.timeout = oneOf(draw, 20*time.Millisecond, 200*time.Millisecond, time.Minute)
	s.retries = oneOf(draw, 0, 1, 3, 1<<30)
	s.moves, s.recreates, s.unknowns, s.losses = draw.IntN(3) > 0, draw.IntN(3) == 0, draw.IntN(3) == 0, draw.IntN(2) == 0
	s.cut = func() int {
		if s.over.Load() || !s.chance(s.kills) {
			return 0
		}
		return 1 + s.pick(2)
	}
	failing := []*kerr.Error{
		kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NotEnoughReplicas, kerr.KafkaStorageError,
		kerr.UnknownServerError, kerr.TopicAuthorizationFailed, kerr.PolicyViolation,
	}
	s.fault = func(string, int32, *kmsg.RecordBatch) int16 {
		if s.over.Load() || !s.chance(s.codes) {
			return 0
		}
		return failing[s.pick(len(failing))].Code
	}
	s.create()
	return s
}

// pick draws below n, for the cluster's goroutines.
func (s *storm) pick(n int) int {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.rng.IntN(n)
}

// create makes the topic, or makes it anew.
func (s *storm) create() {
	t := s.model.create("t", 3)
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	if s.limit > 0 {
		t.limit = s.limit
	}
	s.made = append(s.made, t)
}

func (s *storm) start(t *testing.T) *Producer {
	p := start(t, s.model, func(c *Cluster, settings *Settings, k *kafka.Producer) {
		settings.Timeout, settings.BatchBytes = s.timeout, 4000
		k.BatchBytes, k.DeliveryTimeout, k.Retries = 500, s.delivery, s.retries
		if s.draw.IntN(2) == 0 {
			k.SilenceLimit = 100 * time.Millisecond
		}
		c.Lost = func(id int32) error {
			if _, lost := s.lost.Load(id); lost {
				return errors.New("the broker is lost")
			}
			return nil
		}
		c.Quiet = func(id int32) bool {
			_, silent := s.silent.Load(id)
			return silent
		}
	})
	if s.draw.IntN(3) == 0 { // few epochs are left
		p.router.mu.Lock()
		p.router.current = producerEpoch{1000, 32760}
		p.router.mu.Unlock()
	}
	return p
}

// blow has the cluster fail until done is closed.
func (s *storm) blow(p *Producer, done chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(3+s.draw.IntN(20)) * time.Millisecond):
		}
		partition, broker := s.draw.Int32N(3), 1+s.draw.Int32N(2)
		switch kind := s.draw.IntN(12); {
		case kind < 3 && s.moves:
			s.move("t", partition, broker)
		case kind == 3 && s.moves:
			s.move("t", partition, -1)
		case kind == 4 && s.recreates && len(s.made) < 4:
			s.create()
		case kind == 5 && s.unknowns:
			s.model.mu.Lock()
			for range s.draw.IntN(400) {
				s.lookUps = append(s.lookUps, kerr.UnknownTopicOrPartition.Code)
			}
			s.model.mu.Unlock()
		case kind == 6 && s.losses:
			s.lost.Store(broker, true)
		case kind == 7:
			s.lost.Delete(broker)
		case kind == 8 && s.losses:
			s.silent.Store(broker, true)
		case kind == 9:
			s.silent.Delete(broker)
		case kind == 10:
			p.Renew(broker)
		}
	}
}

// end makes all well again.
func (s *storm) end() {
	s.over.Store(true)
	s.model.mu.Lock()
	s.lookUps = nil
	s.model.mu.Unlock()
	s.lost.Clear()
	s.silent.Clear()
	for partition := range int32(3) {
		s.move("t", partition, 1)
	}
}

// run has clients produce in the storm, and checks what they were told.
func (s *storm) run(t *testing.T, seed uint64) {
	p := s.start(t)
	done := make(chan struct{})
	var clients, cluster sync.WaitGroup
	cluster.Go(func() { s.blow(p, done) })
	for c := range 8 {
		clients.Go(func() { s.client(t, p, seed, c) })
	}
	clients.Wait()
	close(done)
	cluster.Wait()
	s.end()
	for began := time.Now(); p.Buffered() > 0; <-time.After(50 * time.Millisecond) {
		if time.Since(began) > 3*time.Minute {
			t.Fatalf("seed %d: %d bytes are in the producer for good", seed, p.Buffered())
		}
	}
	<-time.After(time.Second) // until the producer has seen that the brokers are back
	if s.timeout > time.Second && s.delivery > time.Second && s.retries > 1 {
		for partition := range int32(3) { // each takes records again
			if _, err := produce(t, p, fmt.Sprintf(`{"records":[{"value":"9%d-0-0 end"}]}`, partition), partition); err != nil {
				t.Errorf("seed %d: after the storm, partition %d: %v", seed, partition, err)
			}
		}
	}
	s.check(t, seed)
}

// place is where a record is.
type place struct {
	partition int32
	offset    int64
}

// check fails the test unless what clients were told of their records is true.
func (s *storm) check(t *testing.T, seed uint64) {
	found := map[string][]place{}
	for n, topic := range s.made {
		logs, seen := [][]string{}, map[string]bool{}
		for partition, log := range topic.logs {
			logs = append(logs, log.records)
			for offset, value := range log.records {
				if seen[value] {
					t.Errorf("seed %d: %s is in topic %d twice", seed, value, n)
				}
				seen[value], found[value] = true, append(found[value], place{int32(partition), int64(offset)})
			}
		}
		if len(s.made) == 1 {
			s.ordered(t, seed, logs)
		}
	}
	// A broker that knows no topic ids may have taken a batch that was sent by name once more, for
	// the topic that was created since.
	exact := len(s.made) == 1 || s.version >= topicIDsSince
	for _, c := range s.claims {
		at := found[c.value]
		switch {
		case c.code == 0 && strings.HasPrefix(c.value, `"bad`):
			t.Errorf("seed %d: %s was accepted", seed, c.value)
		case c.code == 0 && !slices.Contains(at, place{c.partition, c.offset}):
			t.Errorf("seed %d: %s is not at %d@%d, but at %v", seed, c.value, c.partition, c.offset, at)
		case c.code != 0 && c.code != apierr.WriteUnknown.Code && len(at) > 0 && exact:
			t.Errorf("seed %d: %s was refused with %d, and is in Kafka", seed, c.value, c.code)
		}
	}
}

// All that clients are told is true, whatever fails, for however long; and once nothing fails,
// nothing is held and all partitions take records. The number of storms is MILLRACE_SEEDS, the only
// one MILLRACE_SEED; goroutines go another way each time, and so it may take many runs of one to
// fail again.
func TestStorm(t *testing.T) {
	simulations(t, 200, func(t *testing.T, seed uint64) { newStorm(seed).run(t, seed) })
}
