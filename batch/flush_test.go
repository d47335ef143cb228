package batch

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/kafka"
)

// begin starts a request of one record of the partition, and returns where its error will be.
func begin(t *testing.T, p *Producer, value string, partition int32) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := produce(t, p, fmt.Sprintf(`{"records":[{"value":%q}]}`, value), partition)
		done <- err
	}()
	synctest.Wait()
	return done
}

// came returns the sizes of the batches that came, and forgets them.
func (m *model) came() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.sizes = nil }()
	return fmt.Sprint(m.sizes)
}

// lingering is a producer whose requests wait for others for up to 50 ms; its broker answers
// after a second, and has acked a batch of each partition.
func lingering(t *testing.T) (*model, *Producer) {
	t.Helper()
	m := newModel()
	p := start(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.Linger, s.BatchBytes = 50*time.Millisecond, 1000 })
	if _, err := produce(t, p, `{"records":[{"partition":0},{"partition":1},{"partition":2}]}`, AnyPartition); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	m.latency = func() time.Duration { return time.Second }
	m.mu.Unlock()
	m.came()
	return m, p
}

func (m *model) want(t *testing.T, sizes, why string) {
	t.Helper()
	synctest.Wait()
	if got := m.came(); got != sizes {
		t.Errorf("batches of %s records came, want %s: %s", got, sizes, why)
	}
}

func TestLoneRequestLeavesAtOnceOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := lingering(t)
		first := begin(t, p, "a", 0)
		m.want(t, "[1]", "a lone request is sent at once")
		second, third := begin(t, p, "b", 0), begin(t, p, "c", 0)
		time.Sleep(49 * time.Millisecond)
		m.want(t, "[]", "they wait while one is in flight")
		time.Sleep(time.Millisecond)
		m.want(t, "[2]", "nobody waits for longer than the linger time")
		for _, done := range []<-chan error{first, second, third} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWaitingRequestsLeaveWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := lingering(t)
		m.latency = func() time.Duration { return 20 * time.Millisecond }
		first := begin(t, p, "a", 0)
		second, third := begin(t, p, "b", 0), begin(t, p, "c", 1)
		m.want(t, "[1]", "they wait")
		<-first
		m.want(t, "[1 1]", "all partitions leave when nothing is in flight any more")
		<-second
		<-third
	})
}

func TestAFullBatchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := lingering(t)
		all := []<-chan error{begin(t, p, "a", 0)}
		value := strings.Repeat("1", 400)
		for range 3 { // the third has no room beside the others
			all = append(all, begin(t, p, value, 0))
		}
		m.want(t, "[1 2]", "a full batch is sent while another is in flight")
		time.Sleep(50 * time.Millisecond)
		m.want(t, "[1]", "the rest follows")
		for _, done := range all {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// No more than five are in flight, and until the first ack of a producer one.
func TestInFlightIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := lingering(t)
		var all []<-chan error
		for range 9 {
			all = append(all, begin(t, p, "a", 0))
			time.Sleep(60 * time.Millisecond)
		}
		m.want(t, "[1 1 1 1 1]", "five are in flight")
		for _, done := range all {
			<-done
		}
		m.came()
		m.create("t", 3)
		q := start(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.Linger = 0 })
		one, two := begin(t, q, "a", 0), begin(t, q, "b", 0)
		time.Sleep(900 * time.Millisecond)
		m.want(t, "[1]", "a broker that has acked nothing would accept any sequence")
		<-one
		<-two
	})
}

// A broker that throttles is left alone for as long as it asks for.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := lingering(t)
		m.throttle = 3000
		<-begin(t, p, "a", 0)
		began := time.Now()
		<-begin(t, p, "b", 0)
		if took := time.Since(began); took < 4*time.Second || took > 4100*time.Millisecond {
			t.Errorf("a request was answered after %v; the broker wanted 3 s without one, and takes one", took)
		}
	})
}
