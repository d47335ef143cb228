package singleflight

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Callers with one key share one call. Callers with another key do not wait for it. The first
// caller after the result starts the next call.
func TestCallersShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[string, int32]
		var calls atomic.Int32
		release := make(chan struct{})
		work := func() (int32, error) {
			n := calls.Add(1)
			<-release
			return n, nil
		}
		first, err := g.Start("a", Go, work)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if g.InFlight("a") != first || g.InFlight("b") != nil {
			t.Error("the call in flight is not found under its key alone")
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				c, err := g.Start("a", Go, work)
				if v, failed := c.Result(); err != nil || failed != nil || v != 1 {
					t.Errorf("got %d, %v, %v", v, err, failed)
				}
			})
		}
		synctest.Wait()
		other, err := g.Start("b", Go, func() (int32, error) { return 7, nil })
		if v, failed := other.Result(); err != nil || failed != nil || v != 7 {
			t.Errorf("another key: %d, %v, %v", v, err, failed)
		}
		close(release)
		all.Wait()
		if v, _ := first.Result(); v != 1 || g.InFlight("a") != nil {
			t.Errorf("got %d, and in flight is %v", v, g.InFlight("a"))
		}
		next, err := g.Start("a", Go, work)
		if v, failed := next.Result(); err != nil || failed != nil || v != 2 {
			t.Errorf("the next call: %d, %v, %v", v, err, failed)
		}
	})
}

// A caller that comes after a result starts a call of its own: the result is from before it came.
func TestAResultIsNotInFlight(t *testing.T) {
	var g Group[int, int]
	for i := range 2000 {
		c, _ := g.Start(0, Go, func() (int, error) { return i, nil })
		if v, _ := c.Result(); v != i {
			t.Fatalf("call %d got the result of %d", i, v)
		}
	}
}

var errLate = errors.New("too late")

// A call that must not start leaves nothing behind.
func TestSpawnMayRefuse(t *testing.T) {
	var g Group[int, int]
	c, err := g.Start(1, func(func()) error { return errLate }, func() (int, error) { return 1, nil })
	if c != nil || err != errLate || g.InFlight(1) != nil {
		t.Errorf("got %v, %v, in flight %v", c, err, g.InFlight(1))
	}
}

// A call that panics, or ends its goroutine, gives all its callers an error, and the group is as
// it was.
func TestACallMayPanic(t *testing.T) {
	var g Group[int, int]
	for said, work := range map[string]func() (int, error){
		"a defect": func() (int, error) { panic("a defect") },
		"Goexit":   func() (int, error) { runtime.Goexit(); return 1, nil },
	} {
		c, err := g.Start(1, Go, work)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := c.Result(); v != 0 || err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: got %d, %v", said, v, err)
		}
		if g.InFlight(1) != nil {
			t.Errorf("%s: it is still in flight", said)
		}
	}
}
