package server

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/metrics"
)

// errPanicked has fasthttp end the connection, so that the client sees that the
// stream did not end in order.
var errPanicked = errors.New("the stream panicked")

// Stream is a response that is written piece by piece, on the connection's own
// goroutine, after its handler has returned: what the client does not read
// holds up whoever writes, and nothing is piled up for it.
type Stream struct {
	server *Server
	route  *metrics.Route
	ctx    *fasthttp.RequestCtx
	write  func(st *Stream) error
	out    io.Writer
	life   context.Context // see Context
	closed bool
}

// Stream has write send the answer, which may take as long as it likes. write
// must return soon after [Stream.Context] ended. An error of its own is not
// shown to the client any more: the status is sent by then. Nothing is sent,
// and an error returned, while there are as many streams as there may be, and
// during a drain.
func (s *Server) Stream(ctx *fasthttp.RequestCtx, contentType string, write func(st *Stream) error) error {
	if s.streaming.Err() != nil {
		return apierr.Draining.Err()
	}
	if n := s.figures.Streams.Add(1); s.settings.MaxStreams > 0 && n > int64(s.settings.MaxStreams) {
		s.figures.Streams.Add(-1)
		return apierr.StreamsFull.Err()
	}
	ctx.SetContentType(contentType)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.Header.Set("X-Accel-Buffering", "no") // nginx would collect the pieces
	ctx.Response.ImmediateHeaderFlush = true
	ctx.Response.SetBodyStream(&Stream{server: s, route: s.figures.route(ctx), ctx: ctx, write: write}, -1)
	return nil
}

// Context ends when the server drains, and streams shall end with it, and when
// the client hangs up.
func (st *Stream) Context() context.Context { return st.life }

// Send writes b, which it borrows, to the client at once. An error means that
// the client is gone, or reads too slowly.
func (st *Stream) Send(b []byte) error {
	if ConnOf(st.ctx).PeerGone() {
		return apierr.ClientGone.Err()
	}
	if timeout := st.server.settings.WriteTimeout; timeout > 0 {
		if err := st.ctx.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
	}
	if st.server.streaming.Err() != nil {
		st.hurry()
	}
	n, err := st.out.Write(b)
	st.route.Sent(n)
	return err
}

// SupportsBodyWriteTo implements [fasthttp.BodyWriterTo].
func (st *Stream) SupportsBodyWriteTo() bool { return true }

// WriteTo implements [fasthttp.BodyWriterTo]: out makes a chunk of each Write.
// It runs after the handler, and so after what catches a handler's panic.
func (st *Stream) WriteTo(out io.Writer) (_ int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			st.server.log.Error("stream panicked", "path", string(st.ctx.Path()), "panic", p, "stack", string(debug.Stack()))
			st.server.figures.Panics.Add(1)
			err = errPanicked
		}
	}()
	st.out = out
	c := ConnOf(st.ctx)
	defer c.Unattend()
	life, cancel := context.WithCancel(c.Attend())
	defer cancel()
	st.life = life
	defer context.AfterFunc(st.server.streaming, func() { cancel(); st.hurry() })()
	return 0, st.write(st)
}

// Streaming returns a context that ends when streams shall end, with the drain.
func (s *Server) Streaming() context.Context { return s.streaming }

// LastWords is how long a client may take to read the end of its stream once
// the server drains.
const LastWords = time.Second

// hurry bounds what is being written: a drain does not wait for a slow client.
func (st *Stream) hurry() { _ = st.ctx.SetWriteDeadline(time.Now().Add(LastWords)) }

// Close implements [io.Closer]. fasthttp calls it in the end, also of a stream
// that it could not even begin to write.
func (st *Stream) Close() error {
	if !st.closed {
		st.closed = true
		st.server.figures.Streams.Add(-1)
	}
	return nil
}

// Read implements [io.Reader]. fasthttp reads only for clients of HTTP/1.0,
// which cannot be told where a piece ends.
func (st *Stream) Read([]byte) (int, error) {
	return 0, errors.New("a stream needs HTTP/1.1")
}
