package ui

import (
	"log/slog"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/server"
)

// Dashboard is the resource at /ui.
type Dashboard struct {
	edge    *server.Server
	sampler *sampler
}

// Deps are the parts that the dashboard shows. It borrows them.
type Deps struct {
	// Metadata and Consumers may be nil; the dashboard then shows nothing of them.
	Metadata  *metadata.Cache
	Consumers *consumer.Manager
	// Settings returns every setting in effect, secrets masked; it may be nil.
	Settings func() []Setting
	// Logger logs defects of the dashboard.
	Logger *slog.Logger
}

// New returns the dashboard of the edge. It shows nothing before [Dashboard.Start].
func New(edge *server.Server, d Deps) *Dashboard {
	return &Dashboard{edge, newSampler(edge, d)}
}

// Start starts sampling, once all routes are registered. The function that it returns ends
// sampling, and waits for the end.
func (d *Dashboard) Start() (end func()) { return d.sampler.start() }

// Routes returns the resource's routes.
func (d *Dashboard) Routes() []server.Route {
	return []server.Route{
		{Method: "GET", Path: "/ui", OwnHost: true, Part: server.DashboardPart, Action: server.Administer, Handle: d.page},
		{Method: "GET", Path: "/ui/{file}", OwnHost: true, Part: server.DashboardPart, Action: server.Administer, Handle: d.file},
		{Method: "GET", Path: "/ui/topics", Query: findQuery, OwnHost: true, Part: server.DashboardPart, SameOrigin: true, Action: server.Administer, Handle: d.findTopics},
		{Method: "GET", Path: "/ui/instances", Query: findQuery, OwnHost: true, Part: server.DashboardPart, SameOrigin: true, Action: server.Administer, Handle: d.findInstances},
		{Method: "GET", Path: "/ui/events", OwnHost: true, Part: server.DashboardPart, SameOrigin: true, Action: server.Administer, Handle: d.events},
	}
}

// contentPolicy lets the page load from and call only this node, run only scripts that are files
// of ours, and be in no other page's frame.
const contentPolicy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// setHeaders sets the headers of every response below /ui.
func setHeaders(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderContentSecurityPolicy, contentPolicy)
	h.Set(fasthttp.HeaderXFrameOptions, "DENY")
	h.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// page handles GET /ui: the dashboard. The page's own links are relative, so that it works behind
// a proxy under another path; with a slash at the end of its path they would be wrong.
func (d *Dashboard) page(ctx *fasthttp.RequestCtx) error {
	path, _, _ := strings.Cut(string(ctx.RequestURI()), "?")
	if strings.HasSuffix(path, "/") {
		ctx.Response.Header.Set(fasthttp.HeaderLocation, "../ui")
		ctx.SetStatusCode(fasthttp.StatusPermanentRedirect)
		return nil
	}
	return serveFile(ctx, Page)
}

// file handles GET /ui/{file}.
func (d *Dashboard) file(ctx *fasthttp.RequestCtx) error {
	name, err := server.PathParam(ctx, "file")
	if err != nil {
		return err
	}
	return serveFile(ctx, name)
}

// serveFile responds with a file of the dashboard. The browser revalidates it each time: after an
// update, an old script must not meet a new node.
func serveFile(ctx *fasthttp.RequestCtx, name string) error {
	setHeaders(ctx)
	file := Files()[name]
	if file == nil {
		return apierr.NotFound.New("There is nothing at %s.", server.SentPath(ctx))
	}
	// Weak, because the response may be compressed in several ways.
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

// events handles GET /ui/events: the dashboard's figures as Server-Sent Events, see sampler.go.
func (d *Dashboard) events(ctx *fasthttp.RequestCtx) error {
	setHeaders(ctx)
	ctx.SetContentType(server.MediaJSON) // for errors
	if ctx.IsHead() {
		ctx.SetContentType(server.MediaEvents)
		return nil
	}
	return d.edge.Stream(ctx, server.MediaEvents, func(st *server.Stream) error { return d.sampler.feed(st) })
}

// LeadFrom returns the route of / with browsers led to the dashboard. Programs, which do not ask
// for HTML by name, get the response as before.
func LeadFrom(root server.Route) server.Route {
	admit, handle := root.Admit, root.Handle
	root.Admit = func(ctx *fasthttp.RequestCtx) error {
		if wantsPage(ctx) {
			return nil
		}
		return admit(ctx)
	}
	root.Handle = func(ctx *fasthttp.RequestCtx) error {
		ctx.Response.Header.Set(fasthttp.HeaderVary, fasthttp.HeaderAccept)
		if !wantsPage(ctx) {
			return handle(ctx)
		}
		// Relative, for proxies that serve it under another path.
		ctx.Response.Header.Set(fasthttp.HeaderLocation, "ui")
		ctx.SetStatusCode(fasthttp.StatusFound)
		return nil
	}
	return root
}

// wantsPage reports whether the client asks for HTML by name, as browsers do.
func wantsPage(ctx *fasthttp.RequestCtx) bool {
	return strings.Contains(string(ctx.Request.Header.Peek(fasthttp.HeaderAccept)), "text/html")
}
