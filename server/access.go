package server

import (
	"cmp"
	"crypto/x509"
	"log/slog"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/internal/apierr"
)

// gate is a route with what its authorization needs, made at start.
type gate struct {
	Route
	topic, group bool // the path has the parameter
	// once is Handle for requests with an Idempotency-Key; nil where they are ignored.
	once Handler
}

func newGate(rt Route) *gate {
	return &gate{Route: rt, topic: strings.Contains(rt.Path, "{topic}"), group: strings.Contains(rt.Path, "{group}")}
}

// servedOn reports whether the listener of the request serves the route.
func (g *gate) servedOn(ctx *fasthttp.RequestCtx) bool {
	c := ConnOf(ctx)
	if c == nil || c.listener.serves == 0 || g.Action == Probe {
		return true
	}
	part := g.Part
	if part == 0 {
		part = DataPart
	}
	return c.listener.serves&part != 0
}

// Check is one of the questions that the rules are asked about a request.
type Check struct {
	Resource Resource
	Name     string
}

// String names what it is about.
func (c Check) String() string { return nouns[c.Resource] + " " + c.Name }

// Checks are the questions about a request of the route with these path parameters, for a person
// who wants to see them; [Server.authorize] asks the same.
func (rt Route) Checks(params map[string]string) (all []Check) {
	g := newGate(rt)
	if g.topic {
		all = append(all, Check{Topic, params["topic"]})
	}
	if g.group {
		all = append(all, Check{Group, params["group"]})
	}
	if !g.byName() {
		all = append(all, Check{rt.Resource, rt.Path})
	}
	return all
}

// byName reports whether the names in the path are all that the rules are asked about.
func (g *gate) byName() bool {
	return (g.topic || g.group) && (g.Resource == Topic || g.Resource == Group)
}

// callerKey is the key of a request's caller among its user values.
type callerKey struct{}

// CallerOf returns the identity of the request's caller, nil where nobody is asked who they are.
func CallerOf(ctx *fasthttp.RequestCtx) *auth.Identity {
	id, _ := ctx.UserValue(callerKey{}).(*auth.Identity)
	return id
}

// SetCaller makes id the identity of the request's caller, which another node has identified.
func SetCaller(ctx *fasthttp.RequestCtx, id *auth.Identity) { ctx.SetUserValue(callerKey{}, id) }

// Login returns what the requests to Kafka show that are made for the caller of a request; nil
// where they show the login of the node. passed is true where it is what the request itself shows.
// Errors: those of [auth.Access.Login].
func (s *Server) Login(ctx *fasthttp.RequestCtx) (l *auth.Login, passed bool, err error) {
	l, passed, err = s.deps.Access.Login(CallerOf(ctx), s.credentialsOf(ctx))
	if err != nil {
		err = s.refused(nil, ctx, CallerOf(ctx), err)
	}
	return l, passed, err
}

// Allow returns nil if the request's caller may do the action to the resource of that name, or
// else the refusal. It is for names that the path of the route does not have.
func Allow(ctx *fasthttp.RequestCtx, a Action, r Resource, name string) error {
	return allow(CallerOf(ctx), a, r, name)
}

// AllowCaller is [Allow] for a caller that is not that of a request just now.
func AllowCaller(id *auth.Identity, a Action, r Resource, name string) error {
	return allow(id, a, r, name)
}

func allow(id *auth.Identity, a Action, r Resource, name string) error {
	switch {
	case id.May(a, r, name):
		return nil
	case id.Anonymous():
		return apierr.Unauthenticated.New("This needs credentials: without them nobody may %s the %s %s.", verbs[a], nouns[r], name)
	}
	return apierr.Unauthorized.New("The caller may not %s the %s %s.", verbs[a], nouns[r], name)
}

// AllowWrite returns nil unless a rule denies the request's caller to write to the topic. It is for
// a route whose name the rules allow, and whose settings choose the topic: a deny outweighs.
func AllowWrite(ctx *fasthttp.RequestCtx, topic string) error {
	if _, forbidden := CallerOf(ctx).WriteForbidden(topic); forbidden {
		return apierr.Unauthorized.New("The caller may not write to the topic %s: a rule denies it.", topic)
	}
	return nil
}

// MayDescribe reports whether the request's caller may see the resource in a list.
func MayDescribe(ctx *fasthttp.RequestCtx, r Resource, name string) bool {
	return CallerOf(ctx).May(Describe, r, name)
}

