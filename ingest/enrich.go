package ingest

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"millrace/pool"
	"millrace/server"
)

// enrichRule is what a route adds to its records, as headers. It is immutable.
type enrichRule struct {
	received, userAgent, requestID, traceparent, caller bool
	address                                             addressForm
	// sentAt is where the client's own time is, or nil.
	sentAt *source
}

// addressForm is how much of a client's address is kept.
type addressForm uint8

const (
	noAddress addressForm = iota
	// networkAddress is the network alone: /24 of IPv4, /48 of IPv6.
	networkAddress
	fullAddress
)

// The headers of records that [enrichRule] adds.
const (
	headerReceived  = "millrace.received"
	headerSent      = "millrace.sent"
	headerSkew      = "millrace.skew-ms"
	headerAddress   = "millrace.address"
	headerUserAgent = "millrace.user-agent"
	headerRequestID = "millrace.request-id"
	headerCaller    = "millrace.caller"
	headerTrace     = "traceparent"
)

// maxAgent bounds what is kept of a header that the client chooses.
const maxAgent = 512

// enrich takes what all events of the request share.
func (r *rules) enrich(edge *server.Server, ctx *fasthttp.RequestCtx) {
	rule := r.route.enrich
	if rule == nil {
		return
	}
	r.now = time.Now().UnixMilli()
	if rule.received {
		r.share(headerReceived, strconv.AppendInt(nil, r.now, 10))
	}
	if rule.sentAt != nil && rule.sentAt.from != pointer {
		r.shareSent(rule.sentAt.ofRequest(ctx))
	}
	if rule.address != noAddress {
		if addr := addressOf(edge.ClientAddr(ctx), rule.address); addr != "" {
			r.share(headerAddress, []byte(addr))
		}
	}
	if rule.userAgent {
		r.shareHeader(headerUserAgent, ctx.Request.Header.UserAgent())
	}
	if rule.requestID {
		if id := ctx.Request.Header.Peek("X-Request-Id"); len(id) > 0 {
			r.shareHeader(headerRequestID, id)
		} else {
			r.share(headerRequestID, randomID())
		}
	}
	if rule.traceparent {
		r.shareHeader(headerTrace, ctx.Request.Header.Peek(headerTrace))
	}
	if id := server.CallerOf(ctx); rule.caller && id != nil {
		r.share(headerCaller, []byte(id.Principal()))
	}
}

// share adds a header to each record of the request. The value is not copied.
func (r *rules) share(name string, value []byte) {
	r.common = append(r.common, kgo.RecordHeader{Key: name, Value: value})
}

// shareHeader is share for a copy of an HTTP header, which is cut where it is too long, and left
// out where it is not there.
func (r *rules) shareHeader(name string, value []byte) {
	if len(value) > 0 {
		r.share(name, append([]byte{}, value[:min(len(value), maxAgent)]...))
	}
}

func (r *rules) shareSent(value []byte) {
	if at, ok := parseTime(value); ok {
		ms := at.UnixMilli()
		r.share(headerSent, strconv.AppendInt(nil, ms, 10))
		r.share(headerSkew, strconv.AppendInt(nil, r.now-ms, 10))
	}
}

// addSent adds the client's time of one event, and the time since. A time that cannot be read is
// left out: it is no reason to refuse the event.
func (r *rules) addSent(slab *pool.Slab, made *kgo.Record, event []byte) {
	rule := r.route.enrich
	if rule == nil || rule.sentAt == nil || rule.sentAt.from != pointer || r.opaque {
		return
	}
	var value []byte
	value, r.arena = rule.sentAt.ofEvent(event, r.arena)
	at, ok := parseTime(value)
	if !ok {
		return
	}
	n := len(r.arena)
	r.arena = strconv.AppendInt(r.arena, at.UnixMilli(), 10)
	slab.AddHeader(made, headerSent, r.arena[n:len(r.arena):len(r.arena)])
	n = len(r.arena)
	r.arena = strconv.AppendInt(r.arena, r.now-at.UnixMilli(), 10)
	slab.AddHeader(made, headerSkew, r.arena[n:len(r.arena):len(r.arena)])
}

// addressOf returns an address as a rule keeps it, or "".
func addressOf(addr netip.Addr, f addressForm) string {
	if !addr.IsValid() {
		return ""
	}
	if addr = addr.Unmap().WithZone(""); f == fullAddress {
		return addr.String()
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return ""
	}
	return network.String()
}

// randomID identifies a request that has no id of its own.
func randomID() []byte {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	return hex.AppendEncode(nil, id[:])
}
