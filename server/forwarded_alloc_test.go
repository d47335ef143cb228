package server

import (
	"net/netip"
	"testing"

	"github.com/valyala/fasthttp"
)

// A request costs no allocation to find whose share of the node it takes, behind a proxy too.
func TestShareOfARequestAllocatesNothing(t *testing.T) {
	s := &Server{settings: Settings{ForwardedNamed: LoopbackPrefixes()}}
	c := &Conn{addr: netip.MustParseAddr("127.0.0.1")}
	var ctx fasthttp.RequestCtx
	ctx.Init2(c, nil, false)
	ctx.Request.Header.Add("X-Forwarded-For", "198.51.100.7")
	ctx.Request.Header.Add("X-Forwarded-For", "2001:db8::1, 127.0.0.7")
	if addr := s.callerAddr(&ctx); addr != netip.MustParseAddr("2001:db8::1") || s.HolderOf(&ctx) == nil {
		t.Errorf("the request comes from %v", addr)
	}
	if n := testing.AllocsPerRun(100, func() { s.HolderOf(&ctx) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
