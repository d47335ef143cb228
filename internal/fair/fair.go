// Package fair shares what a node has too little of among its callers: memory, and requests at
// work.
//
// A [Sum] counts what all callers hold of one resource, and a [Part] what one of them holds. The
// fair share of a caller is the bound of the Sum divided by the number of callers that hold
// some, and one more that may come. A caller may hold more than that while there is room, but the
// last [reserve] of the bound is for those that hold less. Otherwise a caller with many
// connections would take all of it, and a caller with one request would be refused.
//
// [Holders] has the parts of each caller, under a [Key]: its identity, or its address where the
// identity is not known. A connection has a [Seat], which remembers the [Holder] of its latest
// request, so that a further request of the same caller takes no lock and allocates nothing.
//
// The package knows no HTTP and no Kafka. All types but Seat may be used concurrently.
package fair

import "sync/atomic"

// reserve is the part of a bound, one of so many, that those over their fair share leave to the
// others.
const reserve = 8

// Sum is what all callers hold of a resource.
type Sum struct {
	held     atomic.Int64
	assigned atomic.Int64 // of held, what the parts have; more where parts are not given back with it
	holders  atomic.Int64 // parts that are not 0
}

// Part is what one caller holds of a [Sum].
type Part struct{ held atomic.Int64 }

// Held returns what all callers hold.
func (s *Sum) Held() int64 { return s.held.Load() }

// Add adds n, which may be negative, to a part and the sum, and returns the sum. A nil part is
// that of nobody.
func (s *Sum) Add(p *Part, n int64) int64 {
	s.Assign(p, n)
	return s.held.Add(n)
}

// Assign adds n to a part and not to the sum: for what the sum counts under another name, such as
// the bytes of a request that have become those of a batch.
func (s *Sum) Assign(p *Part, n int64) {
	if p != nil && n != 0 {
		s.assigned.Add(n)
		switch p.held.Add(n) {
		case n:
			s.holders.Add(1)
		case 0:
			s.holders.Add(-1)
		}
	}
}

// Over reports whether the part is over its fair share of the limit with n more. own is what the
// request in question holds of the part already: a caller with no other request is never over.
func (s *Sum) Over(p *Part, own, n, limit int64) bool {
	if p == nil {
		return false
	}
	held := p.held.Load()
	return held > own && held+n > limit/(s.holders.Load()+1)
}

// Room returns how much of the limit all may hold together before the part may have n more no
// longer: all of it, or less for a part over its fair share. own is that of [Sum.Over].
func (s *Sum) Room(p *Part, own, n, limit int64) int64 {
	if s.Over(p, own, n, limit) {
		return limit - limit/reserve
	}
	return limit
}

// Take adds n to a part and the sum, unless that leaves too little of the limit. own is that of
// [Sum.Over].
func (s *Sum) Take(p *Part, own, n, limit int64) bool {
	held, room := s.Add(p, n), s.Room(p, own+n, 0, limit)
	if held <= room && (room == limit || s.assigned.Load() <= room) {
		return true
	}
	s.Add(p, -n)
	return false
}

// TakeOwn is [Sum.Take] where the sum counts more than what the parts ask for, such as the copies
// that their bytes need until they are sent. It adds n for a part that is not over its fair share
// while the parts, without the rest, are within the limit. Otherwise that rest of one caller's
// would leave no room for another.
func (s *Sum) TakeOwn(p *Part, own, n, limit int64) bool {
	if s.Take(p, own, n, limit) {
		return true
	}
	if p == nil {
		return false
	}
	s.Add(p, n)
	if s.assigned.Load() <= limit && !s.Over(p, own+n, 0, limit) {
		return true
	}
	s.Add(p, -n)
	return false
}

// HasRoom reports whether [Sum.TakeOwn] would add n, as things are, for a new request.
func (s *Sum) HasRoom(p *Part, n, limit int64) bool {
	held, assigned, room := s.held.Load()+n, s.assigned.Load()+n, s.Room(p, 0, n, limit)
	if room < limit {
		return max(held, assigned) <= room
	}
	return held <= limit || p != nil && assigned <= limit
}

// Under reports whether the part is known to be below its fair share of the limit with one more.
// Where no other part holds anything there is nothing to share, and none is below.
func (s *Sum) Under(p *Part, limit int64) bool {
	if p == nil {
		return false
	}
	held, holders := p.held.Load(), s.holders.Load()
	alone := holders == 0 || holders == 1 && held > 0
	return !alone && held < limit/(holders+1)
}
