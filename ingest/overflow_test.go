package ingest

import (
	"testing"
	"time"
)

// The keys that are counted are bounded, and a key that stays hot is not lost among those that
// senders make up.
func TestRatesAreBounded(t *testing.T) {
	rule := &overflowRule{rate: 1, burst: 1}
	s, now := newRates(), time.Now().UnixNano()
	for key := range uint64(maxHot) {
		if s.over(key, now, rule) {
			t.Fatalf("the first event of the key %d is too many", key)
		}
	}
	if !s.over(7, now, rule) {
		t.Error("a second event of a key is not too many")
	}
	for key := range uint64(maxHot) {
		s.over(maxHot+key, now, rule)
	}
	if len(s.ahead) != maxHot || !s.over(7, now, rule) {
		t.Errorf("%d keys are counted, or the hot one is lost", len(s.ahead))
	}
	now += int64(2 * time.Second) // nothing is left of the rates
	if s.over(3*maxHot, now, rule) || !s.over(3*maxHot, now, rule) || len(s.ahead) != 1 {
		t.Errorf("a new key is not counted among %d", len(s.ahead))
	}
}
