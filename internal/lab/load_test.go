package lab

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSchedule(t *testing.T) {
	f := func(stages []Stage, total uint64, at map[uint64]time.Duration) {
		t.Helper()
		s := NewSchedule(stages...)
		if s.Total() != total {
			t.Errorf("%v: %d requests, want %d", stages, s.Total(), total)
		}
		for i, want := range at {
			if have := s.At(i); (have - want).Abs() > time.Microsecond {
				t.Errorf("%v: request %d at %v, want %v", stages, i, have, want)
			}
		}
		last := time.Duration(-1)
		for i := range s.Total() {
			at := s.At(i)
			if at < last || at > s.Length() {
				t.Fatalf("%v: request %d at %v after one at %v, in %v", stages, i, at, last, s.Length())
			}
			last = at
		}
	}
	second := time.Second
	f([]Stage{{10, 10, second}}, 10, map[uint64]time.Duration{0: 0, 1: second / 10, 9: 900 * time.Millisecond})
	f([]Stage{{.1, .1, 30 * second}}, 3, map[uint64]time.Duration{2: 20 * second})
	// n = 5t² on the way from 0.0…1 to 10, so n = 1.25 at half a second.
	f([]Stage{{10, 30, second}}, 20, map[uint64]time.Duration{0: 0, 10: time.Duration((math.Sqrt(5) - 1) / 2 * float64(second))})
	f([]Stage{{30, 10, second}}, 20, map[uint64]time.Duration{10: time.Duration((3 - math.Sqrt(5)) / 2 * float64(second))})
	f([]Stage{{10, 10, second}, {20, 20, second}}, 30, map[uint64]time.Duration{9: 900 * time.Millisecond, 10: second, 11: 1050 * time.Millisecond})
	f(nil, 0, nil)
}

// TestOpenLoopCatchesUp stalls the answer to the second of ten requests: those that
// are due meanwhile are sent late, all of them, and count from when they were due.
func TestOpenLoopCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var late []time.Duration
		l := Load{Workers: 1, Schedule: NewSchedule(Stage{10, 10, time.Second}), sleep: time.Sleep}
		l.Run(func(int) (Send, func()) {
			return func(due time.Time) bool {
				if want := began.Add(time.Duration(len(late)) * 100 * time.Millisecond); !due.Equal(want) {
					t.Errorf("request %d was due at %v, want %v", len(late), due, want)
				}
				late = append(late, time.Since(due).Round(time.Millisecond))
				if len(late) == 2 {
					time.Sleep(450 * time.Millisecond)
				}
				return true
			}, func() {}
		})
		ms := time.Millisecond
		if want := []time.Duration{0, 0, 350 * ms, 250 * ms, 150 * ms, 50 * ms, 0, 0, 0, 0}; !slices.Equal(late, want) {
			t.Errorf("requests were late by %v, want %v", late, want)
		}
	})
}

// TestOpenLoopUsesAllWorkers has a server that answers after three intervals: with
// four workers no request is late, and no two workers send the same one.
func TestOpenLoopUsesAllWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		sent := map[time.Time]int{}
		l := Load{Workers: 4, Schedule: NewSchedule(Stage{10, 10, 2 * time.Second}), sleep: time.Sleep}
		l.Run(func(int) (Send, func()) {
			return func(due time.Time) bool {
				if late := time.Since(due); late > time.Millisecond {
					t.Errorf("a request is late by %v", late)
				}
				mu.Lock()
				sent[due]++
				mu.Unlock()
				time.Sleep(300 * time.Millisecond)
				return true
			}, func() {}
		})
		for due, n := range sent {
			if n != 1 {
				t.Errorf("the request of %v was sent %d times", due, n)
			}
		}
		if len(sent) != 20 {
			t.Errorf("%d of 20 requests were sent", len(sent))
		}
	})
}

// TestClosedLoop sends with each worker until it is stopped, or gives up.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Load{Workers: 3}
		var sent [3]int
		var ended atomic.Int32
		time.AfterFunc(time.Second+50*time.Millisecond, l.Stop)
		l.Run(func(worker int) (Send, func()) {
			return func(began time.Time) bool {
				if !began.Equal(time.Now()) {
					t.Errorf("a request of a closed loop began at %v", began)
				}
				sent[worker]++
				time.Sleep(100 * time.Millisecond)
				return worker != 2 || sent[worker] < 5
			}, func() { ended.Add(1) }
		})
		if sent != [3]int{11, 11, 5} || ended.Load() != 3 {
			t.Errorf("sent %v, %d ended", sent, ended.Load())
		}
	})
}

// TestPacerIsPrecise waits on the real clock: a request goes within a fraction of a
// millisecond of its time, where a Go timer may be a whole one late.
func TestPacerIsPrecise(t *testing.T) {
	p := NewPacer(NewSchedule(Stage{200, 200, time.Second / 2}), time.Now())
	var late Histogram
	for {
		due, ok := p.Next()
		if !ok {
			break
		}
		late.Add(time.Since(due))
	}
	if late.Count() != 100 || late.Quantile(.25) > time.Millisecond/2 {
		t.Errorf("of %d requests the fourth part was later than %v", late.Count(), late.Quantile(.25))
	}
}
