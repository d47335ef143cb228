package idempotency

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A store that takes over what another one remembers, in pages of any size, knows the same for the
// rest of its window.
func TestHandover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := New(Settings{Window: time.Minute, MaxBytes: 1 << 20}, nil)
		begin := func(s *Store, r Request, want State, of string) {
			t.Helper()
			if got, _, run := s.Begin(r); got != want || run != of {
				t.Errorf("state %d of %q, want %d of %q", got, run, want, of)
			}
		}
		for n := range byte(100) {
			old.Begin(request(n, 1))
			old.End(Sum{n}, &Answer{Status: 200, Body: []byte{n}})
		}
		time.Sleep(time.Minute / 2)
		old.Begin(request(100, 1))
		old.Claim(Claim{Request: request(101, 1), Run: "c", Try: 7})
		old.Begin(request(102, 1))
		old.End(Sum{102}, &Answer{Err: errors.New("unknown")})

		s := New(Settings{Window: time.Minute, MaxBytes: 1 << 20}, nil)
		pages := 0
		for behind, more := uint64(0), true; more; pages++ {
			var page []Memory
			page, behind, more = old.Memories(behind, 5*entryBytes)
			if len(page) > 10 {
				t.Fatalf("a page of %d", len(page))
			}
			for _, m := range page {
				if m.Answer == nil && m.Run == "" {
					m.Run = "old"
				}
				s.Remember(m)
				s.Remember(m)
			}
		}
		if pages < 10 || s.Bytes() != old.Bytes()+entryBytes {
			t.Errorf("%d pages, %d bytes, the other has %d", pages, s.Bytes(), old.Bytes())
		}
		begin(s, request(99, 1), Answered, "")
		begin(s, request(99, 2), Different, "")
		begin(s, request(102, 1), Answered, "")
		begin(s, request(100, 1), Fresh, "old")
		begin(s, request(101, 1), Fresh, "c")
		s.Remember(Memory{Request: request(101, 1), Answer: &Answer{Status: 200}})
		if state, a := s.Confirm(Sum{101}); state != Answered || a.Status != 200 {
			t.Errorf("state %d with %v", state, a)
		}
		s.Confirm(Sum{100})
		s.Remember(Memory{Request: request(100, 1), Answer: &Answer{Status: 500}}) // this node knows better
		s.End(Sum{100}, &Answer{Status: 200})
		if _, a, _ := s.Begin(request(100, 1)); a == nil || a.Status != 200 {
			t.Errorf("answered with %v", a)
		}
		s.Remember(Memory{Request: request(200, 1), Answer: &Answer{Status: 200}, Age: time.Minute - 1})
		time.Sleep(time.Minute / 2)
		begin(s, request(0, 1), Fresh, "") // its window began with the other node
		begin(s, request(200, 1), Fresh, "")
		begin(s, request(102, 1), Answered, "")
	})
}

// The memories of another node are bounded as those of this one.
func TestHandoverIsBounded(t *testing.T) {
	evicted := 0
	s := New(Settings{Window: time.Hour, MaxBytes: 10_000}, func() { evicted++ })
	for n := range byte(100) {
		s.Remember(Memory{Request: request(n, 0), Answer: &Answer{Body: make([]byte, 100)}})
	}
	if s.Bytes() > 10_000 || evicted != 80 {
		t.Errorf("%d bytes; %d answers were evicted", s.Bytes(), evicted)
	}
	s.Remember(Memory{Request: request(100, 0), Answer: &Answer{Body: make([]byte, 5000)}})
	if _, a, _ := s.Begin(request(100, 0)); a == nil || !a.Large {
		t.Errorf("a large answer is kept as %+v", a)
	}
}
