//go:build !race

package main

import (
	"runtime"
	"testing"
)

// The memory of a node does not grow with the records of a stream.
func TestStreamMemoryBudget(t *testing.T) {
	s := startStack(t, startBlackhole(t))
	values, err := realValues(distinctValues, 200)
	if err != nil {
		t.Fatal(err)
	}
	const records, pieces = 100, 2000
	c := newRecordsClient(t, s.addr, values, records, recordsForm{"json", records})
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	send := func(n int) {
		for range n {
			if err := c.send(); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(pieces / 20)
	before := inUse()
	most := before
	for range 10 {
		send(pieces / 10)
		most = max(most, inUse())
	}
	t.Logf("%d records: %d KiB in use before, %d at most", records*pieces, before>>10, most>>10)
	if most > before+8<<20 {
		t.Errorf("%d bytes were in use before, %d at most after", before, most)
	}
}