// The words of a refusal.
var (
	verbs = map[Action]string{Describe: "describe", Produce: "produce to", Consume: "consume from", Administer: "administer", Ingest: "ingest by", auth.Undeclared: "use"}
	nouns = map[Resource]string{Topic: "topic", Group: "consumer group", Node: "path", Cluster: "path", Topics: "topics of", Groups: "consumer groups of"}
)

// authorize identifies the caller of a request and decides whether it may use the route: the one
// place where that is done, by what the route says of itself. The rules see names, not resources,
// so that a refusal does not tell whether the resource exists.
func (s *Server) authorize(rt *gate, ctx *fasthttp.RequestCtx) error {
	if rt.Action == Probe || rt.Action == Notify {
		return nil
	}
	if rt.KeyInQuery {
		defer ctx.QueryArgs().Del(keyParam) // a query may be an event, and a key is no part of it
	}
	if !s.asks(rt) {
		return s.requireLocal(rt, ctx)
	}
	ctx.SetUserValue(gateKey{}, rt)
	byNode := CallerOf(ctx) != nil // it is another node that has identified the caller
	id, err := s.identify(rt, ctx)
	if err == nil && !byNode {
		err = s.count(ctx, id)
	}
	if err == nil {
		err = s.permit(rt, ctx, id)
	}
	if err == nil && !id.Ruled() {
		err = s.requireLocal(rt, ctx)
	}
	if err != nil && !apierr.QuotaExceeded.Is(err) {
		return s.refused(rt, ctx, id, err)
	}
	return err
}

// asks reports whether [Server.authorize] asks who the callers of the route are.
func (s *Server) asks(rt *gate) bool {
	return rt.Action != Probe && rt.Action != Notify && s.deps.Access != nil && !s.deps.Access.Skips(rt.Path)
}

// identify returns the identity of the request's caller, and keeps it with the request.
func (s *Server) identify(rt *gate, ctx *fasthttp.RequestCtx) (*auth.Identity, error) {
	if id := CallerOf(ctx); id != nil {
		return id, nil
	}
	c := s.credentialsOf(ctx)
	if rt != nil && rt.KeyInQuery && len(c.Authorization)+len(c.Key) == 0 {
		c.Key = ctx.QueryArgs().Peek(keyParam)
	}
	if err := s.checkAmbient(ctx, &c); err != nil {
		return nil, err
	}
	id, err := s.deps.Access.Identify(c)
	if err == nil {
		SetCaller(ctx, id)
	}
	return id, err
}

// checkAmbient takes from a page of another origin the credentials that its browser adds by itself,
// a password that was typed once and a certificate, unless the origin is allowed by name. Where
// all are allowed (*), any page could else use its reader's rights, by requests without preflight.
func (s *Server) checkAmbient(ctx *fasthttp.RequestCtx, c *auth.Credentials) error {
	if !s.corsOf(ctx).any || !s.deps.Access.Asks() || !s.fromOtherOrigin(ctx) {
		return nil
	}
	c.Certificate = nil
	if isBasic(c.Authorization) {
		return apierr.Unauthorized.New("Pages of other origins may use a password only where access.control.allow.origin names their origin, not by *.")
	}
	return nil
}

// isBasic reports whether an Authorization header has a user and a password (RFC 7617).
func isBasic(authorization []byte) bool {
	const basic = "basic "
	return len(authorization) >= len(basic) && strings.EqualFold(string(authorization[:len(basic)]), basic)
}

// keyParam is the query parameter of an API key.
const keyParam = "api_key"

var headerKey = []byte("X-Api-Key")

// credentialsOf returns what the request's header and its connection show of the caller.
func (s *Server) credentialsOf(ctx *fasthttp.RequestCtx) auth.Credentials {
	c := auth.Credentials{Addr: s.limitAddr(ctx), Key: ctx.Request.Header.PeekCanonical(headerKey)}
	c.Authorization = ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)
	c.Certificate = certificateOf(ctx)
	return c
}

// certificateOf returns the client's certificate if its chain was verified.
func certificateOf(ctx *fasthttp.RequestCtx) *x509.Certificate {
	secure, ok := ctx.Conn().(*secureConn)
	if !ok {
		return nil
	}
	if state := secure.ConnectionState(); len(state.VerifiedChains) > 0 {
		return state.VerifiedChains[0][0]
	}
	return nil
}

