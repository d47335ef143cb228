package reader

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A stream that fetches for itself, since the tail has evicted the records at its position, waits
// between two fetches: during an outage there is none for seconds. Where it may fetch, or the tail
// has its records, it does not wait.
func TestStreamBehindTheTailWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := &tail{bell: make(chan struct{}), parts: map[int32]*followed{0: {lo: 10, hi: 20}}, moves: map[int32]int64{}}
		tl.work = sync.NewCond(&tl.mu)
		timer := time.NewTimer(time.Hour)
		waits := func(offset int64, pause, want time.Duration) {
			t.Helper()
			began := time.Now()
			p := streamPart{offset: offset, looked: began, pause: pause}
			tl.await(t.Context(), []streamPart{p}, timer, grownEvery, lastLook)
			if took := time.Since(began); took != want {
				t.Errorf("at %d, with a pause of %v, it waits for %v, want %v", offset, pause, took, want)
			}
		}
		waits(5, troubled, lastLook)
		waits(5, 0, 0)
		waits(15, troubled, 0)
	})
}
