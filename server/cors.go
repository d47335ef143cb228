package server

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// cors decides which requests web pages of other origins may make (the Fetch standard's CORS
// protocol). It is off when access.control.allow.origin is empty, and then admits every request
// and adds no header; browsers then block other pages.
type cors struct {
	origins []string // lower case
	any     bool     // one of them is *
	methods []string // empty: all that the route supports
	headers string
}

func newCORS(s Settings) cors {
	c := cors{methods: splitList(strings.ToUpper(s.AllowMethods)), headers: s.AllowHeaders}
	c.origins = splitList(strings.ToLower(s.AllowOrigin))
	c.any = slices.Contains(c.origins, "*")
	return c
}

func splitList(text string) (items []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// admit reports whether a request may go on, and marks the answer for the
// browser. The check is made on the request itself, not only on the preflight
// that a browser may skip. Requests without an Origin, and those of our own
// pages, are none of its business; other tells those of other pages.
func (c *cors) admit(ctx *fasthttp.RequestCtx, other bool) bool {
	if len(c.origins) == 0 {
		return true
	}
	if !c.any {
		ctx.Response.Header.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	}
	origin := string(ctx.Request.Header.PeekCanonical(headerOrigin))
	if origin == "" || !other {
		return true
	}
	if !c.allows(ctx) {
		return false
	}
	if c.any {
		origin = "*"
	}
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowOrigin, origin)
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlExposeHeaders, "ETag, Retry-After, RateLimit, RateLimit-Policy")
	return true
}

// allows reports whether pages of the request's origin may use its method.
func (c *cors) allows(ctx *fasthttp.RequestCtx) bool {
	origin := strings.ToLower(string(ctx.Request.Header.PeekCanonical(headerOrigin)))
	if !c.any && !slices.Contains(c.origins, origin) {
		return false
	}
	method := string(ctx.Method())
	return method == fasthttp.MethodOptions || len(c.methods) == 0 || slices.Contains(c.methods, method)
}

// options answers OPTIONS: the router has set Allow, and a preflight gets the access control
// headers in addition.
func (c *cors) options(ctx *fasthttp.RequestCtx) {
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	asked := ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestMethod)
	if len(asked) == 0 || len(ctx.Response.Header.Peek(fasthttp.HeaderAccessControlAllowOrigin)) == 0 {
		return
	}
	methods := strings.Join(c.methods, ", ")
	if methods == "" {
		methods = string(ctx.Response.Header.Peek(fasthttp.HeaderAllow))
	}
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowMethods, methods)
	headers := c.headers
	if headers == "" {
		headers = "Content-Type, Accept, Content-Encoding, If-None-Match, Origin, X-Requested-With, Last-Event-ID, Authorization, X-Api-Key"
	}
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowHeaders, headers)
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlMaxAge, "1800")
}
