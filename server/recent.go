package server

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/metrics"
)

// maxRecent bounds the recent errors, each once for the route where it happened.
const maxRecent = 50

// recent holds the recent errors, their routes, and the last of each as a sample. Messages
// can quote a client's data, so samples are for those who may see the dashboard. It evicts the
// error that happened longest ago, since that is what the list shows; a bounded.Map does not keep
// that order.
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
	count  uint64
	last   time.Time
	sample Sample
}

// Sample is the last request or record that failed with an error.
type Sample struct {
	// Topic is empty where the path of a request names none.
	Topic string
	// Client is its address, its name if it has shown who it is, and the origin of a web page.
	Client string
	// Message is what the client was told.
	Message string
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
	// Sample is the last of them.
	Sample Sample
}

// RecentErrors returns the recent errors, the latest first: 50 at most, each once for the route
// where it happened.
func (s *Server) RecentErrors() []RecentError {
	list := s.figures.recent.list()
	all := make([]RecentError, len(list))
	for i, e := range list {
		all[i] = RecentError{e.kind, e.route, e.records, e.count, e.last, e.sample}
	}
	return all
}

// note counts n errors at a place, of which the sample is the last.
func (r *recent) note(at errorPlace, n int, sample Sample) {
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
	e.last, e.sample = time.Now(), sample
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

// maxSample bounds each text of a sample.
const maxSample = 200

// sampleOf returns the sample of a request that failed.
func (s *Server) sampleOf(ctx *fasthttp.RequestCtx, e *apierr.Error) Sample {
	sample := Sample{Client: s.SenderOf(ctx).String(), Message: cut(e.Message())}
	if topic, ok := ctx.UserValue("topic").(string); ok {
		sample.Topic = cut(strings.Clone(topic)) // the router's is of the request
	}
	return sample
}

// cut shortens a text to maxSample bytes of valid UTF-8, in memory of its own.
func cut(text string) string {
	if len(text) > maxSample {
		text = text[:maxSample] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// Failures counts records that are not in Kafka by the kind of their error, and keeps the last
// error of each kind as a sample. Records of one response fail for few reasons, so that a list is
// searched. The zero value is empty.
type Failures []failure

type failure struct {
	last    *apierr.Error
	topic   string // of the last
	records int
}

// Add counts records of a topic that failed with err. It borrows topic until the next
// [Failures.Reset].
func (f *Failures) Add(topic string, err *apierr.Error, records int) {
	for i := range *f {
		if c := &(*f)[i]; c.last.Kind == err.Kind {
			c.last, c.topic = err, topic
			c.records += records
			return
		}
	}
	*f = append(*f, failure{err, topic, records})
}

// Reset drops all counts and keeps the memory.
func (f *Failures) Reset() {
	clear(*f)
	*f = (*f)[:0]
}

// Sender is the client of a request, for the samples of errors. It outlives the request: records
// of a stream fail while the next ones are read, and those of events after their answer.
type Sender struct {
	addr              netip.Addr
	principal, origin string // empty: unknown, and none
}

// SenderOf returns the client of a request.
func (s *Server) SenderOf(ctx *fasthttp.RequestCtx) Sender {
	c := Sender{addr: s.ClientAddr(ctx)}
	if id := CallerOf(ctx); !id.Anonymous() {
		c.principal = id.Principal()
	}
	if origin := ctx.Request.Header.PeekCanonical(headerOrigin); len(origin) > 0 {
		c.origin = cut(string(origin))
	}
	return c
}

// String returns the address, who that is, and the page that the request is of.
func (c Sender) String() string {
	text := c.addr.String()
	if c.principal != "" {
		text += ", " + c.principal
	}
	if c.origin != "" {
		text += ", a page of " + c.origin
	}
	return text
}

// RecordsFailed counts the failed records of one response, with the last of each kind as a sample.
// Call it once for all of a response: it takes a lock that all requests share.
func (s *Server) RecordsFailed(from Sender, failed Failures) {
	for _, f := range failed {
		if c := s.figures.failures[f.last.Kind]; c != nil {
			c.Records.Add(uint64(f.records))
		}
		s.figures.recent.note(errorPlace{kind: f.last.Kind, records: true}, f.records,
			Sample{Topic: cut(strings.Clone(f.topic)), Client: from.String(), Message: cut(f.last.Message())})
	}
}

// AllFailed is [Server.RecordsFailed] for records of a topic that failed together.
func (s *Server) AllFailed(from Sender, topic string, err error, records int) {
	s.RecordsFailed(from, Failures{{apierr.From(err), topic, records}})
}
