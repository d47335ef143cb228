package batch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/kafka"
)

// The router forgets topics that nothing came for, and no other; what comes for one later is
// written, though the brokers know the producer.
func TestIdleTopicsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		p := start(t, m, func(c *Cluster, _ *Settings, _ *kafka.Producer) {
			c.Topic = func(_ context.Context, name string) (string, int32, error) { return name, 3, nil }
		})
		names := []string{"idle-1", "idle-2", "busy", "stuck"}
		for _, name := range names {
			m.create(name, 3)
		}
		p.router.mu.Lock()
		p.router.idle = 1
		p.router.mu.Unlock()
		write := func(topic string) error {
			j := p.Acquire()
			j.Slab.Add().Value = []byte(topic)
			_, err := p.Produce(j, topic, 0, nil, results)
			return err
		}
		known := func(name string) bool {
			p.router.mu.Lock()
			defer p.router.mu.Unlock()
			return p.router.topics[name] != nil
		}
		const rounds = 3
		for range rounds {
			for _, name := range names {
				if err := write(name); err != nil {
					t.Fatal(name, err)
				}
			}
			m.mu.Lock()
			m.hold = make(chan struct{})
			m.mu.Unlock()
			waiting := make(chan error, 1)
			go func() { waiting <- write("stuck") }()
			synctest.Wait()
			m.mu.Lock()
			hold := m.hold
			m.hold = nil
			m.mu.Unlock()
			for range 3 {
				time.Sleep(tidyEvery - time.Minute)
				if err := write("busy"); err != nil {
					t.Fatal(err)
				}
			}
			if known("idle-1") || known("idle-2") || !known("busy") || !known("stuck") {
				t.Errorf("known: idle-1 %v, idle-2 %v, busy %v, stuck %v", known("idle-1"), known("idle-2"), known("busy"), known("stuck"))
			}
			close(hold)
			<-waiting // the request itself may have timed out
		}
		for name, want := range map[string]int{"idle-1": rounds, "idle-2": rounds, "busy": 4 * rounds, "stuck": 2 * rounds} {
			synctest.Wait()
			if got := len(m.log(name, 0)); got != want {
				t.Errorf("%s has %d records, want %d", name, got, want)
			}
		}
	})
}
