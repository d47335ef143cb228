package ingest

import (
	"testing"
	"time"
)

// An id that is acknowledged again after its window is as young as others: it does not go with its
// first time.
func TestIDsAreRenewed(t *testing.T) {
	s, now := newIDs(), time.Now()
	ack := func(id uint64, now time.Time) {
		t.Helper()
		if v := s.begin(id, time.Minute, now); v != fresh {
			t.Fatalf("the id %d is %d", id, v)
		}
		s.end([]uint64{id}, func(int) bool { return false })
	}
	ack(1, now)
	ack(1, now.Add(time.Hour))
	for id := range uint64(maxIDs - 1) {
		ack(2+id, now)
	}
	if v := s.begin(1, time.Minute, now); v != double {
		t.Errorf("the id that came again is %d", v)
	}
	ack(2+maxIDs, now)
	if v := s.begin(1, time.Minute, now); v != fresh || len(s.known) > maxIDs+1 {
		t.Errorf("of %d ids, the oldest is %d", len(s.known), v)
	}
}
