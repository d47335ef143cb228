package ingest

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// Route is one route: the rules that make records of events. It is immutable.
type Route struct {
	name string
	// topic names the topic of all events of a request; topics are those that it may name.
	topic  source
	topics []string
	// key, partition and timestamp are nil where there is no rule.
	key, partition, timestamp *source
	headers                   []headerRule
	// params are the query parameters that rules read; a request may have no other.
	params []string
	// perEvent reports that a rule looks into events.
	perEvent bool
	// The bounds of a body, of its events and of one event; 0 is the node's own.
	maxBytes, maxEvents, maxEventBytes int
	// pixel serves pixel.gif.
	pixel bool
}

// headerRule is a header of the records.
type headerRule struct {
	key  string
	from source
}

// Table is the routes of a file. It is immutable; the zero Table has none.
type Table struct {
	routes map[string]*Route
}

// Len returns how many routes there are.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.routes)
}

// defaultRoute is the route of each topic that has none in the file. The topic is the name in the
// path.
var defaultRoute = &Route{key: &source{of: "key", from: query, name: "key"}, params: []string{"key"}}

// topicOf returns the topic of a request's events.
func (r *Route) topicOf(ctx *fasthttp.RequestCtx) (string, error) {
	value := r.topic.ofRequest(ctx)
	if r.topic.from == fixed {
		return string(value), nil
	}
	if i := slices.Index(r.topics, string(value)); i >= 0 {
		return r.topics[i], nil
	}
	return "", apierr.Unprocessable.New("The %s must be one of %s, not %q.", &r.topic, strings.Join(r.topics, ", "), value)
}

// checkQuery refuses query parameters that no rule reads: they would be ignored.
func (r *Route) checkQuery(ctx *fasthttp.RequestCtx) error {
	if ctx.QueryArgs().Len() == 0 {
		return nil
	}
	for name := range ctx.QueryArgs().All() {
		if !slices.Contains(r.params, string(name)) {
			takes := "none"
			if len(r.params) > 0 {
				takes = strings.Join(r.params, ", ")
			}
			return apierr.BadRequest.New("This ingest route takes no query parameter %q; it takes %s.", name, takes)
		}
	}
	return nil
}

// sources yields the rules that make a record, but for its topic.
func (r *Route) sources(yield func(*source) bool) {
	for _, s := range []*source{r.key, r.partition, r.timestamp} {
		if s != nil && !yield(s) {
			return
		}
	}
	for i := range r.headers {
		if !yield(&r.headers[i].from) {
			return
		}
	}
}
