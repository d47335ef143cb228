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
type entry[V any] struct {
	question question
	value    V
	err      error
	until    time.Time // zero: for ever
	used     atomic.Bool
}

func (e *entry[V]) fresh() bool { return e.until.IsZero() || time.Now().Before(e.until) }

// maxCachedText bounds the bytes of the texts that one cache keeps as
// questions, as its number of entries says little about them.
const maxCachedText = 32 << 20

// cache remembers answers. Reading takes a lock that writers hold only to
// change a map, and a mark on the entry that says it was of use.
type cache[V any] struct {
	limit   int
	flights singleflight.Group
	hits    atomic.Uint64
	misses  atomic.Uint64

	mu      sync.RWMutex
	entries map[uint64]*entry[V] // guarded by mu
	text    int                  // bytes of the questions' texts, guarded by mu
}

func newCache[V any](limit int) *cache[V] {
	return &cache[V]{limit: max(limit, 1), entries: make(map[uint64]*entry[V])}
}

// get returns the answer to q, fresh or not, or nil.
func (c *cache[V]) get(q *question) *entry[V] {
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
func (c *cache[V]) lookup(q *question) *entry[V] {
	e := c.get(q)
	if e == nil || !e.fresh() {
		c.misses.Add(1)
		return nil
	}
	c.hits.Add(1)
	return e
}

// put remembers an answer, which the cache takes.
func (c *cache[V]) put(e *entry[V]) {
	h := e.question.hash()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(h)
	for len(c.entries) >= c.limit || len(c.entries) > 0 && c.text+len(e.question.text) > maxCachedText {
		c.evict()
	}
	c.entries[h] = e
	c.text += len(e.question.text)
}

func (c *cache[V]) remove(h uint64) {
	if e := c.entries[h]; e != nil {
		c.text -= len(e.question.text)
		delete(c.entries, h)
	}
}

// evict forgets one answer: one that says no, or one that nobody has asked for
// since the last time somebody looked here. A map is walked from a place that
// is different each time, so no order needs to be kept; and clients that send
// schemas that are no good cannot push out those that are.
func (c *cache[V]) evict() {
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

// size is the number of answers.
func (c *cache[V]) size() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries)
}
