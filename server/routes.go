package server

import (
	"bytes"
	"iter"
	"slices"
	"strings"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"millrace/auth"
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
	// Name identifies the route in settings and in the audit log, as api.v3.topics.list; it may be
	// empty.
	Name string
	// Admit is called before the body is read, to negotiate media types. Nil: Handle negotiates.
	Admit Handler
	// Content are the media types of the bodies that the route takes, without parameters; "" among
	// them takes a body without a Content-Type. Nil: Admit, Ready or Handle decide.
	Content []string
	// Ready is asked before a body of so many bytes is read, -1 where that is not known: its error
	// refuses the request unread. Nil: all bodies are read.
	Ready func(ctx *fasthttp.RequestCtx, size int) error
	// Body are the members that the JSON object in the body may have, with their
	// bounds; nil where there is no body, or one of records.
	Body Fields
	// Streamed says that the handler reads the body while it arrives, by [Server.Exchange].
	Streamed bool
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
	// Action is what a request does, and Resource to what kind of thing: the rules about callers
	// are checked by them before anything else of the route. A path parameter topic or group is
	// checked too, whatever Resource says. A route without an Action is refused to everybody
	// where callers are asked who they are.
	Action   Action
	Resource Resource
	// Part is the part of what a node serves that the route belongs to; 0 is [DataPart]. Listeners
	// that do not serve it know no such path.
	Part Part
	// Guarded marks what is dangerous and not in the Confluent proxy: while there are no rules
	// about callers, it is for those on this machine.
	Guarded bool
	// KeyInQuery accepts an API key as the query parameter api_key, for clients that cannot set a
	// header, such as the beacons of a web page.
	KeyInQuery bool
	// Handle handles the request.
	Handle Handler
}

// Action is what a route's requests do; the rules about callers read it ([auth.Action]).
type Action = auth.Action

// The actions.
const (
	Describe   = auth.Describe
	Produce    = auth.Produce
	Consume    = auth.Consume
	Administer = auth.Administer
	Ingest     = auth.Ingest
	Probe      = auth.Probe
	Notify     = auth.Notify
)

// Resource is the kind of object of a route ([auth.Resource]).
type Resource = auth.Resource

// The resources.
const (
	// Node is the node that responds, by the path of the route.
	Node = auth.Node
	// Cluster is the Kafka cluster: its brokers, its ACLs; by the path of the route.
	Cluster = auth.Cluster
	// Topic is the topic that the path parameter topic names.
	Topic = auth.Topic
	// Group is the consumer group that the path parameter group names.
	Group = auth.Group
	// Topics and Groups are several that the path does not name. A handler that lists them leaves
	// out those that [MayDescribe] is false for; one that gets names in a body or a query asks
	// [Allow] for each.
	Topics = auth.Topics
	Groups = auth.Groups
)

// Handle registers routes. It is for start-up, before [Server.Serve]. A route that conflicts with
// a registered one is a defect, and panics.
func (s *Server) Handle(routes ...Route) {
	for _, rt := range routes {
		g := newGate(rt)
		if s.answers != nil && rt.writes() {
			g.once = s.once(rt.Handle)
		}
		h := s.bind(g)
		methods := []string{rt.Method}
		if rt.Method == fasthttp.MethodGet {
			methods = append(methods, fasthttp.MethodHead)
		}
		for _, m := range methods {
			counted := s.counted(m, rt, h)
			s.router.Handle(m, rt.Path, counted)
			if f, ok := newFrequent(&rt, counted); ok {
				s.frequent = append(s.frequent, f)
			}
		}
	}
	s.routes = append(s.routes, routes...)
	for i := range s.frequent {
		if at := slices.IndexFunc(s.routes, func(rt Route) bool { return s.frequent[i].hides(&rt) }); at >= 0 {
			panic("BUG: " + s.routes[at].Path + " is beside a parameter that the edge looks for first")
		}
	}
	for _, rt := range routes {
		if rt.Streamed {
			s.streamedRoutes = append(s.streamedRoutes, &rt)
		}
	}
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
		s.fail(ctx, s.nothingAt(ctx))
	}
	r.MethodNotAllowed = func(ctx *fasthttp.RequestCtx) {
		s.fail(ctx, apierr.MethodNotAllowed.New("%s does not support %s; see the Allow header.", SentPath(ctx), sentText(ctx.Method())))
	}
	r.GlobalOPTIONS = s.counted(fasthttp.MethodOptions, Route{Path: "any"}, s.options)
	return r
}

func (s *Server) nothingAt(ctx *fasthttp.RequestCtx) error {
	return apierr.NotFound.New("There is nothing at %s.", SentPath(ctx))
}

// streamed reports whether the handler of a request, of which the header is known, reads its body
// while it arrives. With an Idempotency-Key the body is compared before anything of it is written.
func (s *Server) streamed(h *fasthttp.RequestHeader) bool {
	if s.keyed(h) {
		return false
	}
	path, _, _ := bytes.Cut(originForm(h.RequestURI()), []byte("?"))
	return slices.ContainsFunc(s.streamedRoutes, func(rt *Route) bool {
		return rt.Method == string(h.Method()) && matches(rt.Path, path)
	})
}

