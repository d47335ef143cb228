package schema

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec"
	"millrace/internal/bounded"
	"millrace/internal/singleflight"
)

// question identifies a look-up: it is the key of the caches. A question about an id has only the
// id, or the GUID.
type question struct {
	format codec.Format
	key    bool // of the keys, not the values
	topic  string
	id     int32
	guid   [16]byte
	text   []byte

	// The questions of Locate have these too.
	named   bool
	any     bool // of any format
	naming  SubjectName
	version int32
	subject []byte // in place of naming
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
	if q.guid != ([16]byte{}) {
		h ^= maphash.Bytes(seed, q.guid[:])
	}
	if len(q.text) > 0 {
		h ^= maphash.Bytes(seed, q.text)
	}
	if q.named {
		h = (h ^ uint64(q.naming) ^ uint64(uint32(q.version))<<8) * 31
		h ^= maphash.Bytes(seed, q.subject)
	}
	return h
}

func (q *question) equal(p *question) bool {
	return q.id == p.id && q.guid == p.guid && q.format == p.format && q.key == p.key && q.topic == p.topic && bytes.Equal(q.text, p.text) &&
		q.named == p.named && q.any == p.any && q.naming == p.naming && q.version == p.version && bytes.Equal(q.subject, p.subject)
}

// clone returns a question that borrows nothing.
func (q *question) clone() question {
	c := *q
	c.topic, c.text, c.subject = strings.Clone(q.topic), bytes.Clone(q.text), bytes.Clone(q.subject)
	return c
}

// callKey is a question as the key of the singleflight.
type callKey struct {
	format      codec.Format
	key         bool
	id          int32
	guid        [16]byte
	topic, text string
	named, any  bool
	naming      SubjectName
	version     int32
	subject     string
}

// callKey returns the key of q, which must not borrow its topic.
func (q *question) callKey() callKey {
	return callKey{q.format, q.key, q.id, q.guid, q.topic, string(q.text), q.named, q.any, q.naming, q.version, string(q.subject)}
}

// entry is a cached answer: a value, or the error that it does not exist.
type entry struct {
	question question
	value    stored
	err      error
	until    time.Time // zero: forever
}

func (e *entry) fresh() bool { return e.until.IsZero() || time.Now().Before(e.until) }

// negative reports whether e is evicted before others: clients that send invalid schemas must not
// evict valid ones.
func (e *entry) negative() bool { return e.err != nil }

// entrySize is the memory of an entry besides its text and its schema.
const entrySize = 512

// cache caches answers, up to a number of them and up to a size. A reader takes a lock, which
// writers hold only to change a map.
type cache struct {
	bytes  int // memory of the entries, one entry excepted
	calls  singleflight.Group[callKey, stored]
	hits   atomic.Uint64
	misses atomic.Uint64

	mu      sync.RWMutex
	entries *bounded.Map[uint64, *entry] // by hash; guarded by mu, as are the next two
	holders map[compiled]int             // number of entries that have a schema, which counts once
	held    int                          // bytes, about
}

func newCache(limit, bytes int) *cache {
	return &cache{bytes: bytes, entries: bounded.New[uint64](limit, (*entry).negative), holders: map[compiled]int{}}
}

// get returns the entry of q, fresh or not, or nil.
func (c *cache) get(q *question) *entry {
	h := q.hash()
	c.mu.RLock()
	e, ok := c.entries.Get(h)
	c.mu.RUnlock()
	if !ok || !e.question.equal(q) {
		return nil
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
	c.release(c.entries.Delete(h))
	for c.entries.Full() || c.entries.Len() > 0 && c.held+c.cost(e) > c.bytes {
		c.release(c.entries.Evict())
	}
	c.held += c.cost(e)
	c.entries.Put(h, e)
	if s := e.value.schema; s != nil {
		c.holders[s]++
	}
}

// cost returns the memory that e adds to the cache, or that its eviction frees.
func (c *cache) cost(e *entry) int {
	cost := entrySize + len(e.question.topic) + len(e.question.text) + len(e.question.subject) + len(e.value.subject)
	if s := e.value.schema; s != nil && c.holders[s] == 0 {
		cost += e.value.size
	}
	return cost
}

// release gives back the memory of an entry that was removed, if ok.
func (c *cache) release(e *entry, ok bool) {
	if !ok {
		return
	}
	if s := e.value.schema; s != nil {
		if c.holders[s]--; c.holders[s] == 0 {
			delete(c.holders, s)
		}
	}
	c.held -= c.cost(e)
}

// size returns the number of entries, and about how many bytes they hold.
func (c *cache) size() (n, bytes int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries.Len(), c.held
}
