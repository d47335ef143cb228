package server

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// What is still coming on a connection after its request was refused
	// unread is read and dropped, up to these bounds, before it is closed.
	lingerBytes = 64 << 20
	lingerTime  = 2 * time.Second
	// silentTime is how long a new connection may stay silent in a drain.
	silentTime = 500 * time.Millisecond
)

// listener hands out connections that end well, where plain ones do not:
//
// A body over the limit is refused while its sender is still writing. Closing
// then makes the kernel send a reset, which on the other side destroys the
// answer before it is read: the client would see a broken pipe instead of 413.
// Such a connection lingers ([lingerOnClose]).
//
// A connection that a browser or a pool opened in advance looks busy to
// fasthttp for its first five seconds, and holds up a drain as long.
// closeSilent ends those.
type listener struct {
	net.Listener
	mu     sync.Mutex
	silent map[*conn]time.Time // connections that have not sent a byte, since when
}

func newListener(ln net.Listener) *listener {
	return &listener{Listener: ln, silent: make(map[*conn]time.Time)}
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		return accepted, err
	}
	c := &conn{TCPConn: tcp, listener: l}
	l.mu.Lock()
	l.silent[c] = time.Now()
	l.mu.Unlock()
	return c, nil
}

func (l *listener) heard(c *conn) {
	l.mu.Lock()
	delete(l.silent, c)
	l.mu.Unlock()
}

// closeSilent closes the connections that have been silent for a while.
func (l *listener) closeSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, since := range l.silent {
		if time.Since(since) > silentTime {
			_ = c.TCPConn.Close()
		}
	}
}

type conn struct {
	*net.TCPConn
	listener *listener
	spoke    bool // has sent a byte; only its own goroutine reads
	linger   atomic.Bool
}

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if n > 0 && !c.spoke {
		c.spoke = true
		c.listener.heard(c)
	}
	return n, err
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.listener.heard(c)
	if c.linger.Swap(false) {
		_ = c.CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytes)
	}
	return c.TCPConn.Close()
}

// lingerOnClose has the request's connection read what is still coming before
// it closes.
func lingerOnClose(ctx *fasthttp.RequestCtx) {
	wrapped := ctx.Conn()
	if secure, ok := wrapped.(interface{ NetConn() net.Conn }); ok { // TLS
		wrapped = secure.NetConn()
	}
	if c, ok := wrapped.(*conn); ok {
		c.linger.Store(true)
	}
}
