package ingest

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server"
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
	// plain reports that a record is the event, and the key of its request if there is a rule for
	// one. Then the rules cost an event nothing.
	plain bool
	// The bounds of a body, of its events and of one event; 0 is the node's own.
	maxBytes, maxEvents, maxEventBytes int
	// ack is what an answer promises, and fallback whether the spool takes what Kafka cannot.
	ack      ack
	fallback bool
	// cors is who may post from a page of another origin; nil: whom the node's settings allow.
	cors *server.CORS
	// pixel serves pixel.gif.
	pixel bool
	// schema is what events must fit, or nil.
	schema *schemaRule
	// deadLetter is the topic of events that are refused one by one, or empty; reads are the HTTP
	// headers that rules read, for these.
	deadLetter string
	reads      []string
	// enrich, drop and sample are nil where the route has no such rules.
	enrich *enrichRule
	drop   []dropRule
	sample *sampleRule
	dedupe *dedupeRule
	// overflow is where the events of hot keys go, or nil.
	overflow *overflowRule
}

// ack is what a success promises.
type ack uint8

const (
	// ackKafka: all in-sync replicas have the events.
	ackKafka ack = iota
	// ackDisk: the disk of this node has them.
	ackDisk
	// ackMemory: nothing; they are on their way.
	ackMemory
)

// headerRule is a header of the records.
type headerRule struct {
	key  string
	from source
}

// Table is the routes of a file. It is immutable; the zero Table has none.
type Table struct {
	routes map[string]*Route
}

// NeedsSpool returns the name of a route that needs a spool, or "".
func (t *Table) NeedsSpool() string {
	if t == nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(t.routes)) {
		if r := t.routes[name]; r.ack == ackDisk || r.fallback {
			return name
		}
	}
	return ""
}

// NeedsSchemas returns the name of a route that needs a schema registry, or "".
func (t *Table) NeedsSchemas() string {
	if t == nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(t.routes)) {
		if t.routes[name].schema != nil {
			return name
		}
	}
	return ""
}

// deadLetter returns the dead-letter topic of a route, or "".
func (t *Table) deadLetter(route string) string {
	if r := t.routes[route]; r != nil {
		return r.deadLetter
	}
	return ""
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
var defaultRoute = &Route{key: &source{of: "key", from: query, name: "key"}, params: []string{"key"}, plain: true}

// CORS returns the policy of the route that a request, which is not routed yet, is for; nil where
// it has none of its own.
func (in *Ingest) CORS(ctx *fasthttp.RequestCtx) *server.CORS {
	if r := in.named(ctx); r != nil {
		return r.cors
	}
	return nil
}

// named returns the route of the file that a request, which is not routed yet, is for, or nil. It
// is asked several times of each request, of whatever path.
func (in *Ingest) named(ctx *fasthttp.RequestCtx) *Route {
	table := in.table.Load()
	if len(table.routes) == 0 || !Owns(ctx) {
		return nil
	}
	name, _, _ := bytes.Cut(ctx.URI().PathOriginal()[len(prefix):], []byte{'/'})
	if bytes.IndexByte(name, '%') < 0 {
		return table.routes[string(name)] // this conversion allocates nothing
	}
	text, _ := url.PathUnescape(string(name)) // as the router's handler will have it
	return table.routes[text]
}

// topicOf returns the topic of a request's events. No rule may deny its caller to write there, or
// to the overflow topic, where some of them may go.
// That the caller may use the route was decided by the route's name.
func (r *Route) topicOf(ctx *fasthttp.RequestCtx) (string, error) {
	topic, err := r.choose(ctx)
	if err == nil {
		err = server.AllowWrite(ctx, topic)
	}
	if err == nil && r.overflow != nil {
		err = server.AllowWrite(ctx, r.overflow.topic)
	}
	return topic, err
}

// Topics returns the topics of which a request to the route of a name chooses one, and the overflow
// topic of the route, or "". ok is false where there is no such route.
func (in *Ingest) Topics(name string) (among []string, overflow string, ok bool) {
	r := in.table.Load().routes[name]
	if r == nil {
		return []string{name}, "", in.settings.DefaultRoutes
	}
	if r.overflow != nil {
		overflow = r.overflow.topic
	}
	if r.topic.from == fixed {
		return []string{string(r.topic.fixed)}, overflow, true
	}
	return r.topics, overflow, true
}

func (r *Route) choose(ctx *fasthttp.RequestCtx) (string, error) {
	if r.topic.from == fixed {
		return pool.String(r.topic.fixed), nil
	}
	value := r.topic.ofRequest(ctx)
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
