package kafka

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

var (
	brokerOne  = kgo.BrokerMetadata{NodeID: 1}
	errRefused = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
)

// scene is a Liveness with a client that the test plays.
type scene struct {
	*Liveness
	// ask is what a ping does; nil: it is written and never answered.
	ask atomic.Pointer[func() error]
}

// play runs f in a bubble of time, with one connection to broker 1.
func play(t *testing.T, f func(t *testing.T, s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{Liveness: NewLiveness(0)}
		s.OnBrokerConnect(brokerOne, 0, &net.TCPConn{}, nil)
		go s.watch(func(int32) error {
			ask := s.ask.Load()
			if ask == nil {
				s.wrote()
				<-s.stop
				return kgo.ErrClientClosed
			}
			return (*ask)()
		})
		f(t, s)
		s.OnClientClosed(nil)
	})
}

// pings sets what a ping does from now on.
func (s *scene) pings(do func() error) { s.ask.Store(&do) }

func (s *scene) wrote() { s.OnBrokerWrite(brokerOne, 0, 100, 0, 0, nil) }
func (s *scene) read()  { s.OnBrokerRead(brokerOne, 0, 100, 0, 0, nil) }

// answers is a ping that the broker answers.
func (s *scene) answers() error {
	s.OnBrokerWrite(brokerOne, 3, 100, 0, 0, nil)
	s.OnBrokerRead(brokerOne, 3, 100, 0, 0, nil)
	return nil
}

// refuses is a ping to a broker that takes no connection.
func (s *scene) refuses() error {
	s.OnBrokerConnect(brokerOne, 0, nil, errRefused)
	return errRefused
}

// state returns what Check says of broker 1 after so long.
func (s *scene) state(after time.Duration) error {
	<-time.After(after) // of the bubble
	synctest.Wait()
	return s.Check(1)
}

func (s *scene) want(t *testing.T, after time.Duration, state error) {
	t.Helper()
	if got := s.state(after); !errors.Is(got, state) || state == nil && got != nil {
		t.Errorf("after %v: %v, want %v", after, got, state)
	}
	if s.AllWell() != (state == nil) {
		t.Errorf("all well: %v", s.AllWell())
	}
}

// A broker is silent when it answers neither the requests nor the ping for the limit, and back
// with its first answer.
func TestSilentBroker(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.want(t, time.Hour, nil) // nothing is asked of it
		s.wrote()
		s.want(t, DefaultSilence-watchEvery, nil)
		s.want(t, 2*watchEvery, ErrSilent)
		s.want(t, time.Minute, ErrSilent)
		s.read()
		s.want(t, 0, nil)
	})
}

// A silence ends with an answer alone. When the connections end on which requests waited, nothing
// waits, and nothing is known of the broker that was not known before.
func TestSilenceOutlivesConnections(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.wrote()
		s.want(t, 2*time.Second, nil)
		if !s.Quiet(1) {
			t.Error("a broker that has not answered for two seconds is not quiet")
		}
		s.OnBrokerDisconnect(brokerOne, nil) // and is not followed by a new one that a request waits on
		s.want(t, DefaultSilence-2*time.Second+watchEvery, ErrSilent)
		s.want(t, time.Minute, ErrSilent)
		s.pings(s.answers) // those to come; one waits
		s.read()
		s.want(t, watchEvery, nil)
		if s.Quiet(1) {
			t.Error("a broker that answers is quiet")
		}
	})
}

// A broker that answers pings is never quiet, however long a request waits.
func TestSlowBrokerIsNotQuiet(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.pings(s.answers)
		s.wrote()
		for range 100 {
			if s.want(t, watchEvery, nil); s.Quiet(1) {
				t.Fatal("a broker that answers pings is quiet")
			}
		}
	})
}

// A produce request that is given up while the broker answers others tells of connections that are
// half open. One that is given up with the broker, or is no produce request, does not.
func TestHalfOpenConnections(t *testing.T) {
	timeout := fmt.Errorf("cannot read: %w", os.ErrDeadlineExceeded)
	for _, of := range []struct {
		name     string
		key      int16
		answered bool
		err      error
		resets   int
	}{
		{"half open", produceKey, true, timeout, 1},
		{"silent", produceKey, false, timeout, 0},
		{"ended", produceKey, true, io.EOF, 0},
		{"no produce request", 3, true, timeout, 0},
	} {
		t.Run(of.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *scene) {
				resets := 0
				s.OnHalfOpen(func(int32) { resets++ })
				if of.answered {
					s.pings(s.answers)
				}
				s.wrote()
				s.state(DefaultSilence)
				s.OnBrokerRead(brokerOne, of.key, 0, 0, 0, of.err)
				if resets != of.resets {
					t.Errorf("%d resets, want %d", resets, of.resets)
				}
			})
		})
	}
}

