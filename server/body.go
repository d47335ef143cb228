package server

import (
	"cmp"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server/intake"
)

// This is the only file that reads the body of a request; internal/lint holds that.
// fasthttp would reserve the memory that a body's Content-Length announces, so
// bodies are streamed, and on a streamed request its own Body, PostBody and
// SwapBody hide errors: a body that was cut off is whole, a broken chunk leaves
// the text of the error as the body.

const (
	// prefetched is the largest body that fasthttp reads whole, with the
	// header, into the buffer that the connection keeps. Of a larger one it reads
	// a byte, so that most are refused before they arrive.
	prefetched = 8 << 10
	// firstRoom is the buffer that a larger body begins with. Once it is full, a body of wholeRoom
	// at most that says its length gets all the room that it needs, if the budget is ample. Others
	// get twice the room whenever it is full, for their clients may send no more.
	firstRoom, wholeRoom = 16 << 10, 1 << 20
	// dropped is the largest body of a shed request that fasthttp reads and drops, so that the
	// connection can stay.
	dropped = 256 << 10
	// A chunked body may take so many bytes on the wire for each of its own,
	// and so many more. A chunk of one byte takes six; what the connection has
	// read ahead, and the trailer, are within the rest.
	wirePerByte, wireSlack = 8, 128 << 10
)

// incoming is the body of one request: the bytes, in a buffer of the pool, and what
// they are charged to. It is the request's from [Server.readBody] to its response, without a
// buffer from [ReleaseBody] on.
type incoming struct {
	buffer *pool.Buffer // nil: there is none
	charge intake.Body
	wire   int // bytes that came, before they were unpacked
	ended  bool
	excess [1]byte
}

var bodies = sync.Pool{New: func() any { return new(incoming) }}

// bodyKey is where a request's body stands among its user values.
type bodyKey struct{}

func bodyOf(ctx *fasthttp.RequestCtx) *incoming {
	b, _ := ctx.UserValue(bodyKey{}).(*incoming)
	return b
}

// RequestBody returns the request's body, whole and unpacked. It is a view,
// valid until the handler returns.
func RequestBody(ctx *fasthttp.RequestCtx) []byte {
	if b := bodyOf(ctx); b != nil && b.buffer != nil {
		return b.buffer.B
	}
	return nil
}

// SwapBody returns the request's body, which it no longer owns, and takes buf in its
// place. The body stays charged to the request until [ReleaseBody]; call that once
// somebody else accounts for it, so that at no time nobody does.
func SwapBody(ctx *fasthttp.RequestCtx, buf []byte) []byte {
	b := bodyOf(ctx)
	if b == nil || b.buffer == nil {
		return buf[:0]
	}
	body := b.buffer.B
	b.buffer.B = buf[:0]
	return body
}

// ReleaseBody gives back the request's body, and what it is charged. It may be called
// again.
func ReleaseBody(ctx *fasthttp.RequestCtx) {
	b := bodyOf(ctx)
	if b == nil {
		return
	}
	if b.buffer != nil {
		b.buffer.Release()
	}
	b.end()
}

// abandonBody is ReleaseBody after a panic: somebody may still have a view.
func abandonBody(ctx *fasthttp.RequestCtx) {
	b := bodyOf(ctx)
	if b == nil {
		return
	}
	if b.buffer != nil {
		b.buffer.Abandon()
	}
	b.end()
}

// end gives back the charge, once. How many bytes came stays known.
func (b *incoming) end() {
	if b.buffer = nil; !b.ended {
		b.ended = true
		b.charge.Release()
	}
}

// endBody is ReleaseBody once the response is complete.
func endBody(ctx *fasthttp.RequestCtx) {
	if b := bodyOf(ctx); b != nil {
		ReleaseBody(ctx)
		ctx.RemoveUserValue(bodyKey{})
		b.wire, b.ended = 0, false
		bodies.Put(b)
	}
}

// receivedOf returns how many bytes of the request's body were read, before they were unpacked.
func receivedOf(ctx *fasthttp.RequestCtx) int {
	if b := bodyOf(ctx); b != nil {
		return b.wire
	}
	return 0
}

// headerReceived says how much of a body to read with the header: all of a small one, of
// others as little as fasthttp can be told to. Of one that is too large whatever else
// holds nothing is read: it is treated as if its client had asked whether to send it.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	n := h.ContentLength()
	if s.streamed(h) { // the rest of a small one, too, may come late
		c.MaxRequestBodySize = 1
		return c
	}
	if n > prefetched {
		c.MaxRequestBodySize = 1
	}
	if n > s.settings.MaxBodyBytes {
		h.Set(fasthttp.HeaderExpect, "100-continue")
	}
	return c
}

