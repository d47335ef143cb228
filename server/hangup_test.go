package server

import (
	"bytes"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// watches returns how many goroutines of the bubble look for clients that hang up. Those of other
// tests' servers end when they like.
func watches() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("synctest bubble")) && bytes.Contains(stack, []byte("server.(*hangups).watch(")) {
			n++
		}
	}
	return n
}

// One goroutine watches the connections, also where they come and go between two looks, and ends
// with the last of them.
func TestOneGoroutineWatchesForHangups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hangups
		for range 20 {
			c := new(Conn)
			h.add(c)
			h.remove(c)
		}
		c := new(Conn)
		life := h.add(c)
		time.Sleep(10 * lookEvery)
		synctest.Wait()
		if n := watches(); n != 1 {
			t.Errorf("%d goroutines watch one connection", n)
		}
		h.remove(c)
		if life.Err() == nil {
			t.Error("the wait of a connection goes on after its end")
		}
		time.Sleep(lookEvery)
		synctest.Wait()
		if n := watches(); n != 0 {
			t.Errorf("%d goroutines watch none", n)
		}
		h.add(c)
		synctest.Wait()
		if n := watches(); n != 1 {
			t.Errorf("%d goroutines watch a connection that came later", n)
		}
		h.remove(c)
		time.Sleep(lookEvery)
		synctest.Wait()
	})
}
