package fair

import (
	"net/netip"
	"strconv"
	"sync"
	"testing"
)

func TestOneCallerLeavesRoomForOthers(t *testing.T) {
	const limit = 800
	var s Sum
	var greedy, modest Part
	if !s.Take(&modest, 0, limit, limit) {
		t.Fatal("a lone request does not get all of the limit")
	}
	s.Add(&modest, -limit)
	n := 0
	for s.Take(&greedy, 0, 1, limit) {
		n++
	}
	if want := limit - limit/reserve; n != want {
		t.Errorf("one caller got %d, not %d", n, want)
	}
	for i := range limit / reserve {
		if !s.Take(&modest, 0, 1, limit) {
			t.Fatalf("another caller got %d", i)
		}
	}
	if s.Take(&modest, 0, 1, limit) || s.Held() != limit {
		t.Errorf("more than the limit is held: %d", s.Held())
	}
}

func TestNobodyIsNeverOver(t *testing.T) {
	var s Sum
	if !s.Take((*Holder)(nil).Bodies(), 0, 7, 7) || s.Take(nil, 0, 1, 7) || s.Over(nil, 0, 1, 1) {
		t.Error("what nobody holds is not bounded by the limit alone")
	}
}

func TestNobodyIsUnderWhereOneCallerIsAlone(t *testing.T) {
	var s Sum
	var greedy, modest Part
	s.Add(&greedy, 1)
	if s.Under(&greedy, 80) {
		t.Error("a caller is below a share that it has with nobody")
	}
	s.Add(&greedy, 79)
	if !s.Under(&modest, 80) {
		t.Error("a caller that holds nothing is not below its share")
	}
	s.Add(&modest, 1)
	if !s.Under(&modest, 80) || s.Under(&greedy, 80) {
		t.Error("of two callers the one with less is not the one below its share")
	}
}

func TestHoldersCountTheirParts(t *testing.T) {
	var s Sum
	parts := make([]Part, 8)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for range 1000 {
				s.Add(&parts[i%8], 3)
				s.Add(&parts[i%8], -3)
			}
		})
	}
	all.Wait()
	if s.holders.Load() != 0 || s.Held() != 0 {
		t.Errorf("%d callers hold %d", s.holders.Load(), s.Held())
	}
}

func TestHoldersStayWhileTheyHold(t *testing.T) {
	var h Holders
	var open, closed Seat
	seated := h.Sit(&open, Key{Principal: "key:a"})
	holding := h.Sit(&closed, Key{Addr: netip.MustParseAddr("192.0.2.1")})
	holding.Records().held.Add(1)
	h.Leave(&closed)
	h.Leave(&closed)
	var passing Seat
	for i := range 10 * fewest {
		h.Sit(&passing, Key{Principal: "key:" + strconv.Itoa(i)})
	}
	h.Leave(&passing)
	if n := len(h.known); n > 2*fewest {
		t.Errorf("%d callers are known, of which two hold something", n)
	}
	var other Seat
	if h.Sit(&other, Key{Principal: "key:a"}) != seated || h.Sit(&other, closed.key) != holding {
		t.Error("a caller has a second share")
	}
	if h.Sit(&other, Key{}) != nil || seated.users != 1 || holding.users != 0 {
		t.Errorf("%d and %d seats", seated.users, holding.users)
	}
	var late Seat
	h.Leave(&late)
	if h.Sit(&late, open.key).users != 1 {
		t.Error("a connection that is closed counts")
	}
}

func TestSameCallerAllocatesNothing(t *testing.T) {
	var h Holders
	var s Sum
	var seat Seat
	key := Key{Principal: "key:a"}
	h.Sit(&seat, key)
	if n := testing.AllocsPerRun(100, func() {
		of := h.Sit(&seat, key)
		s.Take(of.Requests(), 0, 1, 10)
		s.Add(of.Requests(), -1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The rest of a sum, beside the parts, is taken from the room of those over their fair share.
func TestRestOfTheSumLeavesRoomForOthers(t *testing.T) {
	const limit = 800
	var s Sum
	var greedy, modest Part
	for s.TakeOwn(&greedy, 0, 1, limit) {
		s.Add(nil, 1) // a copy
	}
	s.Add(nil, limit)
	if s.HasRoom(&greedy, 1, limit) || s.HasRoom(nil, 1, limit) || s.TakeOwn(nil, 0, 1, limit) {
		t.Error("there is room beyond the limit")
	}
	n := 0
	for s.HasRoom(&modest, 1, limit) && s.TakeOwn(&modest, 0, 1, limit) {
		n++
	}
	if n != limit/3 {
		t.Errorf("another caller got %d of %d", n, limit)
	}
}