// isArriving reports whether the request has a body that was not read.
func isArriving(ctx *fasthttp.RequestCtx) bool {
	return ctx.Request.BodyStream() != nil && bodyOf(ctx) == nil
}

// HasBody reports whether the request has a body. Before the body is read, one that does not say
// its length counts as none: it may prove to be empty.
func HasBody(ctx *fasthttp.RequestCtx) bool {
	if isArriving(ctx) || isAsking(ctx) {
		return ctx.Request.Header.ContentLength() > 0
	}
	return len(RequestBody(ctx)) > 0
}

// readBody reads the request's body, if it was not read, into memory that is charged to the budget
// as its bytes arrive. A body that cannot be taken is refused before it is read. After an error the
// connection is closed: nobody knows where the next request begins.
func (s *Server) readBody(ctx *fasthttp.RequestCtx) error {
	if !isArriving(ctx) {
		return nil
	}
	err := s.refuseEarly(ctx)
	if err == nil {
		err = s.takeBody(ctx, ctx.Request.BodyStream())
	}
	if err != nil {
		ctx.SetUserValue(routeKey{}, waiter{s.figures.unreadable})
		return closing(ctx, err)
	}
	return nil
}

func (s *Server) takeBody(ctx *fasthttp.RequestCtx, stream io.Reader) error {
	b := bodies.Get().(*incoming)
	ctx.SetUserValue(bodyKey{}, b)
	s.budget.Begin(&b.charge, s.HolderOf(ctx))
	if announced := ctx.Request.Header.ContentLength(); announced >= 0 && announced <= prefetched {
		return b.copyPrefetched(stream, announced)
	}
	return s.readArriving(ctx, b, stream)
}

// copyPrefetched takes over a body of n bytes that has arrived whole.
func (b *incoming) copyPrefetched(stream io.Reader, n int) error {
	if err := b.charge.Charge(int64(pool.Room(n)), false); err != nil {
		return err
	}
	b.buffer = pool.GetBuffer(n)
	b.buffer.B = b.buffer.B[:n]
	b.wire = n
	// The extra read, past the end, tells the stream that it was read to its end.
	if _, err := io.ReadFull(stream, b.buffer.B); err != nil && n > 0 {
		return apierr.BadRequest.Wrap(err, "The body could not be read.")
	}
	if n == 0 {
		_, _ = stream.Read(nil)
	}
	return nil
}

// readArriving reads a body that is still on its way.
func (s *Server) readArriving(ctx *fasthttp.RequestCtx, b *incoming, stream io.Reader) error {
	b.charge.Watch(ctx.Conn())
	defer b.charge.Arrived()
	w := wireOf(ctx)
	defer w.unbound()
	announced := ctx.Request.Header.ContentLength()
	for {
		if announced < 0 {
			w.bound(wirePerByte*b.len() + wireSlack)
		}
		room, err := b.room(announced, s.settings.MaxBodyBytes)
		if err != nil {
			return err
		}
		n, err := stream.Read(room)
		if &room[0] != &b.excess[0] {
			b.buffer.B = b.buffer.B[:b.len()+n]
			b.wire = b.len()
			b.charge.Progress(b.len())
			n = 0
		}
		switch {
		case n > 0:
			return apierr.BodyTooLarge.New("The request body is larger than %d bytes (request.max.bytes).", s.settings.MaxBodyBytes)
		case errors.Is(err, io.EOF) && announced >= 0 && b.len() < announced:
			return apierr.BadRequest.New("The body ended after %d of the %d bytes that Content-Length announces.", b.len(), announced)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return b.broken(cmp.Or(w.err, err))
		}
	}
}

func (b *incoming) len() int {
	if b.buffer == nil {
		return 0
	}
	return len(b.buffer.B)
}

// room returns where the next bytes go. It grows the buffer when that is full, but to no
// more than the body may have. Past that there is room for one
// more byte, elsewhere, which only shows that the body has too many.
func (b *incoming) room(announced, most int) ([]byte, error) {
	need := most
	if announced >= 0 {
		need = announced
	}
	if b.buffer == nil || len(b.buffer.B) == cap(b.buffer.B) && b.len() < need {
		n := min(max(2*b.len(), firstRoom), need)
		if announced > n && announced <= wholeRoom && b.buffer != nil && b.charge.Ample(int64(pool.Room(announced))) {
			n = announced // in doubling, each byte would be copied once, and read in smaller pieces
		}
		if err := b.grow(n); err != nil {
			return nil, err
		}
	}
	if b.len() == need {
		return b.excess[:], nil
	}
	return b.buffer.B[len(b.buffer.B):min(cap(b.buffer.B), need)], nil
}

