package server

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"millrace/internal/apierr"
	"millrace/metrics"
)

// maxRecent bounds the recent errors, each once for the route where it happened.
const maxRecent = 50

// recent holds the recent errors and their routes. It holds no message, because messages can
// quote a client's data. It evicts the error that happened longest ago, since that is what the list
// shows; a bounded.Map does not keep that order.
type recent struct {
	mu   sync.Mutex
	seen map[errorPlace]*recentError
}

// errorPlace is a kind of error and the route where it happened.
type errorPlace struct {
	kind *apierr.Kind
	// route is nil for refused connections.
	route *metrics.Route
	// records distinguishes failed records from requests.
	records bool
}

type recentError struct {
	errorPlace
	count uint64
	last  time.Time
}

// RecentError is a recent error and its route.
type RecentError struct {
	// Kind is the row of the table of errors.
	Kind *apierr.Kind
	// Route is nil for refused connections, and for Records.
	Route *metrics.Route
	// Records distinguishes failed records from requests.
	Records bool
	// Count is how often it happened, Last the last time.
	Count uint64
	Last  time.Time
}

// RecentErrors returns the recent errors, the latest first: 50 at most, each once for the route
// where it happened.
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

// forgetOldest evicts the oldest error. The caller holds r.mu.
func (r *recent) forgetOldest() {
	var oldest *recentError
	for _, e := range r.seen {
		if oldest == nil || e.last.Before(oldest.last) {
			oldest = e
		}
	}
	delete(r.seen, oldest.errorPlace)
}

// list returns the recent errors, the latest first.
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
