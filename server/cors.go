package server

import (
	"regexp"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// CORS decides which requests web pages of other origins may make (the Fetch standard's CORS
// protocol). Without origins it is off: it allows no other page, adds no header, and refuses
// nothing by itself. It is immutable.
type CORS struct {
	origins     []*regexp.Regexp
	any         bool     // one of them is *
	methods     []string // empty: all that the route supports
	headers     string
	exposed     string
	credentials bool
}

// CORSSettings are what a [CORS] allows.
type CORSSettings struct {
	// Origins are scheme://host[:port], where a * stands for any text, as for Jetty's filter:
	// https://*.example.com is each subdomain, http://localhost:* each port, and * all.
	Origins []string
	// Methods that a request may use; empty is all that the path supports.
	Methods []string
	// Headers that a request may send, separated by commas; empty is those that the API reads.
	Headers string
	// Exposed are headers that a page may read beside those of the API, separated by commas.
	Exposed string
	// Credentials lets a page send what the browser has stored for this node, as
	// navigator.sendBeacon always wants to. It is not for all origins.
	Credentials bool
}

// corsHeaders are the request headers that the API reads.
const corsHeaders = "Content-Type, Accept, Content-Encoding, If-None-Match, Origin, X-Requested-With, Last-Event-ID, Prefer, Idempotency-Key, Authorization, X-Api-Key"

// exposedHeaders are the headers of responses that a page is to read.
const exposedHeaders = "ETag, Retry-After, Idempotent-Replayed, Idempotency-Scope, RateLimit, RateLimit-Policy"

// traceHeaders are those of a trace (W3C Trace Context).
var traceHeaders = []string{"Traceparent", "Tracestate"}

// preflightAge is how many seconds a browser need not ask again; Chrome takes no more.
const preflightAge = "7200"

// NewCORS returns the policy of the settings.
func NewCORS(s CORSSettings) *CORS {
	c := &CORS{headers: s.Headers, exposed: exposedHeaders, credentials: s.Credentials}
	if c.headers == "" {
		c.headers = corsHeaders
	}
	if s.Exposed != "" {
		c.exposed += ", " + s.Exposed
	}
	for _, origin := range s.Origins {
		c.origins = append(c.origins, originPattern(origin))
	}
	for _, method := range s.Methods {
		c.methods = append(c.methods, strings.ToUpper(method))
	}
	c.any = slices.Contains(s.Origins, "*")
	return c
}

// WithHeaders returns the policy with further headers that a request may send.
func (c *CORS) WithHeaders(names ...string) *CORS {
	more := *c
	for _, name := range names {
		more.headers += ", " + name
	}
	return &more
}

func newCORS(s Settings, traced bool) *CORS {
	c := NewCORS(CORSSettings{Origins: splitList(s.AllowOrigin), Methods: splitList(s.AllowMethods), Headers: s.AllowHeaders, Exposed: s.ExposeHeaders, Credentials: s.AllowCredentials})
	if traced && s.AllowHeaders == "" {
		return c.WithHeaders(traceHeaders...)
	}
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

// mark marks the answer for the browser, if the request is of a page whose origin is allowed. It
// comes before the body is read: a page cannot see the status, or a Retry-After, of an answer that
// is not marked.
func (c *CORS) mark(ctx *fasthttp.RequestCtx, other bool) {
	if len(c.origins) == 0 {
		return
	}
	if !c.any {
		ctx.Response.Header.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	}
	origin := ctx.Request.Header.PeekCanonical(headerOrigin)
	if len(origin) == 0 || !other || !c.allows(ctx) {
		return
	}
	if c.any {
		ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
	} else {
		ctx.Response.Header.SetBytesV(fasthttp.HeaderAccessControlAllowOrigin, origin)
		if c.credentials {
			ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowCredentials, "true")
		}
	}
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlExposeHeaders, c.exposed)
}

// admit reports whether a request may go on. The check is made on the request itself, not only on
// the preflight that a browser may skip. Requests without an Origin, and those of our own pages,
// are none of its business; other tells those of other pages.
func (c *CORS) admit(ctx *fasthttp.RequestCtx, other bool) bool {
	return len(c.origins) == 0 || !other || len(ctx.Request.Header.PeekCanonical(headerOrigin)) == 0 || c.allows(ctx)
}

// allows reports whether pages of the request's origin may use its method.
func (c *CORS) allows(ctx *fasthttp.RequestCtx) bool {
	origin := strings.ToLower(string(ctx.Request.Header.PeekCanonical(headerOrigin)))
	if !c.any && !slices.ContainsFunc(c.origins, func(allowed *regexp.Regexp) bool { return allowed.MatchString(origin) }) {
		return false
	}
	method := string(ctx.Method())
	return method == fasthttp.MethodOptions || len(c.methods) == 0 || slices.Contains(c.methods, method)
}

