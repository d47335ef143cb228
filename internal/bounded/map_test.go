package bounded

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// The map never has more than its limit, and always what was put last.
func TestMapIsBounded(t *testing.T) {
	for _, limit := range []int{-1, 0, 1, 2, 10} {
		m := New[int, int](limit, nil)
		for i := range 100 {
			m.Put(i, -i)
			if v, ok := m.Get(i); !ok || v != -i || m.Len() > max(limit, 1) {
				t.Fatalf("limit %d: after %d it has %d entries and %d, %v", limit, i, m.Len(), v, ok)
			}
		}
		if m.Len() != max(limit, 1) {
			t.Errorf("limit %d: %d entries in the end", limit, m.Len())
		}
	}
}

// Entries in use stay, however many come that are asked for once; those that are not in use go in
// the order in which they came.
func TestMapKeepsWhatIsUsed(t *testing.T) {
	m := New[int, int](10, nil)
	for i := range 10 {
		m.Put(i, i)
	}
	for i := 10; i < 1000; i++ {
		for used := range 5 {
			if _, ok := m.Get(used); !ok {
				t.Fatalf("%d was evicted for %d", used, i)
			}
		}
		m.Put(i, i)
		for last := max(5, i-4); last <= i; last++ {
			if m.entries[last] == nil {
				t.Fatalf("%d was evicted for %d, before others that are older", last, i)
			}
		}
	}
}

// When all are used, one goes all the same, and then each has to be used again.
func TestMapEvictsAmongTheUsed(t *testing.T) {
	m := New[int, int](3, nil)
	for i := range 3 {
		m.Put(i, i)
		m.Get(i)
	}
	if v, ok := m.Evict(); !ok || v != 0 {
		t.Errorf("evicted %d, %v", v, ok)
	}
	m.Get(1)
	if v, ok := m.Evict(); !ok || v != 2 {
		t.Errorf("evicted %d, %v", v, ok)
	}
	if v, ok := m.Evict(); !ok || v != 1 {
		t.Errorf("evicted %d, %v", v, ok)
	}
	if v, ok := m.Evict(); ok {
		t.Errorf("evicted %d of none", v)
	}
}

// An expendable entry goes before others, used or not.
func TestMapEvictsTheExpendable(t *testing.T) {
	m := New[int, int](3, func(v int) bool { return v < 0 })
	for i, v := range []int{1, -2, 3} {
		m.Put(i, v)
		m.Get(i)
	}
	m.Put(3, 4)
	if _, ok := m.Get(1); ok || m.Len() != 3 {
		t.Errorf("%d entries, the expendable one is there: %v", m.Len(), ok)
	}
}

// The ring has just the entries of the map, whatever is done with it.
func TestMapAgainstAModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m, model := New[int, int](20, nil), map[int]int{}
	for step := range 20_000 {
		key := r.IntN(40)
		switch r.IntN(4) {
		case 0, 1:
			m.Put(key, step)
			model[key] = step
		case 2:
			if v, ok := m.Delete(key); ok && v != model[key] {
				t.Fatalf("step %d: deleted %d, want %d", step, v, model[key])
			}
			delete(model, key)
		default:
			if v, ok := m.Evict(); ok != (len(model) > 0) {
				t.Fatalf("step %d: evicted %d, %v of %d", step, v, ok, len(model))
			}
		}
		n := 0
		for e := m.hand; e != nil; e = e.next {
			if n++; m.entries[e.key] != e || model[e.key] != e.value || e.next.prev != e {
				t.Fatalf("step %d: the ring has %d=%d, want %d", step, e.key, e.value, model[e.key])
			}
			if e.next == m.hand {
				break
			}
		}
		if n != m.Len() || n > 20 {
			t.Fatalf("step %d: the ring has %d entries, the map %d", step, n, m.Len())
		}
		for key := range model { // forget what was evicted
			if m.entries[key] == nil {
				delete(model, key)
			}
		}
	}
}

// A hit allocates nothing and may come from many goroutines under a read lock.
func TestHits(t *testing.T) {
	m := New[string, *int](4, nil)
	var mu sync.RWMutex
	m.Put("key", new(int))
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := m.Get("key"); !ok {
			t.Error("it is not there")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 1000 {
				mu.RLock()
				_, ok := m.Get("key")
				mu.RUnlock()
				if !ok {
					t.Error("it was evicted")
				}
				if i%100 == 0 {
					mu.Lock()
					m.Put("key", new(int))
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
}
