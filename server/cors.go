package server

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
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

// admit reports whether a request is allowed, and adds the headers for the browser. It checks the
// request itself, not only the preflight, which a browser may skip. Requests without an Origin,
// and those of our own pages, are always admitted.
func (c *cors) admit(ctx *fasthttp.RequestCtx) bool {
	if len(c.origins) == 0 {
		return true
	}
	if !c.any {
		ctx.Response.Header.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	}
	origin := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if origin == "" || sameOrigin(ctx, origin) {
		return true
	}
	method := string(ctx.Method())
	preflight := method == fasthttp.MethodOptions
	if !c.any && !slices.Contains(c.origins, strings.ToLower(origin)) {
		return false
	}
	if !preflight && len(c.methods) > 0 && !slices.Contains(c.methods, method) {
		return false
	}
	if c.any {
		origin = "*"
	}
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowOrigin, origin)
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlExposeHeaders, "ETag, Retry-After")
	return true
}

func sameOrigin(ctx *fasthttp.RequestCtx, origin string) bool {
	_, host, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(host, string(ctx.Host()))
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
		headers = "Content-Type, Accept, Content-Encoding, If-None-Match, Origin, X-Requested-With, Last-Event-ID"
	}
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowHeaders, headers)
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlMaxAge, "1800")
}

// SameSite refuses web pages of other origins, even those that CORS lets use the API: permission
// to write records is not permission to operate the node.
func SameSite(ctx *fasthttp.RequestCtx) error {
	origin := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if origin != "" && !sameOrigin(ctx, origin) {
		return apierr.Unauthorized.New("Pages of other origins may not use %s.", ctx.Path())
	}
	return nil
}
