package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/metrics"
	"millrace/server/intake"
)

// Exchange is a request of a [Route] with Streamed: its body is read piece by piece, while the
// response is sent piece by piece, so that the first records are answered before the last have
// come. It runs on the connection's own goroutine, after the handler has returned, because fasthttp
// sends nothing before that. One other goroutine, of [Exchange.Go], may send meanwhile.
//
// The body may be of any length, and may take any time, as long as something of it comes within
// IdleTimeout, and all of it within StreamTime.
type Exchange struct {
	server *Server
	ctx    *fasthttp.RequestCtx
	conn   *Conn // nil for a connection of no listener
	route  *metrics.Route
	run    func(x *Exchange) error

	arriving arriving
	encoding string    // of the body
	body     io.Reader // arriving, unpacked; nil before it is read
	unpacked func()    // gives the decoder back, or nil
	end      time.Time // when the exchange must be over
	waits    func()    // see BeforeWait
	charge   intake.Body

	out     io.Writer
	counted bool // among the open streams
	stopped atomic.Bool

	// ending guards over, after which the connection is that of another request.
	ending sync.Mutex
	over   bool
}

// arriving is a body of which fasthttp has read the beginning. It counts the bytes that came.
type arriving struct {
	io.Reader
	wire      *wire
	announced int // -1: the body is chunked
	received  int
	ended     bool  // it was read to its end
	err       error // of the last read, but for its end
}

// Read implements [io.Reader]. Of a body that is cut off, the error is not [io.EOF].
func (a *arriving) Read(b []byte) (int, error) {
	if a.announced < 0 {
		a.wire.bound(wirePerByte*a.received + wireSlack)
	}
	n, err := a.Reader.Read(b)
	a.received += n
	switch {
	case errors.Is(err, io.EOF) && a.received < a.announced:
		err = io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF):
		a.ended = true
		return n, err
	}
	a.err = err
	return n, err
}

// Exchange makes run carry the request. Its status is 200 by then. An error of run ends the
// connection, so that the client sees the response as cut. Exchange fails, and run does not run,
// when the number of streams is at its bound, during a drain, and for a Content-Encoding that is
// not supported.
func (s *Server) Exchange(ctx *fasthttp.RequestCtx, contentType string, run func(x *Exchange) error) error {
	if s.streaming.Err() != nil {
		return apierr.Draining.Err()
	}
	x := &Exchange{server: s, ctx: ctx, conn: ConnOf(ctx), route: s.figures.route(ctx), run: run}
	if err := x.open(); err != nil {
		return err
	}
	ctx.SetContentType(contentType)
	if n := x.arriving.announced; n < 0 || n > prefetched { // others are like any short request
		if open := s.figures.Streams.Add(1); s.settings.MaxStreams > 0 && open > int64(s.settings.MaxStreams) {
			s.figures.Streams.Add(-1)
			return apierr.StreamsFull.Err()
		}
		x.counted = true
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
		ctx.Response.Header.Set("X-Accel-Buffering", "no") // nginx would buffer the pieces
		ctx.Response.ImmediateHeaderFlush = true           // clients may wait for it before they send
	}
	if !ctx.Request.Header.IsHTTP11() || s.keyed(&ctx.Request.Header) {
		return x.whole()
	}
	ctx.Response.SetBodyStream(x, -1)
	return nil
}

// whole carries the request of a client of HTTP/1.0, which has no chunks, or of one with an
// Idempotency-Key: it gets the response when that is whole.
func (x *Exchange) whole() error {
	defer x.Close()
	if most := x.server.settings.MaxBodyBytes; x.arriving.announced > most {
		return apierr.BodyTooLarge.New("The request body has %d bytes; for HTTP/1.0, request.max.bytes is %d.", x.arriving.announced, most)
	}
	var response wholeResponse
	x.server.budget.Begin(&response.charge, x.server.HolderOf(x.ctx))
	defer response.charge.Release()
	if _, err := x.WriteTo(&response); err != nil {
		return apierr.WriteUnknown.Wrap(cmp.Or(response.err, err), "The response could not be completed. It is not known which records were written.")
	}
	x.ctx.Response.SetBodyRaw(response.Bytes())
	return nil
}