// originPattern returns what the origins match that are allowed by one entry of the list. The text
// in the place of a * is of letters, digits, hyphens and dots, and so of host names and ports:
// others, such as a user, would make it an origin of somebody else. An entry without a scheme that
// begins with a * is for http and https.
func originPattern(allowed string) *regexp.Regexp {
	const any = "[a-z0-9.-]*"
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.ToLower(allowed)), `\*`, any)
	if strings.HasPrefix(allowed, "*") && !strings.Contains(allowed, "://") {
		pattern = "https?://" + pattern
	}
	return regexp.MustCompile("^" + pattern + "$")
}

// CanBeOrigin reports whether an entry of a list of allowed origins can match the Origin of a page:
// that is a scheme and a host, perhaps a port, in no quotes and with nothing behind.
func CanBeOrigin(allowed string) bool { return originEntry.MatchString(allowed) }

var originEntry = regexp.MustCompile(`^(\*|null|(\*|[A-Za-z*][A-Za-z0-9+.*-]*://)[A-Za-z0-9.*_\[\]:-]*[A-Za-z0-9*\]])$`)

// headersOf returns the headers that pages may send by a policy. Where tracing is on those of a
// trace are among them, also for a route with a policy of its own, which does not know of tracing.
func (s *Server) headersOf(c *CORS) string {
	if c == s.cors || s.deps.Tracing == nil {
		return c.headers
	}
	headers := c.headers
	for _, name := range traceHeaders {
		if !slices.ContainsFunc(splitList(headers), func(had string) bool { return strings.EqualFold(had, name) }) {
			headers += ", " + name
		}
	}
	return headers
}

// corsOf returns the policy of a request: that of its path if it has one of its own.
func (s *Server) corsOf(ctx *fasthttp.RequestCtx) *CORS {
	if s.deps.CORS != nil {
		if own := s.deps.CORS(ctx); own != nil {
			return own
		}
	}
	return s.cors
}

// options answers OPTIONS: the router has set Allow, and a preflight gets the access control
// headers in addition. A preflight that the browser will take for a refusal is answered 204 too, as
// the Fetch standard has it, and noted with the refused requests: the request itself never comes.
func (s *Server) options(ctx *fasthttp.RequestCtx) {
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	asked := string(ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestMethod))
	if asked == "" {
		return
	}
	c := s.corsOf(ctx)
	if len(ctx.Response.Header.Peek(fasthttp.HeaderAccessControlAllowOrigin)) == 0 {
		if s.fromOtherOrigin(ctx) {
			s.preflightRefused(ctx, "the origin is not in access.control.allow.origin")
		}
		return
	}
	methods := c.methods
	if len(methods) == 0 {
		methods = splitList(string(ctx.Response.Header.Peek(fasthttp.HeaderAllow)))
	}
	headers := s.headersOf(c)
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowMethods, strings.Join(methods, ", "))
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowHeaders, headers)
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlMaxAge, preflightAge)
	if !admitsMethod(methods, asked) {
		s.preflightRefused(ctx, "the method "+cut(asked)+" is not among "+strings.Join(methods, ", "))
	} else if name := c.firstRefused(headers, string(ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestHeaders))); name != "" {
		s.preflightRefused(ctx, "the header "+cut(name)+" is not in access.control.allow.headers")
	}
}

// admitsMethod reports whether a browser takes the methods of a preflight's response for leave to
// use one. It sends the methods of the Fetch standard's safelist without that leave.
func admitsMethod(methods []string, asked string) bool {
	switch asked {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodPost:
		return true
	}
	return slices.Contains(methods, asked) || slices.Contains(methods, "*")
}

// firstRefused returns a header of the list asked that the browser will not send because it is not
// in the list allowed, and the empty string if there is none.
func (c *CORS) firstRefused(allowed, asked string) string {
	names := splitList(allowed)
	for _, name := range splitList(asked) {
		all := slices.Contains(names, "*") && !c.credentials && !strings.EqualFold(name, fasthttp.HeaderAuthorization)
		if !all && !slices.ContainsFunc(names, func(had string) bool { return strings.EqualFold(had, name) }) {
			return name
		}
	}
	return ""
}

// preflightRefused notes a preflight that the browser takes for a refusal. It is no failed request:
// its status is 204.
func (s *Server) preflightRefused(ctx *fasthttp.RequestCtx, why string) {
	s.originRefused(ctx)
	e := apierr.Unauthorized.New("A page of another origin may not use %s %s: %s.", ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestMethod), SentPath(ctx), why)
	s.figures.recent.note(errorPlace{kind: e.Kind, route: s.figures.route(ctx)}, 1, s.sampleOf(ctx, e))
}
