package server

import (
	"errors"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// errWire ends the reading of a chunked body whose framing takes too much.
var errWire = errors.New("the chunks of the body have taken too many bytes on the wire")

// wire counts what a connection has read, decrypted, and bounds that while a
// chunked body is read: fasthttp passes over the extensions of chunks, of any
// size, without telling. Only the connection's goroutine uses it.
type wire struct {
	read  int
	base  int   // read when the bound was set first
	limit int   // of read (0: none)
	err   error // of the last read; fasthttp hides it in one of its own, within a chunk's framing
}

// full reports whether nothing more may be read.
func (w *wire) full() bool {
	if w.limit == 0 || w.read < w.limit {
		return false
	}
	w.err = errWire
	return true
}

// bound lets so many bytes be read since the first call, until unbound.
func (w *wire) bound(n int) {
	if w.limit == 0 {
		w.base = w.read
	}
	w.limit = w.base + n
}

func (w *wire) unbound() { w.limit = 0 }

// wireOf returns the count of the request's connection. One that is of no listener of
// ours is not counted.
func wireOf(ctx *fasthttp.RequestCtx) *wire {
	if c := ConnOf(ctx); c != nil {
		return &c.wire
	}
	return new(wire)
}

// addrOf returns the address of the request's client.
func addrOf(ctx *fasthttp.RequestCtx) netip.Addr {
	if c := ConnOf(ctx); c != nil {
		return c.addr
	}
	return netip.Addr{}
}
