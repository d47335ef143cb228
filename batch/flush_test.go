package batch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/pool"
)

// lingering returns a producer whose jobs wait for others for up to 50 ms.
func lingering(t *testing.T, s *sink, timeout time.Duration) *Producer {
	t.Helper()
	before := pool.Outstanding()
	p := New(s, cluster, Settings{BufferBytes: 1 << 20, Timeout: timeout, Linger: 50 * time.Millisecond, BatchBytes: 1000})
	t.Cleanup(func() {
		if p.Held() != 0 || pool.Outstanding() != before {
			t.Errorf("%d bytes held, %d jobs not released", p.Held(), pool.Outstanding()-before)
		}
	})
	return p
}

// produce starts a request of one record and returns where its error will be.
func produce(t *testing.T, p *Producer, value string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	j := fill(t, p, fmt.Sprintf(`{"records":[{"value":%q}]}`, value))
	go func() {
		_, err := p.Produce(j, "t", AnyPartition, nil, results)
		done <- err
	}()
	synctest.Wait()
	return done
}

func TestLoneRequestLeavesAtOnceOthersWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		p := lingering(t, s, time.Minute)
		began := time.Now()
		first := produce(t, p, "a")
		if !s.holds(1) {
			t.Fatal("a lone request waits")
		}
		second, third := produce(t, p, "b"), produce(t, p, "c")
		if !s.holds(1) {
			t.Fatal("a request did not wait for the group before it")
		}
		s.finish(noError)
		synctest.Wait()
		if <-first != nil || !s.holds(2) {
			t.Fatal("the waiting requests were not flushed together when the group had settled")
		}
		if time.Since(began) > 0 {
			t.Errorf("it took %v", time.Since(began))
		}
		s.finish(noError)
		if <-second != nil || <-third != nil {
			t.Error("an error")
		}
	})
}

func TestNobodyWaitsLongerThanTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		p := lingering(t, s, time.Minute)
		first := produce(t, p, "a")
		began := time.Now()
		second, third := produce(t, p, "b"), produce(t, p, "c")
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if !s.holds(3) {
			t.Fatalf("they still wait after %v", time.Since(began))
		}
		s.finish(noError)
		for _, done := range []<-chan error{first, second, third} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if again := produce(t, p, "d"); !s.holds(1) {
			t.Error("after all groups settled a request waits")
		} else {
			s.finish(noError)
			<-again
		}
	})
}

// A group that does not settle delays others for a while only, and not every later one.
func TestHungGroupDelaysOthersBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		p := lingering(t, s, time.Minute)
		stuckRequest := produce(t, p, "a")
		stuck := s.take()
		for range maxHold / (50 * time.Millisecond) { // each waits for the linger
			second := produce(t, p, "b")
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			s.finish(noError)
			if err := <-second; err != nil {
				t.Error(err)
			}
		}
		began := time.Now()
		for range 3 {
			next := produce(t, p, "c")
			if !s.holds(1) {
				t.Fatal("a lone request waits for a group that hangs")
			}
			s.finish(noError)
			if err := <-next; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("three requests took %v", took)
		}
		s.give(stuck)
		s.finish(noError)
		if err := <-stuckRequest; err != nil {
			t.Error(err)
		}
		again := produce(t, p, "d") // its ack no longer counts
		if !s.holds(1) {
			t.Error("after all groups settled a request waits")
		}
		s.finish(noError)
		<-again
	})
}

func TestAFullBatchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		p := lingering(t, s, time.Minute)
		all := []<-chan error{produce(t, p, "a")}
		value := fmt.Sprintf("%0400d", 1)
		for range 3 { // the third makes 1,200 bytes
			all = append(all, produce(t, p, value))
		}
		if !s.holds(4) {
			t.Error("a full batch waits")
		}
		s.finish(noError)
		for _, done := range all {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// Requests that give up while they wait are not written, and the group that one of them was to
// lead is flushed all the same.
func TestGivingUpWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		p := lingering(t, s, 20*time.Millisecond) // less than the linger
		first := produce(t, p, "a")
		time.Sleep(10 * time.Millisecond)
		second := produce(t, p, "b")
		if err := <-first; !apierr.WriteUnknown.Is(err) {
			t.Errorf("first: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
		third := produce(t, p, "c")
		if err := <-second; !apierr.NotWritten.Is(err) || !strings.Contains(err.Error(), "None was written") {
			t.Errorf("second: %v", err)
		}
		if !s.holds(1) {
			t.Error("a request that gave up was lent")
		}
		s.finish(noError) // the first settles; the third leads
		synctest.Wait()
		if !s.holds(1) {
			t.Error("the third was not flushed")
		}
		s.finish(noError)
		if err := <-third; err != nil {
			t.Errorf("third: %v", err)
		}
	})
}

// slowSink acks from another goroutine, after a moment.
type slowSink struct {
	work chan lent
	done sync.WaitGroup
}

func (s *slowSink) Produce(_ context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	s.work <- lent{r, promise}
}
func (s *slowSink) Flush(context.Context) error { return nil }
func (s *slowSink) Close()                      { close(s.work); s.done.Wait() }

// Many requests, with deadlines that they barely meet: each completes once, and no job is left
// behind, whatever the order of acks, calls and deadlines. The race detector and the lifetime
// checks judge.
func TestFlusherUnderLoad(t *testing.T) {
	for _, timeout := range []time.Duration{100 * time.Microsecond, 500 * time.Microsecond, time.Minute} {
		before := pool.Outstanding()
		s := &slowSink{work: make(chan lent, 64)}
		s.done.Go(func() {
			for r := range s.work {
				r.promise(r.Record, nil)
			}
		})
		p := New(s, cluster, Settings{BufferBytes: 1 << 20, Timeout: timeout, Linger: 200 * time.Microsecond, BatchBytes: 500})
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for range 500 {
					_, err := p.Produce(fill(t, p, `{"records":[{"value":1},{"value":2}]}`), "t", AnyPartition, nil, results)
					if err != nil && (timeout == time.Minute || !apierr.WriteUnknown.Is(err) && !apierr.NotWritten.Is(err)) {
						t.Errorf("unexpected %v", err)
					}
				}
			})
		}
		clients.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if p.Held() != 0 || pool.Outstanding() != before {
			t.Errorf("timeout %v: %d bytes held, %d jobs not released", timeout, p.Held(), pool.Outstanding()-before)
		}
		p.flusher.mu.Lock()
		if p.flusher.inFlight != 0 || p.flusher.called || len(p.flusher.next.jobs) != 0 {
			t.Errorf("timeout %v: %d in flight, called %v, %d waiting", timeout, p.flusher.inFlight, p.flusher.called, len(p.flusher.next.jobs))
		}
		p.flusher.mu.Unlock()
	}
}
