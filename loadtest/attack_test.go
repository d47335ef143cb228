package loadtest

import (
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/lab"
)

// TestPacerCatchesUp holds vegeta's call of the pacer up: what is overdue then
// goes at once, all of it, and the intended times stay.
func TestPacerCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pacer{Schedule: lab.NewSchedule(lab.Stage{From: 10, To: 10, For: time.Second})}
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
		if at := p.due.Due(4).Sub(began); at != 400*time.Millisecond {
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
