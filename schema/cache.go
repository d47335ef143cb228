package schema

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"millrace/codec"
)

// question is what is looked up: the key of the caches. The schemas by id have
// only the id.
type question struct {
	format codec.Format
	key    bool // of the keys, not the values
	topic  string
	id     int32
	text   []byte
}

var seed = maphash.MakeSeed()

// hash tells questions apart well enough for a map; equal has the last word.
func (q *question) hash() uint64 {
	h := uint64(uint32(q.id))<<8 | uint64(q.format)<<1
	if q.key {
		h |= 1
	}
	if q.topic != "" {
		h = (h ^ maphash.String(seed, q.topic)) * 31 // or a text would be a topic
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

// name is the question as a string, for the flights.
func (q *question) name() string {
	b := make([]byte, 0, 16+len(q.topic)+len(q.text))
	b = append(b, byte(q.format), 0)
	if q.key {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint32(b, uint32(q.id))
	b = binary.BigEndian.AppendUint32(b, uint32(len(q.topic)))
	return string(append(append(b, q.topic...), q.text...))
}

// entry is an answer that is remembered: a value, or that there is none.
type entry struct {
	question question
	value    stored
	err      error
	until    time.Time // zero: for ever
	used     atomic.Bool
}

func (e *entry) fresh() bool { return e.until.IsZero() || time.Now().Before(e.until) }

// entrySize is what an answer takes besides its text and its schema.
const entrySize = 512

// cache remembers answers, up to a number of them and up to a size. Reading takes a
// lock that writers hold only to change a map, and a mark on the entry that says it
// was of use.
type cache struct {
	limit   int // of the answers
	bytes   int // of what they hold, at least one of them aside
	flights singleflight.Group
	hits    atomic.Uint64
	misses  atomic.Uint64

	mu      sync.RWMutex
	entries map[uint64]*entry // guarded by mu, as are the next two
	holders map[compiled]int  // how many answers hold a schema, which counts once
	held    int               // bytes, about
}

func newCache(limit, bytes int) *cache {
	return &cache{limit: max(limit, 1), bytes: bytes, entries: map[uint64]*entry{}, holders: map[compiled]int{}}
}

// get returns the answer to q, fresh or not, or nil.
func (c *cache) get(q *question) *entry {
	h := q.hash()
	c.mu.RLock()
	e := c.entries[h]
	c.mu.RUnlock()
	if e == nil || !e.question.equal(q) {
		return nil
	}
	if !e.used.Load() { // writing it each time would have the cores fight for it
		e.used.Store(true)
	}
	return e
}

// lookup is get for the fast way: it counts, and gives fresh answers only.
func (c *cache) lookup(q *question) *entry {
	e := c.get(q)
	if e == nil || !e.fresh() {
		c.misses.Add(1)
		return nil
	}
	c.hits.Add(1)
	return e
}

// put remembers an answer, which the cache takes. It is remembered even if it is
// larger than all that may be held, but then alone.
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

// cost is what e adds to what is held, or what its end would free.
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

// evict forgets one answer: one that says no, or one that nobody has asked for
// since the last time somebody looked here. A map is walked from a place that
// is different each time, so no order needs to be kept; and clients that send
// schemas that are no good cannot push out those that are.
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

// size is the number of answers, and about how many bytes they hold.
func (c *cache) size() (n, bytes int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries), c.held
}