// grow makes the buffer one for n bytes. While its content is copied there are two of
// them, of which the larger is charged.
func (b *incoming) grow(n int) error {
	if err := b.charge.Charge(int64(pool.Room(n)), true); err != nil {
		return err
	}
	if b.buffer == nil {
		b.buffer = pool.GetBuffer(n)
		return nil
	}
	b.buffer.B = pool.Grow(b.buffer.B, n-len(b.buffer.B))
	return nil
}

// arrivingOf returns the request's body as it arrives, or nil if it was read or there is none.
func arrivingOf(ctx *fasthttp.RequestCtx) io.Reader {
	if bodyOf(ctx) != nil {
		return nil
	}
	return ctx.Request.BodyStream()
}

// broken says why a body could not be read to its end.
func (b *incoming) broken(err error) error {
	if why := b.charge.Cut(); why != nil {
		return &apierr.Error{Kind: why, Cause: err}
	}
	return brokenBody(err)
}

// brokenBody says what is wrong with a body that nobody has cut.
func brokenBody(err error) error {
	var refused *apierr.Error // by framing
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &timeout) && timeout.Timeout():
		return &apierr.Error{Kind: apierr.SlowRequest, Cause: err}
	case errors.Is(err, errWire):
		return apierr.BadRequest.Wrap(err, "The chunks of the body take many times the bytes that they bring; leave out chunk extensions.")
	}
	return apierr.BadRequest.Wrap(err, "The body is not complete, or its chunks are not what RFC 9112, section 7.1, says.")
}

// refuseEarly returns why the request's body is not worth reading, whatever the route, or nil.
func (s *Server) refuseEarly(ctx *fasthttp.RequestCtx) error {
	n := ctx.Request.Header.ContentLength()
	if n > s.settings.MaxBodyBytes {
		return apierr.BodyTooLarge.New("The request body has %d bytes; request.max.bytes is %d.", n, s.settings.MaxBodyBytes)
	}
	if n <= prefetched { // it is in memory, and Charge decides
		return nil
	}
	var probe intake.Body
	s.budget.Begin(&probe, s.HolderOf(ctx))
	return probe.Fits(int64(pool.Room(n)))
}

// leaveUnread has the connection closed after the refusal of a request whose body nobody has read,
// unless that has arrived with the header. fasthttp reads and drops it then, as it does with the
// body of a preflight.
func (s *Server) leaveUnread(ctx *fasthttp.RequestCtx) {
	if !isArriving(ctx) || ctx.Response.IsBodyStream() {
		return
	}
	n := ctx.Request.Header.ContentLength()
	if n == 0 || n > 0 && n <= prefetched && !s.streamed(&ctx.Request.Header) || ctx.Response.StatusCode() < fasthttp.StatusBadRequest {
		return
	}
	if ctx.UserValue(dropKey{}) != nil {
		return
	}
	_ = closing(ctx, nil)
}

// shed returns why a request that produces is refused for overload, or nil. The connection of one
// that is refused is not read for a while, and stays open: a new one would cost more than the
// refusal. A request that did not wait for the end of that while has become old by it, and is
// refused as well, but the next one is read at once.
func (s *Server) shed(ctx *fasthttp.RequestCtx) error {
	c := ConnOf(ctx)
	early := c != nil && c.early
	err := s.shedder.Admit(s.HolderOf(ctx), early)
	if c != nil {
		if err != nil && !early {
			c.pause = s.shedder
		}
		c.early = false
	}
	if err != nil {
		ctx.SetUserValue(routeKey{}, s.figures.shed)
		if n := ctx.Request.Header.ContentLength(); n > 0 && n <= dropped {
			ctx.SetUserValue(dropKey{}, true)
		}
	}
	return err
}

// dropKey stands among the user values of a request whose body fasthttp reads and drops, although
// it is longer than those that arrive with the header.
type dropKey struct{}

// closing has the connection closed after the answer to a request whose body was
// not read to its end, once its client has had the time to see that.
func closing(ctx *fasthttp.RequestCtx, err error) error {
	ctx.SetConnectionClose()
	lingerOnClose(ctx)
	return err
}