// originForm returns a target without the scheme and host that it may have (RFC 9112 §3.2.2).
func originForm(target []byte) []byte {
	if bytes.HasPrefix(target, []byte("/")) {
		return target
	}
	_, rest, absolute := bytes.Cut(target, []byte("://"))
	if !absolute {
		return target
	}
	return rest[max(bytes.IndexByte(rest, '/'), 0):]
}

// matches reports whether a path, which may end with slashes, is one of a route's template.
func matches(template string, path []byte) bool {
	path = bytes.TrimRight(path, "/")
	for template != "" && len(path) > 0 {
		part, _, _ := strings.Cut(template[1:], "/")
		end := bytes.IndexByte(path[1:], '/') + 1
		if end == 0 {
			end = len(path)
		}
		if path[0] != '/' || end == 1 || part[0] != '{' && part != string(path[1:end]) {
			return false
		}
		template, path = template[1+len(part):], path[end:]
	}
	return template == "" && len(path) == 0
}

// bind makes the router's handler of a route.
func (s *Server) bind(g *gate) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		err := s.judge(g, ctx)
		if err == nil && !isAsking(ctx) {
			err = s.respondTo(g, ctx)
		}
		if err != nil {
			s.fail(ctx, err)
		}
	}
}

// judge decides by the header whether to read the request's body.
func (s *Server) judge(rt *gate, ctx *fasthttp.RequestCtx) error {
	if !rt.servedOn(ctx) {
		return s.nothingAt(ctx)
	}
	if err := s.checkPage(&rt.Route, ctx); err != nil {
		return err
	}
	if err := s.authorize(rt, ctx); err != nil {
		return err
	}
	if rt.Admit != nil {
		if err := rt.Admit(ctx); err != nil {
			return err
		}
	}
	if err := rt.Query.check(ctx); err != nil {
		return err
	}
	switch asking := isAsking(ctx); {
	case asking && !s.arrives(rt, ctx):
		if err := s.refuseEarly(ctx); err != nil {
			return err
		}
	case !asking && !isArriving(ctx):
		return nil
	}
	return s.judgeBody(rt, ctx)
}

// judgeBody decides by the header whether the request's body is one for the route.
func (s *Server) judgeBody(rt *gate, ctx *fasthttp.RequestCtx) error {
	n := ctx.Request.Header.ContentLength()
	if n != 0 && len(ctx.Request.Header.ContentEncoding()) > 0 && !slices.Contains(supported, encodingOf(ctx)) {
		return unsupportedEncoding(ctx)
	}
	if rt.writes() {
		if err := s.shed(ctx); err != nil {
			return err
		}
	}
	if n != 0 && rt.Content != nil {
		if err := rt.checkContent(ctx); err != nil {
			return err
		}
	}
	if rt.Ready != nil {
		if err := rt.Ready(ctx, n); err != nil {
			s.Waits(ctx) // the time of refusals is no latency
			return err
		}
	}
	return nil
}

// checkContent refuses a body whose Content-Type is none of the route's.
func (r *Route) checkContent(ctx *fasthttp.RequestCtx) error {
	name, _, _ := bytes.Cut(ctx.Request.Header.ContentType(), []byte{';'})
	name = bytes.TrimSpace(name)
	known := r.Content[:0:0]
	for _, media := range r.Content {
		if len(media) == len(name) && strings.EqualFold(media, string(name)) {
			return nil
		}
		if media != "" {
			known = append(known, media)
		}
	}
	return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s.", strings.Join(known, " or "))
}

// arrives reports whether the handler of the route reads the request's body while it arrives.
func (s *Server) arrives(rt *gate, ctx *fasthttp.RequestCtx) bool {
	return rt.Streamed && !s.keyed(&ctx.Request.Header)
}

// respondTo has the body read, and the request handled.
func (s *Server) respondTo(rt *gate, ctx *fasthttp.RequestCtx) error {
	if !s.arrives(rt, ctx) {
		if err := s.readBody(ctx); err != nil {
			return err
		}
		if err := s.decompress(ctx); err != nil {
			return err
		}
		if rt.Admit != nil && ctx.Request.Header.ContentLength() < 0 {
			if err := rt.Admit(ctx); err != nil { // which did not know yet whether there is a body
				return err
			}
		}
	}
	if rt.writes() && !s.arrives(rt, ctx) {
		of := s.HolderOf(ctx)
		s.shedder.Enter(of)
		defer s.shedder.Leave(of)
	}
	if err := s.meter(rt, ctx); err != nil {
		return err
	}
	if rt.Instance && s.deps.Peers != nil {
		if done, err := s.deps.Peers.Forward(s, ctx); done || err != nil {
			return err
		}
	}
	handle := rt.Handle
	if rt.once != nil && s.keyed(&ctx.Request.Header) {
		handle = rt.once
	}
	err := handle(ctx)
	if rt.Action == Administer && !isSafe(ctx.Method()) {
		s.auditChange(rt, ctx, err)
	}
	return err
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
