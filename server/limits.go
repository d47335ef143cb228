package server

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/fair"
)

const (
	// turnAwayTime bounds the writing of a refusal, and then the wait for the other side to read
	// it.
	turnAwayTime = time.Second
	// turningAway bounds the connections in that wait. In a flood further ones are closed at
	// once, and may lose their response to a reset.
	turningAway = 64
)

// limits bounds the open connections of all listeners together, and those of each address.
// fasthttp's own limits count for each listener, answer in plain text, and hide the connection
// from [ConnOf].
type limits struct {
	errorType     string
	max, maxPerIP int // 0: no limit
	tell          func(*apierr.Kind)
	refused       atomic.Uint64
	leaving       chan struct{} // has an entry for each refused connection that lingers

	mu   sync.Mutex
	open int
	byIP map[netip.Addr]int
}

// newLimits makes limits that call tell for each refused connection.
func newLimits(s Settings, errorType string, tell func(*apierr.Kind)) *limits {
	return &limits{
		errorType: errorType, max: s.MaxConnections, maxPerIP: s.MaxConnectionsPerIP, tell: tell,
		leaving: make(chan struct{}, turningAway), byIP: make(map[netip.Addr]int),
	}
}

// take counts a connection from addr, or returns why it is refused.
func (l *limits) take(addr netip.Addr) *apierr.Kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max > 0 && l.open >= l.max {
		return apierr.TooBusy
	}
	if l.maxPerIP > 0 {
		if l.byIP[addr] >= l.maxPerIP {
			return apierr.TooManyConnections
		}
		l.byIP[addr]++
	}
	l.open++
	return nil
}

// give uncounts a connection that take has counted.
func (l *limits) give(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.maxPerIP > 0 {
		if l.byIP[addr]--; l.byIP[addr] == 0 {
			delete(l.byIP, addr)
		}
	}
}

// turnAway answers a connection that was refused, and closes it. It does not wait for the other
// side: the response fits the empty buffer of a new connection. A secure connection gets no
// response, since that needs a handshake, which is the work that the limit bounds.
func (l *limits) turnAway(c *net.TCPConn, k *apierr.Kind, secure bool) {
	l.refused.Add(1)
	l.tell(k)
	if secure {
		_ = c.Close()
		return
	}
	_ = c.SetWriteDeadline(time.Now().Add(turnAwayTime))
	_, _ = c.Write(l.refusal(k))
	select {
	case l.leaving <- struct{}{}:
		go func() {
			linger(c, turnAwayTime)
			_ = c.Close()
			<-l.leaving
		}()
	default:
		_ = c.Close()
	}
}

// refusal returns the response of [Server.fail], for a connection without a request.
func (l *limits) refusal(k *apierr.Kind) []byte {
	body := codec.AppendError(nil, k.Err())
	dst := append([]byte(nil), "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(k.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, fasthttp.StatusMessage(k.Status)...)
	dst = append(dst, "\r\nServer: "+Name+"\r\nDate: "...)
	dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
	dst = append(dst, "\r\nContent-Type: "+l.errorType+"\r\n"+noSniff+"\r\nConnection: close\r\nRetry-After: "...)
	dst = strconv.AppendInt(dst, int64(k.RetryAfter/time.Second), 10)
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

// otherFiles is the number of file descriptors that are reserved for other uses than clients'
// connections, mostly for connections to the brokers.
const otherFiles = 256

// warnOfOpenFiles logs when the process cannot open as many connections as its settings allow:
// those would wait in the system's queue without a response.
func (s *Server) warnOfOpenFiles() {
	wanted := uint64(s.settings.MaxConnections) + otherFiles
	if limit, known := openFilesLimit(); known && limit < wanted {
		s.log.Warn("the limit of open files (ulimit -n) is too low for connections.max",
			"limit", limit, "connections.max", s.settings.MaxConnections, "wanted", wanted)
	}
}

// connectionsPause is when a caller with too many connections may come again: nobody knows when it
// closes one.
const connectionsPause = 5 * time.Second

// count counts the request's connection as one of its caller, or refuses the request, and with it
// the connection. One that a proxy has opened which is named in forwarded.trusted is none of its
// callers': they share it.
func (s *Server) count(ctx *fasthttp.RequestCtx, id *auth.Identity) error {
	c := ConnOf(ctx)
	if c == nil || c.counted.Of(id) || s.callerAddr(ctx) != c.addr {
		return nil
	}
	left, ok := id.Connect(&c.counted, network(c.addr))
	if ok {
		return nil
	}
	e := apierr.QuotaExceeded.New("The quota %s is used up: it allows %d connections, which are open. Keep fewer of them, and share them.", left.Name, left.Limit)
	e.After = connectionsPause
	return closing(ctx, e)
}

// HolderOf returns what the request's caller holds of the resources that callers share: that of
// its identity where it has shown one, else that of its address. Nil: the request is on no
// connection of a listener.
func (s *Server) HolderOf(ctx *fasthttp.RequestCtx) *fair.Holder {
	c := ConnOf(ctx)
	if c == nil {
		return nil
	}
	if id := CallerOf(ctx); id != nil && !id.Anonymous() {
		return s.holders.Sit(&c.seat, fair.Key{Principal: id.Principal()})
	}
	return s.holders.Sit(&c.seat, fair.Key{Addr: s.limitAddr(ctx)})
}

// meter takes the request, with its body, from the quotas of its caller.
func (s *Server) meter(rt *gate, ctx *fasthttp.RequestCtx) error {
	if !s.asks(rt) {
		return nil
	}
	id := CallerOf(ctx)
	left, ok := id.Take(s.limitAddr(ctx), rt.Path, auth.Usage{Requests: 1, Bytes: len(RequestBody(ctx))})
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
func (s *Server) ChargeRecords(ctx *fasthttp.RequestCtx, records int) {
	if rt, ok := ctx.UserValue(gateKey{}).(*gate); ok {
		CallerOf(ctx).Charge(s.limitAddr(ctx), rt.Path, auth.Usage{Records: records})
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
func (s *Server) RecordQuotaOf(ctx *fasthttp.RequestCtx) RecordQuota {
	if rt, ok := ctx.UserValue(gateKey{}).(*gate); ok {
		return RecordQuota{CallerOf(ctx), s.limitAddr(ctx), rt.Path}
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
