package loadtest

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/lab"
)

func TestSchedule(t *testing.T) {
	f := func(stages []Stage, total uint64, at map[uint64]time.Duration) {
		t.Helper()
		s := newSchedule(stages)
		if s.total() != total {
			t.Errorf("%v: %d requests, want %d", stages, s.total(), total)
		}
		for i, want := range at {
			if have := s.at(i); (have - want).Abs() > time.Microsecond {
				t.Errorf("%v: request %d at %v, want %v", stages, i, have, want)
			}
		}
		last := time.Duration(-1)
		for i := range s.total() {
			at := s.at(i)
			if at < last || at > s.length() {
				t.Fatalf("%v: request %d at %v after one at %v, in %v", stages, i, at, last, s.length())
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

// TestPacerCatchesUp holds vegeta's call of the pacer up: what is overdue then
// goes at once, all of it, and the intended times stay.
func TestPacerCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pacer{schedule: newSchedule([]Stage{{10, 10, time.Second}})}
		began := time.Now()
		pace := func(sent uint64) bool {
			wait, stop := p.Pace(time.Since(began), sent)
			time.Sleep(wait)
			return !stop
		}
		pace(0)
		time.Sleep(450 * time.Millisecond) // all workers are busy
		stuck := time.Now()
		for sent := uint64(1); sent <= 4; sent++ {
			pace(sent)
		}
		if waited := time.Since(stuck); waited != 0 {
			t.Errorf("requests 1 to 4 were overdue and waited %v", waited)
		}
		if at := p.intended(4).Sub(began); at != 400*time.Millisecond {
			t.Errorf("request 4 was due at %v", at)
		}
		if pace(10) {
			t.Error("there are only 10 requests")
		}
	})
}

// TestEmptyDistribution has no figures, and no point of a curve.
func TestEmptyDistribution(t *testing.T) {
	if d := distribution(&lab.Histogram{}); d.P50 != 0 || d.Mean != 0 || len(d.Curve) != 0 {
		t.Errorf("have %+v", d)
	}
}
