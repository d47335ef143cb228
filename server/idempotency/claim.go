package idempotency

import "time"

// Claim is the wish of another node to carry a request out.
type Claim struct {
	Request Request
	// Run is that of the node, and Try numbers its claims.
	Run string
	Try uint64
	// Over is the run of a third node, or empty, that has told it that it does not carry the
	// request out, though it has claimed it before.
	Over string
	// First says that the claim counts where this node asks for the same at that time. Of two nodes
	// it is true for one.
	First bool
}

// Claim returns what is known of a request that another node is to carry out, and its answer if it
// has one. One that is Fresh is that node's: no request of this node has it until that node settles
// it, or says that it has not got it. claimed is the run of the node for which it is Claimed.
func (s *Store) Claim(c Claim) (state State, a *Answer, claimed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(now)
	e := s.find(c.Request.Name, now)
	switch {
	case e == nil:
		e = &entry{request: c.Request}
		s.entries[c.Request.Name] = e
	case e.request.Content != c.Request.Content:
		return Different, nil, ""
	case e.answer != nil:
		return Answered, e.answer, ""
	case e.phase == carrying, e.phase == asking && !c.First:
		return Busy, nil, ""
	case e.claim != "" && e.claim != c.Run && e.claim != c.Over:
		return Claimed, nil, e.claim
	}
	s.unkeep(e)
	if e.claim != c.Run || e.try < c.Try {
		e.claim, e.try, e.at = c.Run, c.Try, time.Now()
	}
	if e.phase == asking {
		e.overtaken = true
	} else {
		s.keep(e)
	}
	return Fresh, nil, ""
}

// Settle says what the request of a claim was answered with. Nil says that the node does not carry
// it out, or that nothing was written; that is of this claim alone, for a later one of that node
// may have overtaken it on the way. It takes the answer.
func (s *Store) Settle(c Claim, a *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(c.Request.Name, time.Now())
	switch {
	case e == nil && a != nil: // the claim did not arrive here, or is forgotten
		e = &entry{request: c.Request}
		s.entries[c.Request.Name] = e
		s.settle(e, a)
	case e == nil, e.answer != nil, e.phase == carrying, e.claim != c.Run, a == nil && e.try != c.Try:
	case e.phase == asking && a != nil:
		e.answer, e.at = s.fit(a), time.Now()
	case e.phase == asking:
		e.claim = ""
	case a != nil:
		s.settle(e, a)
	default:
		s.unkeep(e)
		delete(s.entries, c.Request.Name)
	}
}
