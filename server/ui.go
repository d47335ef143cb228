package server

import (
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/web"
)

// uiRoutes are entered unless ui.enable is false.
var uiRoutes = []route{
	{"GET", "/ui", ownAnswer, (*Server).uiPage},
	{"GET", "/ui/{file}", ownAnswer, (*Server).uiFile},
	{"GET", "/ui/events", ownAnswer, (*Server).uiEvents},
}

// contentPolicy lets the page load and ask nothing but this server, run no
// script that is not a file of ours, and stand in no other page's frame.
const contentPolicy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// uiHeaders go with everything below /ui.
func uiHeaders(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderContentSecurityPolicy, contentPolicy)
	h.Set(fasthttp.HeaderXFrameOptions, "DENY")
	h.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// GET /ui: the dashboard. The page's own links are relative, so that it works
// behind a proxy that serves it elsewhere; with a slash at the end of its path
// they would lead astray.
func (s *Server) uiPage(ctx *fasthttp.RequestCtx) error {
	path, _, _ := strings.Cut(string(ctx.RequestURI()), "?")
	if strings.HasSuffix(path, "/") {
		ctx.Response.Header.Set(fasthttp.HeaderLocation, "../ui")
		ctx.SetStatusCode(fasthttp.StatusPermanentRedirect)
		return nil
	}
	return s.serveFile(ctx, web.Page)
}

// GET /ui/{file}
func (s *Server) uiFile(ctx *fasthttp.RequestCtx) error {
	name, err := pathParam(ctx, "file")
	if err != nil {
		return err
	}
	return s.serveFile(ctx, name)
}

// serveFile answers with a file of the dashboard. The browser asks each time
// whether it has changed: after an update no old script meets a new server.
func (s *Server) serveFile(ctx *fasthttp.RequestCtx, name string) error {
	uiHeaders(ctx)
	file := web.Files()[name]
	if file == nil {
		return apierr.NotFound.New("There is nothing at %s.", sentPath(ctx))
	}
	// Weak, because what is sent may be compressed in several ways.
	ctx.Response.Header.Set(fasthttp.HeaderETag, `W/"`+file.Tag+`"`)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-cache")
	if strings.Contains(string(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)), file.Tag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	ctx.SetContentType(file.ContentType)
	ctx.SetBody(file.Content)
	return nil
}

// GET /ui/events: the dashboard's figures as Server-Sent Events, see ui_sampler.go.
func (s *Server) uiEvents(ctx *fasthttp.RequestCtx) error {
	uiHeaders(ctx)
	ctx.SetContentType(mediaJSON) // for errors
	if err := s.requireSameOrigin(ctx); err != nil {
		return err
	}
	if ctx.IsHead() {
		ctx.SetContentType(mediaEvents)
		return nil
	}
	return s.stream(ctx, mediaEvents, s.sampler.feed)
}