// permit decides by the rules about a request.
func (s *Server) permit(rt *gate, ctx *fasthttp.RequestCtx, id *auth.Identity) error {
	return rt.permits(id, func(param string) (string, error) { return PathParam(ctx, param) })
}

// permits decides by the rules: about each name in the path, which named returns, and about the
// route's resource.
func (g *gate) permits(id *auth.Identity, named func(param string) (string, error)) error {
	if g.topic {
		if err := g.permitsName(id, Topic, "topic", named); err != nil {
			return err
		}
	}
	if g.group {
		if err := g.permitsName(id, Group, "group", named); err != nil {
			return err
		}
	}
	if g.byName() {
		return nil
	}
	return allow(id, g.Action, g.Resource, g.Path)
}

func (g *gate) permitsName(id *auth.Identity, r Resource, param string, named func(string) (string, error)) error {
	name, err := named(param)
	if err != nil {
		return err
	}
	return allow(id, g.Action, r, name)
}

// refused completes a refusal for want of rights, and logs it.
func (s *Server) refused(rt *gate, ctx *fasthttp.RequestCtx, id *auth.Identity, err error) error {
	if apierr.Unauthenticated.Is(err) {
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, s.deps.Access.Challenges())
	}
	s.audit(rt, ctx, id, err)
	return err
}

// requireLocal refuses what is guarded to callers on other machines. A request that a proxy has
// forwarded comes from elsewhere, though the proxy is on this machine.
func (s *Server) requireLocal(rt *gate, ctx *fasthttp.RequestCtx) error {
	if !rt.Guarded || isLocal(ctx) {
		return nil
	}
	return apierr.Unauthorized.New("%s is for callers on the node's own machine as long as there are no rules about callers (authorization.rules.file).", rt.Path)
}

// proxied are the headers that tell of a proxy.
var proxied = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

func isLocal(ctx *fasthttp.RequestCtx) bool {
	for _, name := range proxied {
		if len(ctx.Request.Header.Peek(name)) > 0 {
			return false
		}
	}
	return addrOf(ctx).IsLoopback()
}

// gateKey is the key of the route of a request whose caller was asked.
type gateKey struct{}

// audit logs a refusal: one line a second for each kind, so that refusals do not fill the log.
func (s *Server) audit(rt *gate, ctx *fasthttp.RequestCtx, id *auth.Identity, err error) {
	action := "any"
	if rt != nil {
		action = rt.Action.String()
	}
	line := []slog.Attr{
		slog.String("caller", id.Principal()),
		slog.String("address", s.callerAddr(ctx).String()),
		slog.String("action", action),
		slog.String("method", string(ctx.Method())),
		slog.String("path", string(ctx.Path())),
		slog.Any("err", err),
	}
	if s.deps.Audit != nil {
		s.deps.Audit.LogAttrs(ctx, slog.LevelWarn, refusedLine, line...)
	}
	if ok, more := s.refusals.allow(apierr.From(err).Kind); ok {
		s.log.LogAttrs(ctx, slog.LevelWarn, refusedLine, append(line, slog.Int("more_since_the_last", more))...)
	}
}

// refusedLine is the message about a refusal.
const refusedLine = "request refused"

// noteKey is the key of the attributes that [Note] has added to a request.
type noteKey struct{}

// Note adds an attribute to the audit line of a request that changes something. Its value must be
// no secret.
func Note(ctx *fasthttp.RequestCtx, name string, value any) {
	notes, _ := ctx.UserValue(noteKey{}).([]slog.Attr)
	ctx.SetUserValue(noteKey{}, append(notes, slog.Any(name, value)))
}

// auditChange logs a request that has changed the node or the Kafka cluster, or tried to. The path
// names topics, groups and settings; the body is not logged.
func (s *Server) auditChange(rt *gate, ctx *fasthttp.RequestCtx, err error) {
	line := []slog.Attr{
		slog.String("caller", CallerOf(ctx).Principal()),
		slog.String("address", s.callerAddr(ctx).String()),
		slog.String("action", cmp.Or(rt.Name, rt.Action.String())),
		slog.String("method", string(ctx.Method())),
		slog.String("path", string(ctx.Path())),
		slog.Bool("done", err == nil),
	}
	notes, _ := ctx.UserValue(noteKey{}).([]slog.Attr)
	line = append(line, notes...)
	if err != nil {
		line = append(line, slog.Any("err", err))
	}
	if s.deps.Audit != nil {
		s.deps.Audit.LogAttrs(ctx, slog.LevelInfo, "audit", line...)
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "audit", line...)
}
