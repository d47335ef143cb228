package server

import (
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/internal/tracing"
	"millrace/pool"
)

// serve is the handler of every request: it does the work that all routes share, around the
// router.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	start := time.Now()
	s.figures.InFlight.Add(1)
	var span *tracing.Span
	if s.deps.Tracing != nil {
		span = s.beginSpan(ctx)
	}
	s.dispatch(ctx)
	s.leaveUnread(ctx)
	harden(ctx)
	s.compress(ctx)
	if s.draining.Load() {
		ctx.SetConnectionClose()
	}
	took := time.Since(start)
	s.figures.done(ctx, took, receivedOf(ctx))
	if span != nil {
		endSpan(ctx, span)
	}
	if s.requestLog.Load() {
		s.logRequest(ctx, took)
	}
	capBuffers(ctx)
	sendWhole(ctx)
	if s.deps.Peers != nil {
		s.deps.Peers.Done(ctx)
	}
	endBody(ctx)
}

// dispatch routes the request. A handler that panics costs its own request a
// 500 and nothing else: what it had taken from a pool is left to the garbage
// collector, since nobody knows what state it is in.
func (s *Server) dispatch(ctx *fasthttp.RequestCtx) {
	defer func() {
		if p := recover(); p != nil {
			abandonBody(ctx)
			s.log.Error("handler panicked", "method", string(ctx.Method()), "path", string(ctx.Path()),
				"panic", p, "stack", string(debug.Stack()))
			ctx.Response.Reset()
			s.figures.Panics.Add(1)
			s.fail(ctx, apierr.Internal.Err())
		}
	}()
	if err := checkRequest(&ctx.Request.Header); err != nil {
		s.fail(ctx, closing(ctx, err)) // what follows on the connection cannot be trusted
		return
	}
	s.corsOf(ctx).mark(ctx, s.fromOtherOrigin(ctx))
	if err := s.route(ctx); err != nil {
		s.fail(ctx, err)
	}
}

// route gives the request, of which the header was read, to its route, which has its body read
// once the header alone is no reason to refuse it. The proof of another node covers the body, and
// the method stands in what it proves.
func (s *Server) route(ctx *fasthttp.RequestCtx) error {
	if claims, err := s.receivePeer(ctx); err != nil || claims && isAsking(ctx) {
		return err
	}
	if err := checkCertificate(ctx); err != nil {
		return err
	}
	if err := s.requireOwnHostEverywhere(ctx); err != nil {
		return err
	}
	if err := s.checkOrigin(ctx); err != nil {
		return err
	}
	trimSlash(ctx)
	if !s.handleFrequent(ctx) {
		s.router.Handler(ctx)
	}
	return nil
}

// receivePeer reads the body of a request that claims to be another node's, and has its proof
// verified, once. While a client asks whether to send the body there is nothing to verify yet.
func (s *Server) receivePeer(ctx *fasthttp.RequestCtx) (claims bool, err error) {
	if s.deps.Peers == nil {
		return false, nil
	}
	claims = s.deps.Peers.Claims(ctx)
	if isAsking(ctx) {
		return claims, nil
	}
	if claims && !s.streamed(&ctx.Request.Header) {
		if err := s.readBody(ctx); err != nil {
			return true, err
		}
	}
	return claims, s.deps.Peers.Receive(ctx)
}