// wholeResponse is a response of which nothing is sent before its end. It is charged like a body:
// the results of many small records are a hundred times as large as the records.
type wholeResponse struct {
	bytes.Buffer
	charge intake.Body
	err    error
}

// Write implements [io.Writer].
func (r *wholeResponse) Write(b []byte) (int, error) {
	if r.err = r.charge.Charge(int64(r.Len()+len(b)), false); r.err != nil {
		return 0, r.err
	}
	return r.Buffer.Write(b)
}

// open prepares the reading of the body.
func (x *Exchange) open() error {
	a := &x.arriving
	a.wire, a.announced = wireOf(x.ctx), x.ctx.Request.Header.ContentLength()
	if a.Reader = arrivingOf(x.ctx); a.Reader == nil { // there is none, or it was read
		whole := RequestBody(x.ctx)
		a.Reader, a.announced = bytes.NewReader(whole), len(whole)
		return nil // without a Content-Encoding any more
	}
	x.encoding = encodingOf(x.ctx)
	if !slices.Contains(supported, x.encoding) {
		return unsupportedEncoding(x.ctx)
	}
	return nil
}

// unpack begins the undoing of the body's Content-Encoding, at the first read: decoders read as
// soon as they begin. They need no slot, unlike those of bodies that have arrived: a stream would
// keep it for as long as its client likes.
func (x *Exchange) unpack() (err error) {
	x.body, x.unpacked, err = x.server.unpackers.reader(x.encoding, &x.arriving)
	return err
}

// BeforeWait makes f be called before each wait for more of the body, within [Exchange.Receive]. f
// may look at what earlier calls of Receive have returned, and must not touch the buffer of this
// one.
func (x *Exchange) BeforeWait(f func()) {
	x.waits = f
	if x.conn != nil {
		x.conn.waits = x.wait
	}
}

// wait is called before the connection is read.
func (x *Exchange) wait() {
	if x.waits != nil {
		x.waits()
	}
	until := x.end
	if idle := time.Now().Add(x.server.settings.IdleTimeout); x.server.settings.IdleTimeout > 0 && (until.IsZero() || idle.Before(until)) {
		until = idle
	}
	_ = x.ctx.SetReadDeadline(until)
	if x.stopped.Load() || x.server.streaming.Err() != nil { // since then, the deadline counts that stop has set
		_ = x.ctx.SetReadDeadline(past)
	}
}

// past is a deadline that ends a read in progress.
var past = time.Unix(1, 0)

// Receive reads some of the body into b: what has arrived, and waits only if that is nothing. At
// the end of the body it returns [io.EOF]. Other errors are [apierr.Error] values.
func (x *Exchange) Receive(b []byte) (int, error) {
	if x.conn == nil && x.waits != nil {
		x.waits()
	}
	if x.body == nil {
		if err := x.unpack(); err != nil {
			return 0, x.explain(err)
		}
	}
	n, err := x.body.Read(b)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, x.explain(err)
}

// explain returns the error of a body that could not be read.
func (x *Exchange) explain(err error) error {
	if errors.Is(err, io.EOF) && x.arriving.received == 0 {
		return io.EOF // nothing, of whatever encoding
	}
	broken := x.arriving.err
	if broken == nil {
		return apierr.BadRequest.Wrap(err, "The body is not what its Content-Encoding says.")
	}
	err = cmp.Or(x.arriving.wire.err, broken)
	var timeout net.Error
	switch late := errors.As(err, &timeout) && timeout.Timeout(); {
	case x.server.streaming.Err() != nil:
		return apierr.Draining.Err()
	case x.stopped.Load(), errors.Is(err, io.ErrUnexpectedEOF) && x.conn.PeerGone():
		return &apierr.Error{Kind: apierr.ClientGone, Cause: err}
	case late && !x.end.IsZero() && !time.Now().Before(x.end):
		return apierr.SlowRequest.Wrap(err, "The stream has been open for as long as one may be. Begin another one.")
	case late:
		return apierr.SlowRequest.Wrap(err, "Nothing came for %d ms. Begin another stream.", x.server.settings.IdleTimeout.Milliseconds())
	}
	return brokenBody(err)
}

