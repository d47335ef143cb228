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

// Route is one route of the API, with all properties of its requests that the edge and other
// packages read.
type Route struct {
	// Method is the HTTP method. Each GET also serves HEAD.
	Method string
	// Path is the route template; path parameters are in braces.
	Path string
	// Admit is called before Handle, to negotiate media types. Nil: Handle negotiates.
	Admit Handler
	// Body are the members that the JSON object in the body may have, with their
	// bounds; nil where there is no body, or one of records.
	Body Fields
	// Query are the query parameters that requests may have.
	Query Query
	// Waits says that requests wait for something that may not come, so that the
	// time they take is no latency.
	Waits bool
	// Instance marks a path that names a consumer instance, by the parameters group and instance,
	// which may be another node's.
	Instance bool
	// OwnHost refuses requests for hosts that are not this node's own names.
	OwnHost bool
	// SameOrigin refuses pages of other origins, even those that CORS allows.
	SameOrigin bool
	// Action is what a request does, and Resource to what kind of thing.
	Action   Action
	Resource Resource
	// Handle handles the request.
	Handle Handler
}

// Action is the action of a route's requests.
type Action uint8

// The actions.
const (
	// Describe reads metadata of a resource.
	Describe Action = iota
	// Produce writes records.
	Produce
	// Consume reads records, or changes what a consumer has read.
	Consume
	// Administer changes or shows the configuration of the node or the Kafka cluster.
	Administer
	// Probe reads the node's own state: its health, its metrics, its documents.
	Probe
	// Notify is a notification from one node to another.
	Notify
)

// Resource is the kind of object of a route.
type Resource uint8

// The resources.
const (
	// Node is the node that responds.
	Node Resource = iota
	// Cluster is the Kafka cluster: its brokers, its list of topics.
	Cluster
	// Topic is the topic that the path parameter topic names.
	Topic
	// Group is the consumer group that the path parameter group names.
	Group
)

// Handle registers routes. It is for start-up, before [Server.Serve]. A route that conflicts with
// a registered one is a defect, and panics.
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

// Routes yields every registered route.
func (s *Server) Routes() iter.Seq[Route] { return slices.Values(s.routes) }

// Handler returns the handler of all requests, for requests from other listeners.
func (s *Server) Handler() fasthttp.RequestHandler { return s.serve }

// newRouter returns a router without routes. Trailing slashes are removed before routing, see
// [trimSlash].
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

// bind makes the router's handler of a route.
func (s *Server) bind(rt Route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if err := s.respondTo(&rt, ctx); err != nil {
			s.fail(ctx, err)
		}
	}
}

func (s *Server) respondTo(rt *Route, ctx *fasthttp.RequestCtx) error {
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
	if err := rt.Query.check(ctx); err != nil {
		return err
	}
	return rt.Handle(ctx)
}

// trimSlash removes trailing slashes of the request's path, which clients of the Confluent proxy
// may send. A redirect would make them send their body again.
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
