//go:build !race

package api_test

import (
	"bufio"
	"runtime/debug"
	"testing"

	"millrace/internal/testkit"
	"millrace/pool"
)

// A client that reads large pages in a loop gets them in the same buffer each time. (The garbage
// collector, which empties pools, is off; the race detector drops pooled buffers at random.)
func TestLargeReadAllocationBudget(t *testing.T) {
	b := testkit.Fake(t).Broker
	s := start(t, b)
	topic := largeRecords(t, b, "Q")
	conn := s.raw(t)
	r := bufio.NewReader(conn)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	read := func() {
		askFor(conn, topic, 0)
		wantLarge(t, r, 'Q')
	}
	for range 3 {
		read()
	}
	before := pool.Buffers()
	for range 50 {
		read()
	}
	if after := pool.Buffers(); after.Gets-before.Gets < 50 || after.Misses-before.Misses > 5 {
		t.Errorf("for 50 answers %d buffers were taken, %d of them new", after.Gets-before.Gets, after.Misses-before.Misses)
	}
}
