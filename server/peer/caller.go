package peer

import (
	"net/url"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/server"
)

// Claims implements [server.Peers].
func (f *Forwarder) Claims(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	return len(h.Peek(headerProof)) > 0 || len(h.Peek(headerSecret)) > 0
}

// callerText is the identity of a client in a request to another node, and when its credentials
// end, unless end is zero. That node decides by its own rules, which an operator keeps the same on
// all nodes.
func callerText(id *auth.Identity, end time.Time) string {
	text := url.Values{"principal": {id.Principal()}, "role": id.Roles()}
	if !end.IsZero() {
		text.Set("end", strconv.FormatInt(end.UnixMilli(), 10))
	}
	return text.Encode()
}

// receiveCaller takes over the identity of the client from a request of another node. One of a
// former version does not say it, or not so that it is proven; its client is anonymous then.
func (f *Forwarder) receiveCaller(ctx *fasthttp.RequestCtx, proven bool) {
	if f.access == nil {
		return
	}
	id := f.access.Anonymous()
	if values, err := url.ParseQuery(string(ctx.Request.Header.Peek(headerCaller))); err == nil && proven && values.Has("principal") {
		id = f.access.Named(values.Get("principal"), values["role"])
		if ms, err := strconv.ParseInt(values.Get("end"), 10, 64); err == nil {
			server.SetCredentialsEnd(ctx, time.UnixMilli(ms))
		}
	}
	ctx.Request.Header.Del(headerCaller)
	server.SetCaller(ctx, id)
}