// Charge charges n bytes, in all, for what the exchange holds of the body.
func (x *Exchange) Charge(n int) error { return x.charge.Charge(int64(n), false) }

// Send writes b, which it borrows, to the client at once. An error means that the client is gone,
// or reads too slowly.
func (x *Exchange) Send(b []byte) error {
	if timeout := x.server.settings.WriteTimeout; timeout > 0 {
		if err := x.ctx.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
	}
	if x.server.streaming.Err() != nil {
		x.hurry()
	}
	n, err := x.out.Write(b)
	x.route.Sent(n)
	return err
}

// Stop ends the reading of the body, from any goroutine: [Exchange.Receive] fails. It does nothing
// once the exchange is over.
func (x *Exchange) Stop() {
	x.stopped.Store(true)
	x.ifOpen(func() { _ = x.ctx.SetReadDeadline(past) })
}

// ifOpen calls f unless the exchange is over, which it is not before f returns. A goroutine that
// ends exchanges may come late.
func (x *Exchange) ifOpen(f func()) {
	x.ending.Lock()
	defer x.ending.Unlock()
	if !x.over {
		f()
	}
}

// Go runs f on another goroutine, and returns a function that waits for its end. A panic of f is
// logged, and stops the exchange; broken is true then.
func (x *Exchange) Go(f func()) (wait func() (broken bool)) {
	done := make(chan bool, 1)
	go func() { // ends with f
		panicked := true
		defer func() { done <- panicked }()
		defer x.recovered(x.Stop)
		f()
		panicked = false
	}()
	return func() bool { return <-done }
}

// recovered, deferred, ends a panic, and calls then after it.
func (x *Exchange) recovered(then func()) {
	if p := recover(); p != nil {
		x.server.log.Error("stream panicked", "path", string(x.ctx.Path()), "panic", p, "stack", string(debug.Stack()))
		x.server.figures.Panics.Add(1)
		then()
	}
}

// SupportsBodyWriteTo implements [fasthttp.BodyWriterTo].
func (x *Exchange) SupportsBodyWriteTo() bool { return true }

// WriteTo implements [fasthttp.BodyWriterTo]: out makes a chunk of each Write. It runs after the
// handler, where the handler's recover does not apply.
func (x *Exchange) WriteTo(out io.Writer) (_ int64, err error) {
	defer x.recovered(func() { err = errPanicked })
	defer x.ifOpen(func() { x.over = true })
	x.out = out
	if x.server.settings.StreamTime > 0 {
		x.end = time.Now().Add(x.server.settings.StreamTime)
	}
	x.server.budget.Begin(&x.charge, x.server.HolderOf(x.ctx))
	defer context.AfterFunc(x.server.streaming, func() {
		x.ifOpen(func() { _ = x.ctx.SetReadDeadline(past); x.hurry() })
	})()
	defer x.server.watchRights(x.ctx, x.Stop)()
	defer x.finish()
	return 0, x.run(x)
}

// hurry bounds the write in progress: a drain does not wait for a slow client.
func (x *Exchange) hurry() { _ = x.ctx.SetWriteDeadline(time.Now().Add(LastWords)) }

// finish ends the reading. The rest of a body that was not read to its end must not be taken for
// the next request: fasthttp drops the rest if it has arrived, and else closes the connection, as
// soon as the response is sent.
func (x *Exchange) finish() {
	if x.conn != nil {
		x.conn.waits = nil
	}
	x.arriving.wire.unbound()
	x.route.Received(x.arriving.received)
	if !x.arriving.ended && x.arriving.received != x.arriving.announced {
		_ = x.ctx.SetReadDeadline(past)
		lingerOnClose(x.ctx)
	}
	x.charge.Release()
}

// Close implements [io.Closer]. fasthttp calls it at the end, also for an exchange that it could
// not begin.
func (x *Exchange) Close() error {
	if x.counted {
		x.counted = false
		x.server.figures.Streams.Add(-1)
	}
	if x.unpacked != nil {
		x.unpacked()
		x.unpacked = nil
	}
	return nil
}

// Read implements [io.Reader]. fasthttp calls WriteTo instead.
func (x *Exchange) Read([]byte) (int, error) {
	return 0, errors.New("an exchange is written, not read")
}
