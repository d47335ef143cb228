package batch

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// losing is a producer of which a test says which broker is lost.
type losing struct {
	*model
	cuts   bool         // Reset ends connections
	broker atomic.Int32 // -2 for none
	quiet  atomic.Int32 // the same
	resets atomic.Int32
}

// Reset implements [Client]: what is held ends without an answer.
func (l *losing) Reset(id int32) {
	if l.resets.Add(1); !l.cuts {
		return
	}
	b := l.model.broker(id)
	b.mu.Lock()
	b.connection++
	b.mu.Unlock()
	l.release()
}

// holdAll has requests wait for their answers from now on, until release.
func (l *losing) holdAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = make(chan struct{})
}

func (l *losing) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold != nil {
		close(l.hold)
		l.hold = nil
	}
}

func startLosing(t *testing.T) (*losing, *Producer) {
	t.Helper()
	m := newModel()
	m.create("t", 3)
	m.topics["t"].leaders[1] = 2
	l := &losing{model: m}
	l.broker.Store(-2)
	l.quiet.Store(-2)
	none, err := kafka.NewCompressor(kafka.None, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster
	c.Lost = func(broker int32) error {
		if l.broker.Load() == broker {
			return errors.New("gone")
		}
		return nil
	}
	c.Quiet = func(broker int32) bool { return l.quiet.Load() == broker }
	p := New(l, none, c, Settings{BufferBytes: 1 << 20, Timeout: time.Minute, BatchBytes: 1 << 20}, kafka.DefaultProducer())
	t.Cleanup(func() { _ = p.Close(t.Context()) })
	return l, p
}

// Records that were sent to a broker that is lost may be written, and their client hears so within
// the watch's time; those that were not sent are not written. The batch goes on: it is written
// once, and its memory is charged until then.
func TestLostBrokerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := startLosing(t)
		if _, err := produce(t, p, `{"records":[{"value":"first","partition":0}]}`, AnyPartition); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		hold := make(chan struct{})
		l.hold = hold
		leader := l.topics["t"].leaders[0]
		l.mu.Unlock()
		sent := begin(t, p, "sent", 0)
		began := time.Now()
		l.broker.Store(leader)
		if err := <-sent; !apierr.WriteUnknown.Is(err) || time.Since(began) > 2*watchEvery {
			t.Errorf("a record that was sent: %v after %v", err, time.Since(began))
		}
		synctest.Wait() // the client is told first
		l.mu.Lock()
		l.hold = nil // of requests to come
		l.mu.Unlock()
		if l.resets.Load() == 0 || p.Held() == 0 {
			t.Errorf("%d resets, %d bytes held", l.resets.Load(), p.Held())
		}
		if err := <-begin(t, p, "refused", 0); !apierr.NotWritten.Is(err) {
			t.Errorf("a record for a lost broker: %v", err)
		}
		for range 10 { // records that may go anywhere go where they can
			if got, err := produce(t, p, `{"records":[{"value":"other"}]}`, AnyPartition); err != nil || got[0] != '1' {
				t.Errorf("a record without a partition: %s %v", got, err)
			}
		}
		l.broker.Store(-2)
		close(hold)
		time.Sleep(time.Second)
		if err := <-begin(t, p, "after", 0); err != nil {
			t.Errorf("after the outage: %v", err)
		}
		if p.Held() != 0 || p.Buffered() != 0 {
			t.Errorf("%d bytes are held, %d records buffered", p.Held(), p.Buffered())
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		log := l.topics["t"].logs[0].records
		if len(log) != 3 {
			t.Errorf("the log is %q", log)
		}
	})
}

// A batch whose clients were told, and of which the broker then refuses all records, gives back the
// memory that it was charged with.
func TestToldBatchIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := startLosing(t)
		if _, err := produce(t, p, `{"records":[{"value":"first","partition":0}]}`, AnyPartition); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		l.hold = make(chan struct{})
		hold := l.hold
		l.mu.Unlock()
		sent := begin(t, p, "bad", 0)
		l.broker.Store(1)
		if err := <-sent; !apierr.WriteUnknown.Is(err) || p.Held() == 0 {
			t.Errorf("%v, %d bytes held", err, p.Held())
		}
		l.broker.Store(-2)
		l.mu.Lock()
		l.hold = nil
		l.mu.Unlock()
		close(hold)
		time.Sleep(time.Second)
		if p.Held() != 0 || p.Buffered() != 0 {
			t.Errorf("%d bytes are held, %d records buffered", p.Held(), p.Buffered())
		}
	})
}

// Records that no broker could be found for are refused when none can be reached.
func TestNoBrokerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := startLosing(t)
		l.mu.Lock()
		for i := range l.topics["t"].leaders {
			l.topics["t"].leaders[i] = -1
		}
		l.mu.Unlock()
		waiting := begin(t, p, "waiting", 0)
		l.broker.Store(noBroker)
		if err := <-waiting; !apierr.NotWritten.Is(err) {
			t.Errorf("a record that waited for a leader: %v", err)
		}
		if err := <-begin(t, p, "refused", 0); !apierr.NotWritten.Is(err) {
			t.Errorf("a record without a leader: %v", err)
		}
		if p.Held() != 0 {
			t.Errorf("%d bytes are held", p.Held())
		}
	})
}

