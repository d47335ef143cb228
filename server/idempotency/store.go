package idempotency

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// Settings bound what a [Store] remembers.
type Settings struct {
	// Window is how long an answer is remembered (idempotency.window.ms); 0 turns keys off.
	Window time.Duration
	// MaxBytes bounds the memory of all answers (idempotency.max.bytes).
	MaxBytes int64
}

// Sum is a hash.
type Sum [sha256.Size]byte

// Request is what a request is known by.
type Request struct {
	// Name is of the caller, the path and the key, Content of what it sends.
	Name, Content Sum
}

// Answer is what became of a request. It is immutable.
type Answer struct {
	Status                  int
	ContentType, RetryAfter string
	Body                    []byte
	// Large says that Body was too large to be remembered.
	Large bool
	// Err is the error that the request was answered with, instead of all of the above.
	Err error
}

// State is what is known of a request.
type State uint8

// The states.
const (
	// Fresh is a request that the caller of [Store.Begin] is to carry out, and to end.
	Fresh State = iota
	// Busy is one that is being carried out.
	Busy
	// Different is one whose name another request had, of other content.
	Different
	// Answered is one that has an answer.
	Answered
)

// entryBytes is what an answer takes beside its body, about.
const entryBytes = 400

// Store remembers answers. Make one with [New].
type Store struct {
	settings Settings
	evicted  func() // called for each answer that is forgotten before its time

	mu      sync.Mutex
	entries map[Sum]*entry
	done    list.List // of *entry, those that have an answer, the oldest first
	bytes   int64     // of those
}

// entry is a request. Its answer is nil while it is busy.
type entry struct {
	request Request
	answer  *Answer
	at      time.Time // of the answer
}

func (e *entry) bytes() int64 { return entryBytes + int64(len(e.answer.Body)) }

// New returns a store that knows nothing. evicted, which may be nil, is called for each answer that
// is forgotten before its time.
func New(s Settings, evicted func()) *Store {
	if evicted == nil {
		evicted = func() {}
	}
	return &Store{settings: s, evicted: evicted, entries: make(map[Sum]*entry)}
}

// Begin returns what is known of a request, and its answer if it has one.
func (s *Store) Begin(r Request) (State, *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(time.Now())
	e := s.entries[r.Name]
	switch {
	case e == nil:
		s.entries[r.Name] = &entry{request: r}
		return Fresh, nil
	case e.request.Content != r.Content:
		return Different, nil
	case e.answer == nil:
		return Busy, nil
	}
	return Answered, e.answer
}

// End says what a request that [Store.Begin] called Fresh was answered with. Nil says that nothing
// was written, so that it may be carried out anew. It takes the answer.
func (s *Store) End(name Sum, a *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[name]
	if e == nil || e.answer != nil {
		panic("BUG: the end of a request that has not begun")
	}
	if a == nil {
		delete(s.entries, name)
		return
	}
	if int64(len(a.Body)) > s.settings.MaxBytes/largest {
		a = &Answer{Status: a.Status, Large: true}
	}
	e.answer, e.at = a, time.Now()
	s.done.PushBack(e)
	s.bytes += e.bytes()
	s.expire(e.at)
	for s.bytes > s.settings.MaxBytes && s.done.Len() > 1 {
		s.forgetOldest()
		s.evicted()
	}
}

// largest is which part of the memory one answer may have.
const largest = 8

// expire forgets the answers whose time is over. The caller holds mu.
func (s *Store) expire(now time.Time) {
	for first := s.done.Front(); first != nil; first = s.done.Front() {
		if now.Sub(first.Value.(*entry).at) < s.settings.Window {
			return
		}
		s.forgetOldest()
	}
}

func (s *Store) forgetOldest() {
	e := s.done.Remove(s.done.Front()).(*entry)
	s.bytes -= e.bytes()
	delete(s.entries, e.request.Name)
}

// Bytes returns the memory that the answers take, about.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