// fail turns every error into a response. Defects are logged, Kafka's errors at a limited rate:
// an outage is one event, however many requests it fails. A client's mistakes are not logged.
func (s *Server) fail(ctx *fasthttp.RequestCtx, err error) {
	e := apierr.From(err)
	if e.Kind == apierr.Interrupted && s.draining.Load() {
		e = &apierr.Error{Kind: apierr.Draining, Cause: err}
	}
	s.figures.failed(e.Kind, s.figures.route(ctx), s.sampleOf(ctx, e))
	if e.Kind == apierr.Internal {
		s.log.Error("request failed", "method", string(ctx.Method()), "path", string(ctx.Path()), "err", e)
	} else if e.Kind.Status >= 500 {
		if ok, more := s.sparing.allow(e.Kind); ok {
			s.log.Warn("request failed", "method", string(ctx.Method()), "path", string(ctx.Path()), "err", e, "more_since_the_last", more)
		}
	}
	ctx.Response.ResetBody()
	ctx.SetStatusCode(e.Kind.Status)
	if after := e.RetryAfter(); after > 0 {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	if s.deps.Peers != nil {
		s.deps.Peers.Failed(ctx, e)
	}
	body := ctx.Response.SwapBody(nil)[:0]
	if s.deps.AppendError != nil {
		if own := s.deps.AppendError(ctx); own != nil {
			ctx.Response.SwapBody(own(ctx, body, e))
			return
		}
	}
	ctx.SetContentType(s.errorType(ctx))
	ctx.Response.SwapBody(codec.AppendError(body, e))
}

// errorType returns the media type of an error: plain JSON if the response has that already, or
// else the type of Deps.ErrorType.
func (s *Server) errorType(ctx *fasthttp.RequestCtx) string {
	if s.deps.ErrorType == nil || ctx != nil && string(ctx.Response.Header.ContentType()) == MediaJSON {
		return MediaJSON
	}
	return s.deps.ErrorType(ctx)
}

// maxKeptBody is the largest buffer of an answer that stays with fasthttp for the
// next request. fasthttp itself would keep any size for as long as the connection. That
// of a request's body has at most [prefetched] bytes there.
const maxKeptBody = 1 << 20

func capBuffers(ctx *fasthttp.RequestCtx) {
	if ctx.Response.IsBodyStream() {
		return // if asked for its body, fasthttp would read it to its end
	}
	if body := ctx.Response.Body(); cap(body) > maxKeptBody {
		ctx.Response.SwapBody(nil)
		ctx.Response.SetBodyRaw(body) // fasthttp sends it and drops it
	}
}

// Respond lends the response's body buffer to fill, which appends the response and returns it.
// When fill fails, the bytes that it appended are dropped.
func Respond(ctx *fasthttp.RequestCtx, fill func(dst []byte) ([]byte, error)) error {
	dst := ctx.Response.SwapBody(nil)
	dst, err := fill(dst[:0])
	if err != nil {
		dst = dst[:0]
	}
	ctx.Response.SwapBody(dst)
	return err
}

// RespondJSON makes v the body of the response. Responses that carry records, and those that are
// rendered once and cached, are appended by hand instead.
func RespondJSON(ctx *fasthttp.RequestCtx, v any) error {
	return Respond(ctx, func(dst []byte) ([]byte, error) {
		text, err := json.Marshal(v)
		return append(dst, text...), err
	})
}

// RespondNothing makes the response a 204, which has no media type.
func RespondNothing(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentType("")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

// RespondPooled is [Respond] for responses that may be large. fill takes memory by [pool.Grow]
// once it has something to append. The connection holds that memory until the response is
// written; fasthttp would hold it as long as the connection, or allocate it anew each time.
func RespondPooled(ctx *fasthttp.RequestCtx, fill func(dst []byte) ([]byte, error)) error {
	c := ConnOf(ctx)
	if c == nil {
		return Respond(ctx, fill)
	}
	b := pool.GetBuffer(0)
	var err error
	if b.B, err = fill(b.B); err != nil {
		b.Release()
		return err
	}
	c.lend(b)
	ctx.Response.SetBodyRaw(b.B)
	return nil
}

// SetRequestLog turns the request log on or off, from the next request on.
func (s *Server) SetRequestLog(on bool) { s.requestLog.Store(on) }

// logRequest writes the line of the request log, at any log.level, because the log has a setting
// of its own. The path is logged without its query, which may hold private data.
func (s *Server) logRequest(ctx *fasthttp.RequestCtx, took time.Duration) {
	line := slog.NewRecord(time.Now(), slog.LevelInfo, "request", 0)
	line.AddAttrs(
		slog.String("remote", ctx.RemoteAddr().String()),
		slog.String("method", string(ctx.Method())),
		slog.String("path", string(ctx.Path())),
		slog.Int("status", ctx.Response.StatusCode()),
		slog.Int("bytes_in", max(0, ctx.Request.Header.ContentLength())),
		slog.Int("bytes_out", sent(ctx)),
		slog.Duration("took", took))
	_ = s.log.Handler().Handle(ctx, line) // an error of the log cannot be logged
}

// sparing is a rate limit of one log line a second for each kind of error.
type sparing struct {
	mu    sync.Mutex
	kinds map[*apierr.Kind]*sparse
}

type sparse struct {
	logged  rate.Sometimes
	dropped int
}

// allow reports whether to log an error of kind k, and how many were dropped since the last
// logged one.
func (s *sparing) allow(k *apierr.Kind) (ok bool, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.kinds[k]
	if of == nil {
		if s.kinds == nil {
			s.kinds = make(map[*apierr.Kind]*sparse)
		}
		of = &sparse{logged: rate.Sometimes{Interval: time.Second}}
		s.kinds[k] = of
	}
	of.logged.Do(func() { ok, dropped, of.dropped = true, of.dropped, 0 })
	if !ok {
		of.dropped++
	}
	return ok, dropped
}

// noSniff keeps a browser from taking an answer for another type than its
// Content-Type says, such as a page or a script made of a record.
const noSniff = "X-Content-Type-Options: nosniff"

var (
	headerTypeOptions = []byte("X-Content-Type-Options")
	valueNoSniff      = []byte("nosniff")

	headerCacheControl = []byte(fasthttp.HeaderCacheControl)
	valueNoStore       = []byte("no-store")
)

// harden adds the headers that every response has, whatever made it. A stream
// is written later, with the header that it has by now.
func harden(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetCanonical(headerTypeOptions, valueNoSniff)
	if (ctx.IsGet() || ctx.IsHead()) && len(h.PeekBytes(headerCacheControl)) == 0 {
		h.SetCanonical(headerCacheControl, valueNoStore) // a second read has other records
	}
}
