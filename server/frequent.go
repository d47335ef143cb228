package server

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// frequent is a route that writes, with one parameter at the end of its path: /topics/{topic}. The
// router allocates three times for a parameter. For these routes the edge finds it, and allocates
// only when the parameter is not that of the connection's request before. Most clients name the
// same topic in each request.
type frequent struct {
	method, prefix string
	param          any // its name, as the key of a user value; to make an any of it allocates
	handle         fasthttp.RequestHandler
}

// maxFrequent bounds the parameter that a connection remembers.
const maxFrequent = 256

// newFrequent returns the frequent route of a route and its handler. ok is false for a route of
// another form.
func newFrequent(rt *Route, handle fasthttp.RequestHandler) (f frequent, ok bool) {
	prefix, param, _ := strings.Cut(rt.Path, "{")
	param, rest, closed := strings.Cut(param, "}")
	if !closed || rest != "" || strings.ContainsAny(param, ":?*") || !rt.writes() {
		return frequent{}, false
	}
	return frequent{rt.Method, prefix, param, handle}, true
}

// hides reports whether rt is a route with a literal where f has its parameter. The router prefers
// the literal. With both, the edge would give requests for rt to the handler of f.
func (f *frequent) hides(rt *Route) bool {
	last, below := strings.CutPrefix(rt.Path, f.prefix)
	return below && rt.Method == f.method && !strings.HasPrefix(last, "{") && !strings.Contains(last, "/")
}

// handleFrequent gives the request to its frequent route, and reports whether it has one. Any other
// request is for the router.
func (s *Server) handleFrequent(ctx *fasthttp.RequestCtx) bool {
	c := ConnOf(ctx)
	if c == nil {
		return false
	}
	path, method := ctx.Request.URI().PathOriginal(), ctx.Method()
	for i := range s.frequent {
		f := &s.frequent[i]
		if len(path) <= len(f.prefix) || string(path[:len(f.prefix)]) != f.prefix || string(method) != f.method {
			continue
		}
		param := path[len(f.prefix):]
		if len(param) > maxFrequent || bytes.IndexByte(param, '/') >= 0 {
			continue
		}
		if last, _ := c.param.(string); last != string(param) {
			c.param = string(param)
		}
		ctx.SetUserValue(f.param, c.param)
		f.handle(ctx)
		return true
	}
	return false
}
