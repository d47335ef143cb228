package server

import (
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/internal/apierr"
)

// openStreams are the streams that are open, each with what its caller needs for it to go on. A
// request is decided once; a stream would else outlive the right that it began with.
type openStreams struct {
	mu  sync.Mutex
	all map[*openStream]struct{}
}

// openStream is a stream, or an exchange, with its caller.
type openStream struct {
	gate         *gate
	caller       *auth.Identity
	topic, group string
	more         func(*auth.Identity) error // see KeepWhile
	end          func()
}

// keepKey is the key of what [KeepWhile] was given.
type keepKey struct{}

// KeepWhile has the stream that will respond to the request end when allowed returns an error, of
// which it is asked with the caller when rights have changed. It is for what the route's path does
// not say. allowed may be called by any goroutine, as long as the stream is open.
func KeepWhile(ctx *fasthttp.RequestCtx, allowed func(caller *auth.Identity) error) {
	ctx.SetUserValue(keepKey{}, allowed)
}

// watchRights has end called when the caller of a stream may no longer do what its request has
// asked for, or its credentials end. The caller calls done when the stream is over.
func (s *Server) watchRights(ctx *fasthttp.RequestCtx, end func()) (done func()) {
	g, _ := ctx.UserValue(gateKey{}).(*gate)
	caller := CallerOf(ctx)
	stop := func() {}
	if ends := s.CredentialsEnd(ctx); !ends.IsZero() {
		timer := time.AfterFunc(time.Until(ends), end)
		stop = func() { timer.Stop() }
	}
	if g == nil || caller == nil {
		return stop
	}
	o := &openStream{gate: g, caller: caller, end: end}
	o.more, _ = ctx.UserValue(keepKey{}).(func(*auth.Identity) error)
	if g.topic {
		o.topic, _ = PathParam(ctx, "topic")
	}
	if g.group {
		o.group, _ = PathParam(ctx, "group")
	}
	o.enter(&s.open)
	if s.deps.Access.Current(caller) != caller { // the rights have changed before it was entered
		s.recheck(o)
	}
	return func() {
		stop()
		o.leave(&s.open)
	}
}

// endKey is the key of what [SetCredentialsEnd] was given.
type endKey struct{}

// SetCredentialsEnd notes when the credentials of a request's caller end that another node has
// seen, and this one has not. Without it a stream that was forwarded would outlive them here.
func SetCredentialsEnd(ctx *fasthttp.RequestCtx, end time.Time) { ctx.SetUserValue(endKey{}, end) }

// CredentialsEnd returns when the credentials end that a request's caller, or its connection, has
// shown; zero: they have no end.
func (s *Server) CredentialsEnd(ctx *fasthttp.RequestCtx) time.Time {
	if end, ok := ctx.UserValue(endKey{}).(time.Time); ok {
		return end
	}
	end, ofConnection := time.Time{}, certificateEnd(ctx)
	if caller := CallerOf(ctx); caller != nil {
		end = s.deps.Access.Ends(caller, s.credentialsOf(ctx))
	}
	if end.IsZero() || !ofConnection.IsZero() && ofConnection.Before(end) {
		return ofConnection
	}
	return end
}

// certificateEnd returns when the certificate of the request's client ends; zero: there is none.
func certificateEnd(ctx *fasthttp.RequestCtx) time.Time {
	secure, ok := ctx.Conn().(*secureConn)
	if !ok {
		return time.Time{}
	}
	if !secure.looked {
		secure.looked = true
		if own := certificateOf(ctx); own != nil {
			secure.ends = own.NotAfter
		}
	}
	return secure.ends
}

// checkCertificate refuses a request on a connection that outlives the certificate of its client,
// which was verified when the connection began.
func checkCertificate(ctx *fasthttp.RequestCtx) error {
	if ends := certificateEnd(ctx); !ends.IsZero() && time.Now().After(ends) {
		return closing(ctx, apierr.Unauthenticated.New("The certificate of the client has ended. Connect anew with one that is valid."))
	}
	return nil
}

func (o *openStream) enter(all *openStreams) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.all == nil {
		all.all = make(map[*openStream]struct{})
	}
	all.all[o] = struct{}{}
}

func (o *openStream) leave(all *openStreams) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.all, o)
}

// Recheck ends the streams whose callers may no longer have them. It is called when the files of
// identities and rules have changed.
func (s *Server) Recheck() {
	s.open.mu.Lock()
	all := make([]*openStream, 0, len(s.open.all))
	for o := range s.open.all {
		all = append(all, o)
	}
	s.open.mu.Unlock()
	for _, o := range all {
		s.recheck(o)
	}
}

func (s *Server) recheck(o *openStream) {
	if err := o.allowed(s.deps.Access.Current(o.caller)); err != nil {
		s.log.Info("stream ended, as its caller may no longer have it", "caller", o.caller.Principal(), "path", o.gate.Path, "err", err)
		o.end()
	}
}

// allowed asks the rules what [Server.authorize] has asked them; caller is nil for one that is no
// longer there.
func (o *openStream) allowed(caller *auth.Identity) error {
	if caller == nil {
		return apierr.Unauthenticated.New("The caller is no longer one of those that are known.")
	}
	if err := o.gate.permits(caller, o.named); err != nil {
		return err
	}
	if o.more != nil {
		return o.more(caller)
	}
	return nil
}

// named returns a name in the path of the request that began the stream.
func (o *openStream) named(param string) (string, error) {
	if param == "group" {
		return o.group, nil
	}
	return o.topic, nil
}
