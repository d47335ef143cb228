package intake

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// busy is a shedder with n requests at work.
func busy(n int64) *Shedder {
	s := NewShedder(DefaultDelay)
	s.working.Add(nil, n)
	return s
}

// works makes n the number of requests at work.
func (s *Shedder) works(n int64) { s.working.Add(nil, n-s.working.Held()) }

// looks has the shedder look n times and find a delay.
func (s *Shedder) looks(n int, delay time.Duration) {
	for range n {
		s.look(delay)
	}
}

func TestLoadIsShedOnlyWhenLateForLong(t *testing.T) {
	s := busy(1 << 20)
	for range 10 {
		s.looks(patient-1, 2*DefaultDelay)
		s.look(DefaultDelay)
	}
	if err := s.Admit(nil, false); err != nil {
		t.Fatalf("bursts: %v", err)
	}
	s.looks(patient, 2*DefaultDelay)
	if err := s.Admit(nil, false); !apierr.NodeBusy.Is(err) || s.refused.Load() != 1 {
		t.Errorf("a delay for a tenth of a second: %v, %d refused", err, s.refused.Load())
	}
	s.looks(1000, 2*DefaultDelay)
	s.works(s.least - 1)
	if err := s.Admit(nil, false); err != nil {
		t.Errorf("a request of those that a processor may always have: %v", err)
	}
	if err := s.Admit(nil, true); !apierr.NodeBusy.Is(err) {
		t.Errorf("one that did not wait for Retry-After: %v", err)
	}
	s.looks(calmLooks+1, 0)
	if err := s.Admit(nil, true); err != nil {
		t.Errorf("one that did not wait, after the overload: %v", err)
	}
}

func TestSheddingEndsWithinASecond(t *testing.T) {
	s := busy(1 << 20)
	s.looks(1000, 2*DefaultDelay)
	_ = s.Admit(nil, false)
	s.works(s.least / 2)
	s.looks(int(time.Second/watch), 0)
	if limit := s.limit.Load(); limit != 0 {
		t.Errorf("a second after the last refusal the limit is %d", limit)
	}
}

func TestWithoutADelayNoLoadIsShed(t *testing.T) {
	s := NewShedder(0)
	s.works(1 << 20)
	s.Run(context.Background()) // returns: there is nothing to watch
	if err := s.Admit(nil, false); err != nil {
		t.Error(err)
	}
}

// Refusals of any number of connections take a small part of the processors.
func TestPausesGrowWithThoseWhoPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShedder(DefaultDelay)
		began := time.Now()
		s.Pause()
		if took := time.Since(began); took > refusalCost {
			t.Errorf("the only one paused for %v", took)
		}
		began = time.Now()
		var all sync.WaitGroup
		const n = 1000
		for range n {
			all.Go(s.Pause)
		}
		all.Wait()
		if took, want := time.Since(began), n*refusalCost/time.Duration(runtime.GOMAXPROCS(0)); took != want {
			t.Errorf("the last of %d paused for %v, not %v", n, took, want)
		}
		began = time.Now()
		for range 100 * n {
			all.Go(s.Pause)
		}
		all.Wait()
		if took := time.Since(began); took > longestPause {
			t.Errorf("the last of %d paused for %v", 100*n, took)
		}
	})
}

// The scheduler's delay is read as it is: more goroutines that compute than processors wait.
func TestDelayOfTheSchedulerIsRead(t *testing.T) {
	s := busy(1 << 20)
	s.read()
	if _, known := s.read(); !known {
		t.Fatal("the delay since the last look is not known")
	}
	stop, all := make(chan struct{}), sync.WaitGroup{}
	defer all.Wait()
	defer close(stop)
	for range 64 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for began := time.Now(); time.Since(began) < time.Millisecond; {
				}
				runtime.Gosched()
			}
		})
	}
	testkit.Eventually(t, 20*time.Second, "that the median of the delays is long", func() bool {
		delay, _ := s.read()
		return delay > DefaultDelay
	})
}
