package fair

import (
	"net/netip"
	"sync"
)

// Key names a caller: by the principal of its identity or, where that is empty, by its address.
type Key struct {
	Principal string
	Addr      netip.Addr
}

// Holder is what one caller holds of the resources of a node. Its methods may be called on nil,
// which is nobody.
type Holder struct {
	bodies, requests, records Part

	users int // seats, guarded by mu of Holders
}

// Bodies is the memory of request bodies that arrive or are decoded.
func (h *Holder) Bodies() *Part {
	if h == nil {
		return nil
	}
	return &h.bodies
}

// Requests is the requests that are worked on.
func (h *Holder) Requests() *Part {
	if h == nil {
		return nil
	}
	return &h.requests
}

// Records is the memory of records that Kafka has not acked.
func (h *Holder) Records() *Part {
	if h == nil {
		return nil
	}
	return &h.records
}

func (h *Holder) idle() bool {
	return h.users == 0 && h.bodies.held.Load() == 0 && h.requests.held.Load() == 0 && h.records.held.Load() == 0
}

// Holders are the callers of a node. The zero Holders has none.
//
// A holder stays known while a seat is its, or while it holds something: otherwise a caller would
// get a second share by closing its connections. Those that do neither are forgotten when the
// number of holders has doubled, so that a connection that many callers share does not make a
// Holder anew for each request.
type Holders struct {
	mu    sync.Mutex
	known map[Key]*Holder
	most  int // holders before the idle ones are forgotten
}

// fewest is the number of holders below which none is forgotten.
const fewest = 1024

// Seat is the place of a connection: the caller of its latest request. [Holders.Sit] is for one
// goroutine, that of the connection; [Holders.Leave] may be called by any.
type Seat struct {
	key    Key
	holder *Holder

	left bool // guarded by mu of Holders
}

// Sit returns the holder of the key, and makes the seat its. The zero Key has none.
func (h *Holders) Sit(s *Seat, key Key) *Holder {
	if key == s.key {
		return s.holder
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	next := h.find(key)
	if !s.left { // else nobody would leave it
		if s.holder != nil {
			s.holder.users--
		}
		if next != nil {
			next.users++
		}
	}
	s.key, s.holder = key, next
	return next
}

// find returns the holder of a key; h.mu is held.
func (h *Holders) find(key Key) *Holder {
	if key == (Key{}) {
		return nil
	}
	if found := h.known[key]; found != nil {
		return found
	}
	if len(h.known) >= max(h.most, fewest) {
		for k, of := range h.known {
			if of.idle() {
				delete(h.known, k)
			}
		}
		h.most = 2 * len(h.known)
	}
	if h.known == nil {
		h.known = make(map[Key]*Holder)
	}
	made := &Holder{}
	h.known[key] = made
	return made
}

// Leave ends the use of a seat. It may be called again.
func (h *Holders) Leave(s *Seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.left {
		return
	}
	if s.left = true; s.holder != nil {
		s.holder.users--
	}
}
