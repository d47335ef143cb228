package idempotency

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Of two nodes that ask each other at once, the one whose claim is first has the request, and the
// other finds out before it carries it out.
func TestFirstClaimOvertakes(t *testing.T) {
	r := request(1, 1)
	a, b := New(Settings{Window: time.Minute, MaxBytes: 1 << 20}, nil), New(Settings{Window: time.Minute, MaxBytes: 1 << 20}, nil)
	claim := func(s *Store, c Claim, want State) {
		t.Helper()
		c.Request = r
		if got, _, _ := s.Claim(c); got != want {
			t.Errorf("the claim of %s: state %d, want %d", c.Run, got, want)
		}
	}
	a.Begin(r)
	b.Begin(r)
	claim(a, Claim{Run: "b", Try: 1}, Busy)
	claim(b, Claim{Run: "a", Try: 1, First: true}, Fresh)
	if state, _ := b.Confirm(r.Name); state != Busy {
		t.Errorf("b was overtaken, and its state is %d", state)
	}
	if state, _ := a.Confirm(r.Name); state != Fresh {
		t.Errorf("a was not overtaken, and its state is %d", state)
	}
	claim(a, Claim{Run: "b", Try: 2, First: true}, Busy)
	b.Settle(Claim{Request: r, Run: "a", Try: 1}, &Answer{Status: 200})
	if state, got, _ := b.Begin(r); state != Answered || got.Status != 200 {
		t.Errorf("b does not know the answer: %d %v", state, got)
	}
}

// A claim stands until its node settles it or another one knows better; what comes late is about
// its own claim alone.
func TestClaimStands(t *testing.T) {
	r := request(1, 1)
	s := New(Settings{Window: time.Minute, MaxBytes: 1 << 20}, nil)
	claim := func(c Claim, want State, of string) {
		t.Helper()
		c.Request = r
		if got, _, run := s.Claim(c); got != want || run != of {
			t.Errorf("the claim of %s: state %d of %q, want %d of %q", c.Run, got, run, want, of)
		}
	}
	claim(Claim{Run: "x", Try: 1}, Fresh, "")
	claim(Claim{Run: "x", Try: 3}, Fresh, "")
	claim(Claim{Run: "x", Try: 2}, Fresh, "") // which was late
	s.Settle(Claim{Request: r, Run: "x", Try: 1}, nil)
	s.Settle(Claim{Request: r, Run: "y", Try: 3}, nil)
	claim(Claim{Run: "y"}, Claimed, "x")
	claim(Claim{Run: "y", Over: "z"}, Claimed, "x")
	if state, _, claimed := s.Begin(r); state != Fresh || claimed != "x" {
		t.Errorf("state %d, claimed by %q", state, claimed)
	}
	s.Withdraw(r.Name)
	claim(Claim{Run: "y", Over: "x"}, Fresh, "")
	if s.Bytes() != entryBytes {
		t.Errorf("%d bytes", s.Bytes())
	}
	s.Settle(Claim{Request: r, Run: "y"}, nil)
	if state, _, claimed := s.Begin(r); state != Fresh || claimed != "" || s.Bytes() != 0 {
		t.Errorf("state %d, claimed by %q, %d bytes", state, claimed, s.Bytes())
	}
	s.Settle(Claim{Request: r, Run: "late"}, &Answer{Err: errors.New("of another")})
	if state, _ := s.Confirm(r.Name); state != Fresh {
		t.Errorf("state %d", state)
	}
}

// Three nodes that ask each other for the same requests at once, and are told late and in any
// order, carry each out once.
func TestNodesThatAskEachOtherCarryOutOnce(t *testing.T) {
	runs := []string{"a", "b", "c"}
	for round := range 300 {
		var stores [3]*Store
		for i := range stores {
			stores[i] = New(Settings{Window: time.Minute, MaxBytes: 1 << 20}, nil)
		}
		r := request(1, 1)
		carried := make([]bool, len(stores))
		var all sync.WaitGroup
		for me, s := range stores {
			all.Go(func() {
				if state, _, _ := s.Begin(r); state != Fresh {
					return
				}
				for _, you := range rand.Perm(len(stores)) {
					if you == me {
						continue
					}
					c := Claim{Request: r, Run: runs[me], Try: 1, First: me < you}
					state, _, of := stores[you].Claim(c)
					if state == Claimed { // as if the third had said that it has not got it: the worst case
						c.Over = of
						state, _, _ = stores[you].Claim(c)
					}
					if state != Fresh {
						s.Withdraw(r.Name)
						return
					}
				}
				if state, _ := s.Confirm(r.Name); state == Fresh {
					carried[me] = true
				}
			})
		}
		all.Wait()
		n := 0
		for _, c := range carried {
			if c {
				n++
			}
		}
		if n > 1 {
			t.Fatalf("round %d: %d nodes carried the request out", round, n)
		}
	}
}
