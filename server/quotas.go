package server

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/internal/apierr"
)

// connectionsPause is when a caller with too many connections may come again: nobody knows when it
// closes one.
const connectionsPause = 5 * time.Second

// count counts the request's connection as one of its caller, or refuses the request, and with it
// the connection. One that a proxy of forwarded.trusted has opened is none of its callers': they
// share it.
func (s *Server) count(ctx *fasthttp.RequestCtx, id *auth.Identity) error {
	c := ConnOf(ctx)
	if c == nil || c.counted.Of(id) || s.ClientAddr(ctx) != c.addr {
		return nil
	}
	left, ok := id.Connect(&c.counted, c.addr)
	if ok {
		return nil
	}
	e := apierr.QuotaExceeded.New("The quota %s is used up: it allows %d connections, which are open. Keep fewer of them, and share them.", left.Name, left.Limit)
	e.After = connectionsPause
	return closing(ctx, e)
}

// meter takes the request, with its body, from the quotas of its caller.
func (s *Server) meter(rt *gate, ctx *fasthttp.RequestCtx) error {
	if !s.asks(rt) {
		return nil
	}
	id := CallerOf(ctx)
	left, ok := id.Take(addrOf(ctx), rt.Path, auth.Usage{Requests: 1, Bytes: len(RequestBody(ctx))})
	if left.Name == "" {
		return nil
	}
	h := &ctx.Response.Header
	h.Set("RateLimit-Policy", strconv.Quote(left.Name)+";q="+strconv.FormatInt(left.Limit, 10)+";w="+seconds(left.Window))
	h.Set("RateLimit", strconv.Quote(left.Name)+";r="+strconv.FormatInt(left.Remaining, 10)+";t="+seconds(left.Reset))
	if ok {
		return nil
	}
	return exceeded(left)
}

// exceeded returns the error of a quota that is used up.
func exceeded(left auth.Left) error {
	e := apierr.QuotaExceeded.New("The quota %s is used up: it allows %s %s in %s.", left.Name, strconv.FormatInt(left.Limit, 10), left.What, left.Window.String())
	e.After = left.Wait
	return e
}

// seconds are the whole seconds of a time, rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// ChargeRecords takes the records of a request from the quotas of its caller, who is refused
// later if that was too much.
func ChargeRecords(ctx *fasthttp.RequestCtx, records int) {
	if rt, ok := ctx.UserValue(gateKey{}).(*gate); ok {
		CallerOf(ctx).Charge(addrOf(ctx), rt.Path, auth.Usage{Records: records})
	}
}

// RecordQuota is what the quotas of a request's caller leave to a stream, which outlives its
// handler. The zero RecordQuota is unlimited.
type RecordQuota struct {
	id   *auth.Identity
	addr netip.Addr
	path string
}

// RecordQuotaOf returns that of a request's caller.
func RecordQuotaOf(ctx *fasthttp.RequestCtx) RecordQuota {
	if rt, ok := ctx.UserValue(gateKey{}).(*gate); ok {
		return RecordQuota{CallerOf(ctx), addrOf(ctx), rt.Path}
	}
	return RecordQuota{}
}

// Take takes records from the quotas, or returns the error that refuses them.
func (q RecordQuota) Take(records int) error {
	if left, ok := q.id.TakeRecords(q.addr, q.path, records); !ok {
		return exceeded(left)
	}
	return nil
}
