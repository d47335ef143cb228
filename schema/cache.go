package schema

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec"
	"millrace/internal/singleflight"
)

// question identifies a look-up: it is the key of the caches. A question about an id has only the
// id.
type question struct {
	format codec.Format
	key    bool // of the keys, not the values
	topic  string
	id     int32
	text   []byte
}

var seed = maphash.MakeSeed()

// hash is almost unique; equal decides.
func (q *question) hash() uint64 {
	h := uint64(uint32(q.id))<<8 | uint64(q.format)<<1
	if q.key {
		h |= 1
	}
	if q.topic != "" {
		h = (h ^ maphash.String(seed, q.topic)) * 31 // or a text could be taken for a topic
	}
	if len(q.text) > 0 {
		h ^= maphash.Bytes(seed, q.text)
	}
	return h
}

func (q *question) equal(p *question) bool {
	return q.id == p.id && q.format == p.format && q.key == p.key && q.topic == p.topic && bytes.Equal(q.text, p.text)
}

// clone returns a question that borrows nothing.
func (q *question) clone() question {
	c := *q
	c.topic, c.text = strings.Clone(q.topic), bytes.Clone(q.text)
	return c
}

// callKey is a question as the key of the singleflight.
type callKey struct {
	format      codec.Format
	key         bool
	id          int32
	topic, text string
}

// callKey returns the key of q, which must not borrow its topic.
func (q *question) callKey() callKey {
	return callKey{q.format, q.key, q.id, q.topic, string(q.text)}
}

// entry is a cached answer: a value, or the error that it does not exist.
type entry struct {
	question question
	value    stored
	err      error
	until    time.Time // zero: forever
	used     atomic.Bool
}

func (e *entry) fresh() bool { return e.until.IsZero() || time.Now().Before(e.until) }

// entrySize is the memory of an entry besides its text and its schema.
const entrySize = 512

// cache caches answers, up to a number of them and up to a size. A reader takes a lock, which
// writers hold only to change a map, and marks the entry as used.
type cache struct {
	limit  int // number of entries
	bytes  int // memory of the entries, one entry excepted
	calls  singleflight.Group[callKey, stored]
	hits   atomic.Uint64
	misses atomic.Uint64

	mu      sync.RWMutex
	entries map[uint64]*entry // guarded by mu, as are the next two
	holders map[compiled]int  // number of entries that have a schema, which counts once
	held    int               // bytes, about
}

func newCache(limit, bytes int) *cache {
	return &cache{limit: max(limit, 1), bytes: bytes, entries: map[uint64]*entry{}, holders: map[compiled]int{}}
}

// get returns the entry of q, fresh or not, or nil.
func (c *cache) get(q *question) *entry {
	h := q.hash()
	c.mu.RLock()
	e := c.entries[h]
	c.mu.RUnlock()
	if e == nil || !e.question.equal(q) {
		return nil
	}
	if !e.used.Load() { // a store at each hit would make the cores contend for the cache line
		e.used.Store(true)
	}
	return e
}

// lookup is get for the hot path: it counts hits and misses, and returns fresh entries only.
func (c *cache) lookup(q *question) *entry {
	e := c.get(q)
	if e == nil || !e.fresh() {
		c.misses.Add(1)
		return nil
	}
	c.hits.Add(1)
	return e
}

// put caches an entry, which it takes. An entry that is larger than the bound is cached too, but
// then alone.
func (c *cache) put(e *entry) {
	h := e.question.hash()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(h)
	for len(c.entries) > 0 && (len(c.entries) >= c.limit || c.held+c.cost(e) > c.bytes) {
		c.evict()
	}
	c.held += c.cost(e)
	c.entries[h] = e
	if s := e.value.schema; s != nil {
		c.holders[s]++
	}
}

// cost returns the memory that e adds to the cache, or that its eviction frees.
func (c *cache) cost(e *entry) int {
	cost := entrySize + len(e.question.topic) + len(e.question.text)
	if s := e.value.schema; s != nil && c.holders[s] == 0 {
		cost += e.value.size
	}
	return cost
}

func (c *cache) remove(h uint64) {
	e := c.entries[h]
	if e == nil {
		return
	}
	delete(c.entries, h)
	if s := e.value.schema; s != nil {
		if c.holders[s]--; c.holders[s] == 0 {
			delete(c.holders, s)
		}
	}
	c.held -= c.cost(e)
}

// evict removes one entry: a negative one, or one that was not used since evict last saw it.
// Iteration over a map starts at a random entry, so no order needs to be maintained; and clients
// that send invalid schemas cannot evict valid ones.
func (c *cache) evict() {
	var last uint64
	for h, e := range c.entries {
		last = h
		if e.err != nil || !e.used.Load() {
			break
		}
		e.used.Store(false)
	}
	c.remove(last)
}

// size returns the number of entries, and about how many bytes they hold.
func (c *cache) size() (n, bytes int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries), c.held
}
