package batch

import (
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/kafka"
)

// A partition that waits for a broker which hangs goes to the new leader once there is one, though
// the requests of other partitions are still in flight to the former.
func TestPartitionLeavesABrokerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := start(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.Linger = 0 })
		if _, err := produce(t, p, `{"records":[{"partition":0},{"partition":1}]}`, AnyPartition); err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		m.mu.Lock()
		m.hold = hold
		m.mu.Unlock()
		var stuck []<-chan error
		for range maxInFlight {
			stuck = append(stuck, begin(t, p, "a", 0))
		}
		waiting := begin(t, p, "b", 1)
		m.mu.Lock()
		m.hold = nil
		m.mu.Unlock()
		m.move("t", 1, 2)
		topic, _ := p.router.topic("t", 3)
		p.router.lookUp(topic) // as a request of another partition would
		began := time.Now()
		if err := <-waiting; err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		close(hold)
		for _, done := range stuck {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}
