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

	"millrace/codec"
	"millrace/internal/apierr"
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
