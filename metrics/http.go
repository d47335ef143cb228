package metrics

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HTTP statuses have three digits.
const minStatus, maxStatus = 100, 599

// Route counts the requests of one method and route template.
type Route struct {
	method, path   string
	took           *latency
	timedAsGET     bool // took is that of GET with the same template
	received, sent atomic.Uint64
	statuses       [maxStatus - minStatus + 1]atomic.Uint64
}

// Route returns the counters of a method and route template. It is for start-up. A route appears
// in a scrape after its first request. HEAD is the work of GET, whose times it shares: histograms
// are most of what a scrape has.
func (m *Metrics) Route(method, path string) *Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.route(method, path); r != nil {
		return r
	}
	r := &Route{method: method, path: path, took: new(latency)}
	if get := m.route(http.MethodGet, path); get != nil && method == http.MethodHead {
		r.took, r.timedAsGET = get.took, true
	}
	m.routes = append(m.routes, r)
	return r
}

// route returns the counters, or nil. The caller holds m.mu.
func (m *Metrics) route(method, path string) *Route {
	for _, r := range m.routes {
		if r.method == method && r.path == path {
			return r
		}
	}
	return nil
}

// Template returns the route's path, with the names of its parameters.
func (r *Route) Template() string { return r.path }

// Done counts an answered request: its status, how long it took, and the bytes
// of both bodies.
func (r *Route) Done(status int, took time.Duration, received, sent int) {
	r.took.observe(took)
	r.Waited(status, received, sent)
}

// Waited is [Route.Done] for a request that waited because its client asked it to: its time is no
// latency of the node, and would hide that of other requests.
func (r *Route) Waited(status, received, sent int) {
	r.received.Add(uint64(received))
	r.sent.Add(uint64(sent))
	r.Answered(status)
}

// Received counts bytes of the body of a request that is received piece by piece, in addition to
// those given to Done.
func (r *Route) Received(bytes int) { r.received.Add(uint64(bytes)) }

// Sent counts bytes of the body of a response that is sent piece by piece, in addition to those
// given to Done.
func (r *Route) Sent(bytes int) { r.sent.Add(uint64(bytes)) }

// Answered counts a request of which only the status is known.
func (r *Route) Answered(status int) {
	r.statuses[min(max(status, minStatus), maxStatus)-minStatus].Add(1)
}

func (r *Route) collect(to chan<- prometheus.Metric) {
	some := false
	for i := range r.statuses {
		if n := r.statuses[i].Load(); n > 0 {
			some = true
			httpRequests.put(to, float64(n), r.method, r.path, strconv.Itoa(minStatus+i))
		}
	}
	if !some {
		return
	}
	httpReceived.put(to, float64(r.received.Load()), r.method, r.path)
	httpSent.put(to, float64(r.sent.Load()), r.method, r.path)
	if r.timedAsGET {
		return
	}
	to <- shown{r.took, httpDuration.desc, prometheus.MakeLabelPairs(httpDuration.desc, []string{r.method, r.path})}
}
