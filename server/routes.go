package server

import (
	"iter"
	"slices"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// Handler does the work of one route. An error that it returns becomes the
// response; see [Server.fail].
type Handler func(ctx *fasthttp.RequestCtx) error

// Route is one line of the API, and everything that the edge and others need to
// know about its requests.
type Route struct {
	// Method is the HTTP method. Beside each GET there is a HEAD.
	Method string
	// Path is the route template; a path parameter stands in braces.
	Path string
	// Admit is called before Handle; it negotiates media types. Nil: Handle does.
	Admit Handler
	// Body are the members that the JSON object in the body may have, with their
	// bounds; nil where there is no body, or one of records.
	Body Fields
	// Waits says that requests wait for something that may not come, so that the
	// time they take is no latency.
	Waits bool
	// Instance says that the path names a consumer instance, by the parameters
	// group and instance, which may be another node's.
	Instance bool
	// OwnHost refuses requests for hosts that are not this node's own names.
	OwnHost bool
	// SameOrigin refuses pages of other origins, even those that CORS allows.
	SameOrigin bool
	// Action is what a request does, and Resource to what kind of thing.
	Action   Action
	Resource Resource
	// Handle does the work.
	Handle Handler
}

// Action is what the requests of a route do.
type Action uint8

// The actions.
const (
	// Describe reads what is known of a thing.
	Describe Action = iota
	// Produce writes records.
	Produce
	// Consume reads records, or changes what a consumer has read.
	Consume
	// Administer changes or shows how the node or the Kafka cluster is run.
	Administer
	// Probe asks about the node itself: its health, its metrics, its documents.
	Probe
	// Notify is one node's message to another.
	Notify
)

// Resource is the kind of thing that a route is about.
type Resource uint8

// The resources.
const (
	// Node is the process that answers.
	Node Resource = iota
	// Cluster is the Kafka cluster: its brokers, its list of topics.
	Cluster
	// Topic is the topic that the path parameter topic names.
	Topic
	// Group is the consumer group that the path parameter group names.
	Group
)

// Handle enters routes. It is for start-up, before [Server.Serve]. A route that
// conflicts with one that was entered before is a defect, and panics.
func (s *Server) Handle(routes ...Route) {
	for _, rt := range routes {
		h := s.bind(rt)
		methods := []string{rt.Method}
		if rt.Method == fasthttp.MethodGet {
			methods = append(methods, fasthttp.MethodHead)
		}
		for _, m := range methods {
			s.router.Handle(m, rt.Path, s.counted(m, rt, h))
		}
	}
	s.routes = append(s.routes, routes...)
}

// Routes yields every route that was entered.
func (s *Server) Routes() iter.Seq[Route] { return slices.Values(s.routes) }

// Handler returns the handler of all requests, for those that come by no listener
// of ours.
func (s *Server) Handler() fasthttp.RequestHandler { return s.serve }

// newRouter returns a router without routes. Trailing slashes are gone before it
// is asked, see [trimSlash].
func (s *Server) newRouter() *router.Router {
	r := router.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.NotFound = func(ctx *fasthttp.RequestCtx) {
		s.fail(ctx, apierr.NotFound.New("There is nothing at %s.", SentPath(ctx)))
	}
	r.MethodNotAllowed = func(ctx *fasthttp.RequestCtx) {
		s.fail(ctx, apierr.MethodNotAllowed.New("%s does not support %s; see the Allow header.", SentPath(ctx), sentText(ctx.Method())))
	}
	r.GlobalOPTIONS = s.counted(fasthttp.MethodOptions, Route{Path: "any"}, s.cors.options)
	return r
}

// bind makes of a route what the router calls.
func (s *Server) bind(rt Route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if err := s.respondTo(rt, ctx); err != nil {
			s.fail(ctx, err)
		}
	}
}

func (s *Server) respondTo(rt Route, ctx *fasthttp.RequestCtx) error {
	if err := s.checkPage(rt, ctx); err != nil {
		return err
	}
	if rt.Instance && s.deps.Peers != nil {
		if done, err := s.deps.Peers.Forward(s, ctx); done || err != nil {
			return err
		}
	}
	if rt.Admit != nil {
		if err := rt.Admit(ctx); err != nil {
			return err
		}
	}
	return rt.Handle(ctx)
}

// trimSlash takes trailing slashes off the request's path, which clients of the
// Confluent proxy may send. A redirect would make them repeat their body.
func trimSlash(ctx *fasthttp.RequestCtx) {
	path := ctx.Request.URI().PathOriginal()
	n := len(path)
	for n > 1 && path[n-1] == '/' {
		n--
	}
	if n < len(path) {
		ctx.Request.URI().SetPathBytes(path[:n])
	}
}
