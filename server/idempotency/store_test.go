package idempotency

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func request(name, content byte) Request { return Request{Name: Sum{name}, Content: Sum{content}} }

// A request is carried out once within the window of its answer, and anew after it, or after an end
// without an answer.
func TestStoreAnswersWithinTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Settings{Window: time.Minute, MaxBytes: 1 << 20}, nil)
		begin := func(r Request, want State) {
			t.Helper()
			if got, a, _ := s.Begin(r); got != want || (a != nil) != (want == Answered) {
				t.Errorf("state %d with %v, want %d", got, a, want)
			}
		}
		begin(request(1, 1), Fresh)
		time.Sleep(time.Hour) // a request may take as long as it likes
		begin(request(1, 1), Busy)
		begin(request(1, 2), Different)
		begin(request(2, 1), Fresh)
		s.End(Sum{2}, nil)
		begin(request(2, 2), Fresh)
		s.End(Sum{1}, &Answer{Status: 200, Body: []byte("x")})
		begin(request(1, 1), Answered)
		begin(request(1, 2), Different)
		time.Sleep(time.Minute - time.Nanosecond)
		begin(request(1, 1), Answered)
		time.Sleep(time.Nanosecond)
		begin(request(1, 2), Fresh)
		if s.Bytes() != 0 {
			t.Errorf("%d bytes of answers that are over", s.Bytes())
		}
	})
}

// Beyond the bound the oldest answers go, and are counted; what is being carried out stays.
func TestStoreIsBounded(t *testing.T) {
	evicted := 0
	s := New(Settings{Window: time.Hour, MaxBytes: 10_000}, func() { evicted++ })
	s.Begin(request(255, 0))
	for n := range byte(100) {
		s.Begin(request(n, 0))
		s.End(Sum{n}, &Answer{Body: make([]byte, 100)})
		if s.Bytes() > 10_000 {
			t.Fatalf("%d bytes", s.Bytes())
		}
	}
	if evicted != 100-10_000/500 {
		t.Errorf("%d answers were evicted", evicted)
	}
	for n, want := range map[byte]State{255: Busy, 99: Answered, 0: Fresh} {
		if got, _, _ := s.Begin(request(n, 0)); got != want {
			t.Errorf("%d is %d, want %d", n, got, want)
		}
	}
	s.Begin(request(200, 0))
	s.End(Sum{200}, &Answer{Status: 201, Body: make([]byte, 5000)})
	if _, a, _ := s.Begin(request(200, 0)); a == nil || !a.Large || a.Status != 201 || a.Body != nil {
		t.Errorf("a large answer is kept as %+v", a)
	}
}

// However many ask at once, one of them is to carry the request out.
func TestStoreSaysFreshOnce(t *testing.T) {
	s := New(Settings{Window: time.Hour, MaxBytes: 1 << 20}, nil)
	for n := range byte(50) {
		var fresh atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if state, _, _ := s.Begin(request(n, 0)); state == Fresh {
					fresh.Add(1)
					s.End(Sum{n}, &Answer{Body: fmt.Append(nil, n)})
				}
			})
		}
		all.Wait()
		if fresh.Load() != 1 {
			t.Fatalf("%d were told to carry it out", fresh.Load())
		}
	}
}
