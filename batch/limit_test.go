package batch

import (
	"testing"
	"testing/synctest"
	"time"
)

// A wait ends at its own time, wherever the timer of a wait before it stands: neither earlier nor
// later, and a wait that is over is told of nothing.
func TestLimitEndsEachWaitAtItsTime(t *testing.T) {
	type wait struct {
		pause, limit time.Duration // before it, and of it
		answered     time.Duration // after so long; 0: never
	}
	for name, waits := range map[string][]wait{
		"one":                     {{limit: 10}},
		"answered, then none":     {{limit: 10, answered: 1}, {pause: 30, limit: 10}},
		"later than the timer":    {{limit: 10, answered: 1}, {pause: 4, limit: 10}},
		"earlier than the timer":  {{limit: 10, answered: 1}, {limit: 2}},
		"over the timer's firing": {{limit: 10, answered: 9}, {limit: 10, answered: 9}, {limit: 10, answered: 9}, {limit: 10}},
		"after one that was over": {{limit: 10}, {limit: 10, answered: 9}, {limit: 3}},
		"already over":            {{limit: 10, answered: 1}, {limit: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan bool, 2)
				l := limit{over: over}
				for i, w := range waits {
					time.Sleep(w.pause * time.Second)
					began := time.Now()
					l.begin(began.Add(w.limit * time.Second))
					if w.answered > 0 {
						time.Sleep(w.answered * time.Second)
						if l.end() || len(over) > 0 {
							t.Fatalf("wait %d was ended before its time", i)
						}
						continue
					}
					<-over
					if took, want := time.Since(began), max(w.limit, 0)*time.Second; took != want {
						t.Fatalf("wait %d was ended after %v, not %v", i, took, want)
					}
					if !l.end() {
						t.Fatalf("wait %d was ended, and says that it was not", i)
					}
				}
				time.Sleep(time.Minute)
				if len(over) > 0 {
					t.Fatal("told of a wait that is over")
				}
			})
		})
	}
}
