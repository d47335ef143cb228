package server

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"millrace/internal/apierr"
	"millrace/metrics"
)

// maxRecent is how many errors are remembered, each once for the route
// where it happened.
const maxRecent = 50

// recent remembers which errors happened lately, and where. It keeps no
// message: those can quote what a client sent.
type recent struct {
	mu   sync.Mutex
	seen map[errorPlace]*recentError
}

// errorPlace is where an error of a kind happened.
type errorPlace struct {
	kind *apierr.Kind
	// route is nil for connections that were turned away.
	route *metrics.Route
	// records tells records that failed apart from requests.
	records bool
}

type recentError struct {
	errorPlace
	count uint64
	last  time.Time
}

// RecentError is an error that happened lately, and where.
type RecentError struct {
	// Kind is the row of the table of errors.
	Kind *apierr.Kind
	// Route is nil for connections that were turned away, and for Records.
	Route *metrics.Route
	// Records tells records that failed apart from requests.
	Records bool
	// Count is how often it happened, Last when for the last time.
	Count uint64
	Last  time.Time
}

// RecentErrors returns the last errors, the latest first: 50 at most, each once for
// the route where it happened.
func (s *Server) RecentErrors() []RecentError {
	list := s.figures.recent.list()
	all := make([]RecentError, len(list))
	for i, e := range list {
		all[i] = RecentError{e.kind, e.route, e.records, e.count, e.last}
	}
	return all
}

// note counts n errors at a place.
func (r *recent) note(at errorPlace, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.seen[at]
	if e == nil {
		if r.seen == nil {
			r.seen = make(map[errorPlace]*recentError)
		}
		if len(r.seen) >= maxRecent {
			r.forgetOldest()
		}
		e = &recentError{errorPlace: at}
		r.seen[at] = e
	}
	e.count += uint64(n)
	e.last = time.Now()
}

// forgetOldest makes room. The caller holds r.mu.
func (r *recent) forgetOldest() {
	var oldest *recentError
	for _, e := range r.seen {
		if oldest == nil || e.last.Before(oldest.last) {
			oldest = e
		}
	}
	delete(r.seen, oldest.errorPlace)
}

// list returns what is remembered, the latest first.
func (r *recent) list() []recentError {
	r.mu.Lock()
	all := make([]recentError, 0, len(r.seen))
	for _, e := range r.seen {
		all = append(all, *e)
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b recentError) int {
		return cmp.Or(b.last.Compare(a.last), cmp.Compare(a.kind.Name, b.kind.Name))
	})
	return all
}