// A leader that is quiet and was replaced costs its clients the time that the cluster needed for
// that, not that in which a broker counts as lost: what it has goes to the new leader, and nobody
// is told that anything is unknown.
func TestQuietLeaderIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := startLosing(t)
		l.cuts = true
		if _, err := produce(t, p, `{"records":[{"value":"first","partition":0}]}`, AnyPartition); err != nil {
			t.Fatal(err)
		}
		l.holdAll()
		sent := begin(t, p, "sent", 0)
		l.quiet.Store(1)
		time.Sleep(2 * time.Second)
		requests := l.count()
		late := begin(t, p, "late", 0)
		time.Sleep(2 * time.Second)
		if l.count() != requests || l.resets.Load() != 0 {
			t.Errorf("%d requests were sent to a broker that is quiet, %d times its connections were ended", l.count()-requests, l.resets.Load())
		}
		l.move("t", 0, 2)
		began := time.Now()
		for _, got := range []<-chan error{sent, late} {
			if err := <-got; err != nil || time.Since(began) > time.Second {
				t.Errorf("%v, %v after the new leader", err, time.Since(began))
			}
		}
		if log := l.log("t", 0); len(log) != 3 {
			t.Errorf("the log is %q", log)
		}
	})
}

// A broker that is quiet for a while, and leads all the same, answers what it has, and is sent the
// rest then.
func TestQuietLeaderReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := startLosing(t)
		l.holdAll()
		sent := begin(t, p, "sent", 0)
		l.quiet.Store(1)
		time.Sleep(2 * time.Second)
		late := begin(t, p, "late", 0)
		time.Sleep(time.Second)
		l.release()
		l.quiet.Store(-2)
		began := time.Now()
		for _, got := range []<-chan error{sent, late} {
			if err := <-got; err != nil || time.Since(began) > 2*watchEvery {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		if l.resets.Load() != 0 {
			t.Error("connections were ended")
		}
	})
}

// When connections that carry nothing are renewed, no batch overtakes those in front of it, which
// have to be sent again.
func TestRenewedConnectionKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := startLosing(t)
		l.cuts = true
		if _, err := produce(t, p, `{"records":[{"value":"first","partition":0}]}`, AnyPartition); err != nil {
			t.Fatal(err)
		}
		l.holdAll()
		l.swallow = true
		var all []<-chan error
		for _, v := range []string{"a", "b", "c"} {
			all = append(all, begin(t, p, v, 0))
			time.Sleep(time.Second)
		}
		l.swallow = false
		p.Renew(1)
		all = append(all, begin(t, p, "d", 0))
		began := time.Now()
		for _, got := range all {
			if err := <-got; err != nil || time.Since(began) > time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if log := l.topics["t"].logs[0].records; len(log) != 5 || l.disorder != 0 {
			t.Errorf("the log is %q, %d batches came out of order", log, l.disorder)
		}
	})
}

// Nothing is sent to a broker that is lost, where it would wait for a handshake: once another
// leads, its batches go there at once.
func TestNothingGoesToLostBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := startLosing(t)
		l.cuts = true
		l.holdAll()
		sent := begin(t, p, "sent", 0)
		synctest.Wait()
		requests := l.count()
		l.broker.Store(1)
		if err := <-sent; !apierr.WriteUnknown.Is(err) {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if l.count() != requests {
			t.Errorf("%d requests were sent to a broker that is lost", l.count()-requests)
		}
		l.move("t", 0, 2)
		time.Sleep(time.Second)
		if log := l.log("t", 0); len(log) != 1 || p.Buffered() != 0 {
			t.Errorf("the log is %q, %d records are buffered", log, p.Buffered())
		}
	})
}

// A leader without enough replicas in sync answers, so it is not lost. Nevertheless the clients of
// its partition hear soon that nothing was written: those that wait, and those that come. One that
// may be written waits on, and all goes on where it was when the replicas are back.
func TestRefusalsThatLast(t *testing.T) {
	for _, unsure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel()
			p := quick(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.Linger = 0 })
			var refuses atomic.Bool
			refuses.Store(true)
			first := unsure
			m.fault = func(string, int32, *kmsg.RecordBatch) int16 {
				switch {
				case first:
					first = false
					return kerr.RequestTimedOut.Code
				case refuses.Load():
					return kerr.NotEnoughReplicas.Code
				}
				return 0
			}
			waits, early := make(chan error, 1), make(chan error, 1)
			began := time.Now()
			go func() {
				_, err := produce(t, p, `{"records":[{"value":"waits"}]}`, 0)
				waits <- err
			}()
			synctest.Wait()
			go func() {
				_, err := produce(t, p, `{"records":[{"value":"early"}]}`, 0)
				early <- err
			}()
			want := func(what string, err error, within time.Duration) {
				t.Helper()
				if took := time.Since(began); !apierr.NotWritten.Is(err) || took > within {
					t.Errorf("%s: %v after %v", what, err, took)
				}
			}
			if !unsure {
				want("the first", <-waits, kafka.DefaultSilence+2*time.Second)
			}
			want("one behind it", <-early, kafka.DefaultSilence+2*time.Second)
			began = time.Now()
			_, err := produce(t, p, `{"records":[{"value":"late"}]}`, 0)
			want("a later one", err, 2*time.Second)
			refuses.Store(false)
			if unsure {
				if err := <-waits; err != nil {
					t.Errorf("the first, which may have been written: %v", err)
				}
			}
			if _, err := produce(t, p, `{"records":[{"value":"after"}]}`, 0); err != nil {
				t.Error(err)
			}
			wantLog := []string{`"warm"`, `"after"`}
			if unsure {
				wantLog = []string{`"warm"`, `"waits"`, `"after"`}
			}
			if got := m.log("t", 0); !slices.Equal(got, wantLog) {
				t.Errorf("the log has %q", got)
			}
		})
	}
}
