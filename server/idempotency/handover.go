package idempotency

import "time"

// Memory is what a node remembers of a request, as it tells a node that has joined.
type Memory struct {
	Request Request
	// Answer is nil where another node than the one that asks has the request. Run is that node's
	// then; it is empty for the node that tells.
	Answer *Answer
	Run    string
	Try    uint64 // of the claim of Run
	// Age is how long ago the answer was given, or the claim made.
	Age time.Duration
}

// Memories returns what is remembered behind a place, in an order in which the places of later
// pages follow; 0 is before all. A page ends when it has size bytes. more says that there are
// others behind last. Requests that this node is about itself are in the first page: the reader of
// that page must hear of all that is settled from then on.
func (s *Store) Memories(behind uint64, size int64) (page []Memory, last uint64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(now)
	if behind == 0 {
		for _, e := range s.entries {
			if e.phase != idle {
				page = append(page, Memory{Request: e.request})
			}
		}
	}
	last = behind
	for place := s.kept.Front(); place != nil; place = place.Next() {
		e := place.Value.(*entry)
		if e.number <= behind || s.isOver(e, now) {
			continue
		}
		if size <= 0 {
			return page, last, true
		}
		page = append(page, Memory{Request: e.request, Answer: e.answer, Run: e.claim, Try: e.try, Age: now.Sub(e.at)})
		last = e.number
		size -= e.bytes()
	}
	return page, last, false
}

// Remember takes over what another node remembers of a request, unless this node knows as much.
func (s *Store) Remember(m Memory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	at := now.Add(-m.Age)
	if m.Age >= s.settings.Window {
		return
	}
	e := s.find(m.Request.Name, now)
	switch {
	case e == nil:
		e = &entry{request: m.Request, claim: m.Run, try: m.Try, at: at}
		if m.Answer != nil {
			e.answer, e.claim = s.fit(m.Answer), ""
		}
		s.entries[m.Request.Name] = e
		s.keep(e)
	case e.answer != nil, m.Answer == nil, e.phase == carrying, e.request.Content != m.Request.Content:
	case e.phase == asking:
		e.answer, e.at = s.fit(m.Answer), at
	default:
		s.settle(e, m.Answer)
		e.at = at
	}
}
