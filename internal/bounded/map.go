// Package bounded has the one cache of the program that holds a bounded number of entries.
//
// The keys of a cache come from clients, so its size must not depend on them, and clients that
// send ever new keys must not evict what others use. The policy is CLOCK, also called second
// chance: a ring of entries and a hand. A hit marks the entry as used. To make room, the hand
// takes the mark off the entries that it passes, and evicts the first that has none. So an entry
// that is in use stays, and one that was asked for once goes, with a hit that changes one bit: many
// may hit at once under a read lock, and none allocates.
//
// An LRU list moves an entry at each hit, which takes an exclusive lock
// (github.com/hashicorp/golang-lru, which had its last release in 2023). A concurrent cache such as
// github.com/maypok86/otter evicts later, on goroutines of its own, and may refuse a new entry; the
// callers of this package rely on finding what they put last.
//
// Not for what is counted per key while it lasts, such as the connections of an address: that is
// bounded by what it counts, and an evicted count would be wrong.
package bounded

import "sync/atomic"

// Map is a map of at most a number of entries. It has no lock: [Map.Get], [Map.Len] and [Map.Full]
// may be called concurrently, any other method only alone. Its owner guards it, by a
// [sync.RWMutex] or along with what else it guards.
type Map[K comparable, V any] struct {
	limit      int
	expendable func(V) bool
	entries    map[K]*entry[K, V]
	hand       *entry[K, V] // in the ring; nil while there are no entries
}

// entry is an entry in its place in the ring.
type entry[K comparable, V any] struct {
	key        K
	value      V
	used       atomic.Bool // since the hand last passed
	prev, next *entry[K, V]
}

// New returns a map of at most limit entries, at least one. If expendable is not nil, the hand
// evicts an entry that it reports, used or not. Only [Map.Evict] and [Map.Put] call it.
func New[K comparable, V any](limit int, expendable func(V) bool) *Map[K, V] {
	return &Map[K, V]{limit: max(limit, 1), expendable: expendable, entries: make(map[K]*entry[K, V])}
}

// Get returns the value of the key and marks it as used.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	e := m.entries[key]
	if e == nil {
		return value, false
	}
	if !e.used.Load() { // a store at each hit would make the cores contend for the cache line
		e.used.Store(true)
	}
	return e.value, true
}

// Put sets the value of the key, which it takes, and evicts an entry where it needs room.
func (m *Map[K, V]) Put(key K, value V) {
	if e := m.entries[key]; e != nil {
		e.value = value
		return
	}
	for m.Full() {
		m.Evict()
	}
	e := &entry[K, V]{key: key, value: value}
	if m.entries[key] = e; m.hand == nil {
		m.hand, e.prev, e.next = e, e, e
		return
	}
	// Behind the hand: the last that it comes to.
	e.prev, e.next = m.hand.prev, m.hand
	e.prev.next, e.next.prev = e, e
}

// Delete removes the key and returns its value, if it has one.
func (m *Map[K, V]) Delete(key K) (value V, ok bool) {
	e := m.entries[key]
	if e == nil {
		return value, false
	}
	m.remove(e)
	return e.value, true
}

// Evict removes an entry to make room, and returns its value. It is for owners that bound more than
// the number of entries.
func (m *Map[K, V]) Evict() (value V, ok bool) {
	for e := m.hand; e != nil; e = e.next {
		if !e.used.Load() || m.expendable != nil && m.expendable(e.value) {
			m.hand = e
			m.remove(e)
			return e.value, true
		}
		e.used.Store(false)
	}
	return value, false
}

func (m *Map[K, V]) remove(e *entry[K, V]) {
	delete(m.entries, e.key)
	e.prev.next, e.next.prev = e.next, e.prev
	if m.hand == e {
		m.hand = e.next
	}
	if len(m.entries) == 0 {
		m.hand = nil
	}
}

// Len returns the number of entries.
func (m *Map[K, V]) Len() int { return len(m.entries) }

// Full reports whether the next key that is put evicts another.
func (m *Map[K, V]) Full() bool { return len(m.entries) >= m.limit }
