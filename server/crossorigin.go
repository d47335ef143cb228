package server

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

var (
	headerFetchSite = []byte("Sec-Fetch-Site")
	headerOrigin    = []byte(fasthttp.HeaderOrigin)
)

// fromOtherOrigin reports whether a page of another origin makes the request, by the rule of
// [net/http.CrossOriginProtection]: Sec-Fetch-Site names another site, or, where an older
// browser does not send that header, the host of Origin is neither the request's nor the one
// that a trusted proxy forwards. A client that sends neither header is no browser.
func (s *Server) fromOtherOrigin(ctx *fasthttp.RequestCtx) bool {
	switch string(ctx.Request.Header.PeekCanonical(headerFetchSite)) {
	case "same-origin", "none":
		return false
	case "":
	default:
		return true
	}
	origin := ctx.Request.Header.PeekCanonical(headerOrigin)
	return len(origin) > 0 && !s.isOwnOrigin(ctx, string(origin))
}

func (s *Server) isOwnOrigin(ctx *fasthttp.RequestCtx, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	return strings.EqualFold(u.Host, string(ctx.Host())) || strings.EqualFold(u.Host, s.forwarded(ctx).host)
}

// checkOrigin refuses what pages of other origins may not do: whatever CORS does
// not allow, where it is on, and whatever changes something, where it is off. A
// browser sends a POST without a Content-Type, or one of text/plain, from any
// page and asks nobody first.
func (s *Server) checkOrigin(ctx *fasthttp.RequestCtx) error {
	other := s.fromOtherOrigin(ctx)
	if !s.corsOf(ctx).admit(ctx, other) {
		s.originRefused(ctx)
		return apierr.Unauthorized.New("Requests from this origin, or with this method from another origin, are not allowed (access.control.allow.origin, access.control.allow.methods, or cors of the ingest route).")
	}
	if other && !isSafe(ctx.Method()) {
		return s.requireAllowedOrigin(ctx)
	}
	return nil
}

// originRefused leaves a trace of a page that was refused, for the operator: the page's author
// sees no reason, and a beacon nothing at all.
func (s *Server) originRefused(ctx *fasthttp.RequestCtx) {
	s.figures.OriginsRefused.Add(1)
	if ok, more := s.sparing.allow(apierr.Unauthorized); ok {
		s.log.Warn("page of another origin refused", "origin", apierr.Quote(ctx.Request.Header.PeekCanonical(headerOrigin)),
			"method", string(ctx.Method()), "path", string(ctx.Path()), "more_since_the_last", more)
	}
}

// isSafe reports whether a method changes nothing (RFC 9110 §9.2.1).
func isSafe(method []byte) bool {
	return bytes.Equal(method, []byte("GET")) || bytes.Equal(method, []byte("HEAD")) || bytes.Equal(method, []byte("OPTIONS"))
}

// requireAllowedOrigin refuses a request of a page of another origin that CORS does not allow.
// A request that another node has forwarded was checked there, and does not tell which page
// made it.
func (s *Server) requireAllowedOrigin(ctx *fasthttp.RequestCtx) error {
	if !s.fromOtherOrigin(ctx) || s.corsOf(ctx).allows(ctx) {
		return nil
	}
	s.originRefused(ctx)
	return apierr.Unauthorized.New("Pages of other origins may not do this. To let a page use the API, add its origin to access.control.allow.origin.")
}

// requireSameOrigin refuses pages of other origins, even those that CORS lets use
// the API: to write records is not to run the node.
func (s *Server) requireSameOrigin(ctx *fasthttp.RequestCtx) error {
	origin := ctx.Request.Header.PeekCanonical(headerOrigin)
	if s.fromOtherOrigin(ctx) && (len(origin) > 0 || !isSafe(ctx.Method())) {
		return apierr.Unauthorized.New("Pages of other origins may not use %s.", SentPath(ctx))
	}
	return nil
}

// checkPage refuses what the route does not let web pages do. A GET of a consumer
// instance is one that changes something, against the rule for safe methods: it moves
// positions, so a page that makes it takes records away from others.
func (s *Server) checkPage(rt *Route, ctx *fasthttp.RequestCtx) error {
	var err error
	switch {
	case rt.OwnHost:
		err = s.requireOwnHost(ctx)
	case rt.Instance && rt.Method == fasthttp.MethodGet:
		err = s.requireAllowedOrigin(ctx)
	}
	if err == nil && rt.SameOrigin {
		err = s.requireSameOrigin(ctx)
	}
	if err != nil && rt.OwnHost {
		ctx.SetContentType(MediaJSON)
	}
	return err
}
