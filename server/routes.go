package server

import (
	"iter"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// handler does the work of one route. What it returns as an error becomes the
// answer; see [Server.fail].
type handler func(s *Server, ctx *fasthttp.RequestCtx) error

// accepts says what a route does about media types before its handler runs.
type accepts uint8

const (
	jsonAnswer accepts = iota // the answer is JSON of the request's version: Accept must admit it
	v2Body                    // as jsonAnswer, and a body, if there is one, must be v2 JSON
	anyBody                   // as jsonAnswer, and a body, if there is one, must be v2 or v1 JSON
	ownAnswer                 // the handler sees to it
)

// route is one line of the API. A path parameter stands in braces.
type route struct {
	method  string
	path    string
	media   accepts
	handler handler
}

// routes is the whole API, by resource. adminRoutes are apart.
var routes = concat(produceRoutes, metadataRoutes, consumerRoutes, v1Routes, directRoutes, streamRoutes, healthRoutes, metricsRoutes, openapiRoutes)

// Routes yields the method and the path of every route that a server may have,
// parameters in braces. Beside each GET there is a HEAD.
func Routes() iter.Seq2[string, string] {
	return func(yield func(method, path string) bool) {
		for _, r := range concat(routes, adminRoutes, uiRoutes) {
			if !yield(r.method, r.path) {
				return
			}
		}
	}
}

func concat(groups ...[]route) (all []route) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// newRouter enters every route, and HEAD beside each GET. Trailing slashes are
// gone before it is asked, see [trimSlash].
func (s *Server) newRouter() *router.Router {
	r := router.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	served := routes
	if s.settings.Admin {
		served = concat(served, guarded(adminRoutes))
	}
	if s.settings.UI {
		served = concat(served, guarded(uiRoutes))
	}
	for _, rt := range served {
		h := s.bind(rt)
		methods := []string{rt.method}
		if rt.method == fasthttp.MethodGet {
			methods = append(methods, fasthttp.MethodHead)
		}
		for _, m := range methods {
			r.Handle(m, rt.path, counted(s.figures.Route(m, rt.path), h))
		}
	}
	r.NotFound = func(ctx *fasthttp.RequestCtx) {
		s.fail(ctx, apierr.NotFound.New("There is nothing at %s.", sentPath(ctx)))
	}
	r.MethodNotAllowed = func(ctx *fasthttp.RequestCtx) {
		s.fail(ctx, apierr.MethodNotAllowed.New("%s does not support %s; see the Allow header.", sentPath(ctx), sentText(ctx.Method())))
	}
	r.GlobalOPTIONS = counted(s.figures.Route(fasthttp.MethodOptions, "any"), s.cors.options)
	return r
}

// bind makes of a route what the router calls.
func (s *Server) bind(rt route) fasthttp.RequestHandler {
	guard := changesOnRead(rt)
	return func(ctx *fasthttp.RequestCtx) {
		if guard {
			if err := s.requireAllowedOrigin(ctx); err != nil {
				s.fail(ctx, err)
				return
			}
		}
		if err := s.answerTo(rt, ctx); err != nil {
			s.fail(ctx, err)
		}
	}
}

func (s *Server) answerTo(rt route, ctx *fasthttp.RequestCtx) error {
	if s.forwarder != nil && ctx.UserValue("instance") != nil {
		if done, err := s.elsewhere(ctx); done || err != nil {
			return err
		}
	}
	if rt.media != ownAnswer {
		if err := s.negotiate(ctx); err != nil {
			return err
		}
	}
	if rt.media == v2Body || rt.media == anyBody {
		if err := s.requireBody(ctx, rt.media == anyBody); err != nil {
			return err
		}
	}
	return rt.handler(s, ctx)
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
