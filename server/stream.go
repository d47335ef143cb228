package server

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/metrics"
)

// errPanicked makes fasthttp end the connection, so that the client sees the stream as cut.
var errPanicked = errors.New("the stream panicked")

// Stream is a response that is written piece by piece, on the connection's own goroutine, after
// its handler has returned. A slow client blocks the writer, so no output queues up in memory.
type Stream struct {
	server *Server
	route  *metrics.Route
	ctx    *fasthttp.RequestCtx
	write  func(st *Stream) error
	out    io.Writer
	life   context.Context // see Context
	closed bool
}

// Stream makes write send the response, which may take any time. write must return soon after
// [Stream.Context] ended. The client does not see an error of write: the status is sent by then.
// Stream sends nothing and returns an error when the number of streams is at its bound, and
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
	ctx.Response.Header.Set("X-Accel-Buffering", "no") // nginx would buffer the pieces
	ctx.Response.ImmediateHeaderFlush = true
	ctx.Response.SetBodyStream(&Stream{server: s, route: s.figures.route(ctx), ctx: ctx, write: write}, -1)
	return nil
}

// Context returns a context that ends when the node drains, and when the client hangs up.
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

// WriteTo implements [fasthttp.BodyWriterTo]: out makes a chunk of each Write. It runs after the
// handler, where the handler's recover does not apply.
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
	defer st.server.watchRights(st.ctx, cancel)()
	return 0, st.write(st)
}

// Streaming returns a context that ends with the drain, when streams must end.
func (s *Server) Streaming() context.Context { return s.streaming }

// LastWords is how long a client may take to read the end of its stream once the node drains.
const LastWords = time.Second

// hurry bounds the write in progress: a drain does not wait for a slow client.
func (st *Stream) hurry() { _ = st.ctx.SetWriteDeadline(time.Now().Add(LastWords)) }

// Close implements [io.Closer]. fasthttp calls it at the end, also for a stream that it could not
// begin to write.
func (st *Stream) Close() error {
	if !st.closed {
		st.closed = true
		st.server.figures.Streams.Add(-1)
	}
	return nil
}

// Read implements [io.Reader]. fasthttp reads only for clients of HTTP/1.0, which have no chunks.
func (st *Stream) Read([]byte) (int, error) {
	return 0, errors.New("a stream needs HTTP/1.1")
}

// MediaLines is the type of a stream of one JSON object a line.
const MediaLines = "application/x-ndjson"

// MediaEvents is the type of server-sent events (the HTML standard, §9.2), which
// a browser reads with EventSource. The functions here write them: [OpenEvent],
// data on one line, [CloseEvent].
const MediaEvents = "text/event-stream"

// OpenEvent begins an event of that name; with none it is a "message".
func OpenEvent(dst []byte, name string) []byte {
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	return append(dst, "data: "...)
}

// CloseEvent appends the end of an event.
func CloseEvent(dst []byte) []byte { return append(dst, '\n', '\n') }

// AppendRetry tells the client how long to wait before it connects again after the end of the
// stream.
func AppendRetry(dst []byte, wait time.Duration) []byte {
	dst = append(dst, "retry: "...)
	return append(strconv.AppendInt(dst, wait.Milliseconds(), 10), '\n', '\n')
}

// AppendBeat appends a comment, which clients ignore, to show that the stream is alive.
func AppendBeat(dst []byte) []byte { return append(dst, ":\n\n"...) }
