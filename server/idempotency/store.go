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
	// Fresh is a request of which nothing is known: the caller of [Store.Begin] or [Store.Claim] has
	// it now.
	Fresh State = iota
	// Busy is one that is being carried out.
	Busy
	// Different is one whose name another request had, of other content.
	Different
	// Answered is one that has an answer.
	Answered
	// Claimed is one that another node has claimed, which alone knows what became of it.
	Claimed
)

// entryBytes is what an answer takes beside its body, about.
const entryBytes = 400

// Store remembers answers. Make one with [New].
type Store struct {
	settings Settings
	evicted  func() // called for each answer that is forgotten before its time

	mu      sync.Mutex
	entries map[Sum]*entry
	// kept is of *entry, those that no request of this node is about, in the order in which this
	// node has learned of them. Those that others have told it may be older than those before them.
	kept  list.List
	bytes int64  // of those
	last  uint64 // number of a place
}

// phase is what this node does about a request itself.
type phase uint8

const (
	idle     phase = iota
	asking         // the other nodes whether they know it
	carrying       // it out
)

// entry is a request. It stands in kept while its phase is idle; it has an answer then, or a claim.
type entry struct {
	request Request
	phase   phase
	claim   string // the run of the other node that claimed it last, or empty
	try     uint64 // of that claim
	// overtaken says that the claim came while this node was asking, and counts.
	overtaken bool
	answer    *Answer
	at        time.Time // of the answer, or of the claim
	place     *list.Element
	number    uint64 // of the place: each is above those before it
}

func (e *entry) bytes() int64 {
	if e.answer == nil {
		return entryBytes
	}
	return entryBytes + int64(len(e.answer.Body))
}

// New returns a store that knows nothing. evicted, which may be nil, is called for each answer that
// is forgotten before its time.
func New(s Settings, evicted func()) *Store {
	if evicted == nil {
		evicted = func() {}
	}
	return &Store{settings: s, evicted: evicted, entries: make(map[Sum]*entry)}
}

// Begin returns what is known of a request, and its answer if it has one. One that is Fresh is the
// caller's, to be confirmed or withdrawn; claimed is the run of another node that has claimed it,
// or empty.
func (s *Store) Begin(r Request) (state State, a *Answer, claimed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(now)
	e := s.find(r.Name, now)
	switch {
	case e == nil:
		e = &entry{request: r}
		s.entries[r.Name] = e
	case e.request.Content != r.Content:
		return Different, nil, ""
	case e.answer != nil:
		return Answered, e.answer, ""
	case e.phase != idle:
		return Busy, nil, ""
	}
	s.unkeep(e)
	e.phase = asking
	return Fresh, nil, e.claim
}

// Confirm has a request that [Store.Begin] called Fresh be carried out by this node, and returns
// Fresh. It returns another state, and the request is the caller's no more, if another node has
// overtaken this one since Begin.
func (s *Store) Confirm(name Sum) (State, *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.own(name)
	switch {
	case e.answer != nil:
		s.keep(e)
		return Answered, e.answer
	case e.overtaken:
		s.keep(e)
		return Busy, nil
	}
	e.phase, e.claim = carrying, ""
	return Fresh, nil
}

// Withdraw gives up a request that [Store.Begin] called Fresh, and that is not confirmed.
func (s *Store) Withdraw(name Sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.own(name); e.answer != nil || e.claim != "" {
		s.keep(e)
	} else {
		delete(s.entries, name)
	}
}

// End says what a request that [Store.Begin] called Fresh was answered with. Nil says that nothing
// was written, so that it may be carried out anew. It takes the answer.
func (s *Store) End(name Sum, a *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.own(name)
	if a == nil {
		delete(s.entries, name)
		return
	}
	s.settle(e, a)
}

// own returns the entry of a request that this node has begun. The caller holds mu.
func (s *Store) own(name Sum) *entry {
	e := s.entries[name]
	if e == nil || e.phase == idle {
		panic("BUG: the end of a request that has not begun")
	}
	return e
}

// settle remembers the answer of a request. The caller holds mu.
func (s *Store) settle(e *entry, a *Answer) {
	s.unkeep(e)
	e.answer, e.claim, e.at = s.fit(a), "", time.Now()
	s.keep(e)
}

// fit returns the answer, or what is remembered instead of one that is too large.
func (s *Store) fit(a *Answer) *Answer {
	if int64(len(a.Body)) > s.settings.MaxBytes/largest {
		return &Answer{Status: a.Status, Large: true}
	}
	return a
}

// largest is which part of the memory one answer may have.
const largest = 8

// keep makes the entry idle, and forgets others for which there is no room. The caller holds mu.
func (s *Store) keep(e *entry) {
	e.phase, e.overtaken = idle, false
	e.place = s.kept.PushBack(e)
	s.last++
	e.number = s.last
	s.bytes += e.bytes()
	s.expire(time.Now())
	for s.bytes > s.settings.MaxBytes && s.kept.Len() > 1 {
		s.forgetOldest()
		s.evicted()
	}
}

// unkeep takes the entry off those that may be forgotten. The caller holds mu.
func (s *Store) unkeep(e *entry) {
	if e.place == nil {
		return
	}
	s.kept.Remove(e.place)
	s.bytes -= e.bytes()
	e.place = nil
}

// find returns the entry of a name, or nil. One whose time is over is forgotten. The caller holds
// mu.
func (s *Store) find(name Sum, now time.Time) *entry {
	e := s.entries[name]
	if e != nil && s.isOver(e, now) {
		s.unkeep(e)
		delete(s.entries, name)
		return nil
	}
	return e
}

// isOver reports whether the time of an entry is over, which no request of this node is about.
func (s *Store) isOver(e *entry, now time.Time) bool {
	return e.place != nil && now.Sub(e.at) >= s.settings.Window
}

// expire forgets answers whose time is over, up to the first of which it is not. The caller holds
// mu.
func (s *Store) expire(now time.Time) {
	for first := s.kept.Front(); first != nil; first = s.kept.Front() {
		if !s.isOver(first.Value.(*entry), now) {
			return
		}
		s.forgetOldest()
	}
}

func (s *Store) forgetOldest() {
	e := s.kept.Front().Value.(*entry)
	s.unkeep(e)
	delete(s.entries, e.request.Name)
}

// Bytes returns the memory that the answers take, about.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