// A request that waits long is no silence while the broker answers a ping, or another client, or
// has announced a throttle.
func TestSlowRequestIsNoSilence(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.pings(s.answers)
		s.wrote()
		s.want(t, 20*time.Second, nil)
	})
	play(t, func(t *testing.T, s *scene) {
		s.wrote()
		for range 20 {
			s.want(t, time.Second, nil)
			s.Witness().(kgo.HookBrokerRead).OnBrokerRead(brokerOne, 1, 0, 0, 0, nil)
		}
		s.want(t, DefaultSilence+watchEvery, ErrSilent)
		s.Witness().(kgo.HookBrokerRead).OnBrokerRead(brokerOne, 1, 0, 0, 0, nil)
		s.want(t, 0, nil)
	})
	play(t, func(t *testing.T, s *scene) {
		s.wrote()
		s.OnBrokerThrottle(brokerOne, 10*time.Second, true)
		s.want(t, 10*time.Second+DefaultSilence-watchEvery, nil)
		s.want(t, 2*watchEvery, ErrSilent)
	})
}

// A broker is down when connections have been refused for a second and none is open, which is
// found out without requests, and back with its first answer.
func TestDownBroker(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.pings(s.refuses)
		s.wrote()
		s.OnBrokerDisconnect(brokerOne, nil)
		s.want(t, time.Hour, nil) // an idle connection ends so too
		s.OnBrokerConnect(brokerOne, 0, nil, errRefused)
		s.want(t, downAfter-watchEvery, nil)
		s.want(t, 2*watchEvery, ErrDown)
		if err := s.Check(1); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v lacks its cause", err)
		}
		s.pings(func() error {
			s.OnBrokerConnect(brokerOne, 0, &net.TCPConn{}, nil)
			return s.answers()
		})
		s.want(t, downPause+watchEvery, nil)
	})
	play(t, func(t *testing.T, s *scene) { // one connection of two
		s.pings(s.answers)
		s.OnBrokerConnect(brokerOne, 0, nil, errRefused)
		s.want(t, time.Minute, nil)
	})
	play(t, func(t *testing.T, s *scene) { // a handshake fails: the hook for the end is called first
		s.OnBrokerDisconnect(brokerOne, nil)
		s.pings(func() error {
			s.OnBrokerDisconnect(brokerOne, nil)
			s.OnBrokerConnect(brokerOne, 0, &net.TCPConn{}, errRefused)
			return errRefused
		})
		_ = (*s.ask.Load())()
		s.want(t, downAfter+watchEvery, ErrDown)
	})
	play(t, func(t *testing.T, s *scene) { // it is no broker of the cluster any more
		s.OnBrokerDisconnect(brokerOne, nil)
		s.OnBrokerConnect(brokerOne, 0, nil, errRefused)
		s.pings(func() error { return errors.New("there is no such broker") })
		s.want(t, time.Minute, nil)
	})
}

// The hooks of a real client show a broker that ends.
func TestLivenessOfClient(t *testing.T) {
	k := testkit.Fake(t)
	topic := testkit.CreateTopic(t, k.Broker, 1)
	l := NewLiveness(0)
	client, err := kgo.NewClient(kgo.DisableClientMetrics(), kgo.SeedBrokers(k.Addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.WithHooks(l))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	record := func() *kgo.Record { return &kgo.Record{Topic: topic, Partition: 0} }
	if err := client.ProduceSync(t.Context(), record()).FirstErr(); err != nil || !l.AllWell() {
		t.Fatalf("%v, all well: %v", err, l.AllWell())
	}
	k.Close()
	client.Produce(t.Context(), record(), nil)
	testkit.Eventually(t, 20*time.Second, "the broker to count as down", func() bool { return !l.AllWell() })
	if err := l.Check(0); !errors.Is(err, ErrDown) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
}
