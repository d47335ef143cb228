package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/internal/fair"
	"millrace/pool"
	"millrace/server/intake"
)

const (
	// The rest of a request that was refused unread is read and dropped, up to these bounds,
	// before its connection is closed.
	lingerBytes  = 64 << 20
	lingerBuffer = 64 << 10
	lingerTime   = 2 * time.Second
	// silentTime is how long a new connection may stay silent in a drain.
	silentTime = 500 * time.Millisecond

	// atOnce is longer than a read of bytes that are there, and shorter than one that waits for some.
	atOnce = 100 * time.Microsecond

	// Accepting pauses after a failure for acceptPause, then for twice as long each time, up to
	// acceptPauseMax.
	acceptPause, acceptPauseMax = 5 * time.Millisecond, time.Second
	// outageTime is how long accepting must have succeeded for the next failure to be logged. At
	// the edge of a limit, success and failure alternate.
	outageTime = 10 * time.Second
)

// listener accepts connections and handles four cases that plain listeners do not:
//
// Accepting fails while the process is out of file descriptors, or the system out of memory.
// fasthttp would stop serving for good; [listener.Accept] retries.
//
// The number of connections is bounded ([limits]).
//
// A body over the limit is refused while its sender is still writing. Without lingering: the node
// writes 413 and closes, the kernel answers the client's further bytes with a reset, and the
// reset discards the response before the client has read it; the client sees a broken pipe. Such
// a connection lingers ([lingerOnClose]).
//
// A connection that a browser or a pool opened in advance counts as busy in fasthttp for its
// first five seconds, and delays a drain as long. closeSilent ends those.
type listener struct {
	net.Listener
	tls     *tls.Config // nil: plain HTTP
	serves  Part        // 0: all parts
	limits  *limits
	holders *fair.Holders
	log     *slog.Logger
	closed  chan struct{}
	close   func() error // once

	hangups hangups

	failed time.Time // when accepting last failed; only Accept's goroutine uses it

	mu     sync.Mutex
	silent map[*Conn]time.Time // connections that have sent nothing, since when
}

// newListener takes ln, which is a TCP listener.
func (s *Server) newListener(ln net.Listener, of Listener) *listener {
	own := &listener{Listener: ln, tls: of.TLS, serves: of.Serves, limits: s.limits, holders: &s.holders, log: s.log, closed: make(chan struct{}), silent: make(map[*Conn]time.Time)}
	own.close = sync.OnceValue(func() error {
		close(own.closed)
		return ln.Close()
	})
	return own
}

// Close implements [net.Listener].
func (l *listener) Close() error { return l.close() }

// Accept implements [net.Listener]. It fails only when the listener is closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.accept()
		if err != nil {
			return nil, err
		}
		addr := tcp.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
		if refused := l.limits.take(network(addr)); refused != nil {
			l.limits.turnAway(tcp, refused, l.tls != nil)
			continue
		}
		c := &Conn{TCPConn: tcp, listener: l, secure: l.tls != nil, addr: addr}
		c.giveBack = sync.OnceFunc(func() { l.limits.give(network(addr)); l.holders.Leave(&c.seat) })
		l.mu.Lock()
		l.silent[c] = time.Now()
		l.mu.Unlock()
		if c.secure {
			return &secureConn{Conn: tls.Server(c, l.tls), under: c}, nil
		}
		return c, nil
	}
}

// accept accepts a connection, and retries until it succeeds. Any failure counts as transient: an
// operator can see a process that accepts nothing while its listener is open, but a process that
// exits drops all its connections.
func (l *listener) accept() (*net.TCPConn, error) {
	for pause := acceptPause; ; pause = min(2*pause, acceptPauseMax) {
		accepted, err := l.Listener.Accept()
		if err == nil {
			return accepted.(*net.TCPConn), nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if time.Since(l.failed) > outageTime {
			l.log.Error("cannot accept connections, retrying", "address", l.Addr().String(), "err", err)
		}
		l.failed = time.Now()
		select {
		case <-time.After(pause):
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
}

func (l *listener) heard(c *Conn) {
	l.mu.Lock()
	delete(l.silent, c)
	l.mu.Unlock()
}

// closeSilent closes the connections that have been silent for silentTime.
func (l *listener) closeSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, since := range l.silent {
		if time.Since(since) > silentTime {
			_ = c.TCPConn.Close()
		}
	}
}

// Conn is a TCP connection, with HTTP on it or, when it is secure, TLS.
type Conn struct {
	*net.TCPConn
	listener *listener
	addr     netip.Addr // of the other side
	secure   bool
	wire     wire
	framing  framing
	pause    *intake.Shedder // before the next read; nil: none
	early    bool            // the next request was there when the pause before it ended
	spoke    bool            // has sent a byte of HTTP; only its own goroutine reads
	linger   atomic.Bool
	gone     atomic.Bool     // the other side has ended it
	giveBack func()          // returns its slot within the limits; once
	counted  auth.Connection // in the quotas of its caller
	seat     fair.Seat       // of its caller among those that share the node
	attention
	param any    // the parameter of the frequent route asked for last, a string
	waits func() // called before bytes are waited for, or nil; of the connection's goroutine

	answer atomic.Pointer[pool.Buffer] // the response being written
	whole  whole

	sending sync.Mutex        // guards what follows
	failed  bool              // a write failed, or the client was gone
	waiting []func(sent bool) // callbacks for the responses being written
	looked  int               // callbacks since the last check for a client
}

// WhenSent calls f, once, when the response to the present request was written whole, or cannot
// be written any further. f must not block.
func (c *Conn) WhenSent(f func(sent bool)) {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.waiting = append(c.waiting, f)
}

// settle is called when all pending output is written, or never will be.
func (c *Conn) settle() {
	c.sending.Lock()
	waiting, sent := c.waiting, !c.failed
	c.waiting, c.looked = nil, 0
	c.sending.Unlock()
	for _, f := range waiting {
		f(sent)
	}
}

// Write implements [net.Conn].
func (c *Conn) Write(b []byte) (int, error) {
	c.sending.Lock()
	look := len(c.waiting) > c.looked
	c.looked = len(c.waiting)
	c.sending.Unlock()
	if look && c.PeerGone() {
		c.notSent()
	}
	n, err := c.whole.write(c.TCPConn, b)
	if err != nil {
		c.notSent()
	}
	return n, err
}

// lend holds b, which has the response to the present request, until that is written.
func (c *Conn) lend(b *pool.Buffer) {
	if old := c.answer.Swap(b); old != nil { // pipelined requests: the response before was written
		old.Release()
	}
}

// notSent records that the response being written reaches no client.
func (c *Conn) notSent() {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.failed = true
}

// Read implements [net.Conn]. A next read means that the response before it was written.
func (c *Conn) Read(b []byte) (int, error) {
	c.settle()
	if b := c.answer.Swap(nil); b != nil {
		b.Release()
	}
	if c.waits != nil {
		c.waits()
	}
	if !c.secure {
		if err := c.mayRead(); err != nil {
			return 0, err
		}
	}
	n, err := c.read(b)
	if n > 0 && !c.secure {
		n, err = c.passed(b[:n], err)
	}
	c.wire.err = err
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.gone.Store(true)
	}
	return n, err
}

// read reads once the pause after a refusal is over.
func (c *Conn) read(b []byte) (int, error) {
	if c.pause == nil {
		return c.TCPConn.Read(b)
	}
	c.pause.Pause()
	c.pause = nil
	began := time.Now()
	n, err := c.TCPConn.Read(b)
	c.early = time.Since(began) < atOnce
	return n, err
}

// mayRead returns why no more HTTP may be read, or nil.
func (c *Conn) mayRead() error {
	if c.framing.refused != nil {
		c.wire.err = c.framing.refused
		return c.framing.refused
	}
	if c.wire.full() {
		return errWire
	}
	return nil
}

// passed counts b, which is HTTP that was just read, and returns how much of it fasthttp may see.
func (c *Conn) passed(b []byte, err error) (int, error) {
	c.heard()
	c.wire.read += len(b)
	n, err := c.framing.pass(b, err)
	c.wire.err = err
	return n, err
}

func (c *Conn) heard() {
	if !c.spoke {
		c.spoke = true
		c.listener.heard(c)
	}
}

// Close implements [net.Conn]. It may be called more than once, and by other goroutines than the
// connection's.
func (c *Conn) Close() error {
	c.listener.heard(c)
	c.listener.hangups.remove(c)
	c.settle()
	if b := c.answer.Swap(nil); b != nil {
		b.Abandon() // its goroutine may be writing it
	}
	if c.linger.Swap(false) {
		linger(c.TCPConn, lingerTime)
	}
	// Before the end is visible: a client that waited for it may take the slot.
	c.giveBack()
	c.counted.Close()
	return c.TCPConn.Close()
}

// linger closes our side of a connection and drops what the other side still sends.
func linger(c *net.TCPConn, atMost time.Duration) {
	_ = c.CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(atMost))
	b := pool.GetBuffer(lingerBuffer) // io.Discard's own takes eight times the system calls
	defer b.Release()
	for left := lingerBytes; left > 0; {
		n, err := c.Read(b.B[:lingerBuffer])
		if err != nil {
			return
		}
		left -= n
	}
}

// A response that is larger than fasthttp's write buffer leaves fasthttp in two pieces: the header
// with the beginning of the body, and the rest. To a bare TCP connection fasthttp writes them at
// once, but not to a [Conn]. So the connection writes header and body with the first piece, and
// drops the second. Two writes would wake the client twice for one response.

// whole is the state of a response of which a [Conn] writes more than it is given. Only the
// connection's goroutine uses it.
type whole struct {
	body  []byte // of the response to be written next; nil: it is written as it comes
	ahead int    // of the next bytes from fasthttp, how many are written already
	parts [2][]byte
	left  net.Buffers // of parts
}

// sendWhole has the response's connection write the response whole. On TLS each piece is encrypted
// on its own.
func sendWhole(ctx *fasthttp.RequestCtx) {
	c, plain := ctx.Conn().(*Conn)
	if !plain || ctx.Response.IsBodyStream() {
		return
	}
	if body := ctx.Response.Body(); len(body) > writeBuffer {
		c.whole.body = body
	}
}

// write writes b, and with it all that follows of the response that begins in b, if that is known.
func (w *whole) write(c *net.TCPConn, b []byte) (int, error) {
	done := min(w.ahead, len(b))
	w.ahead -= done
	if done == len(b) {
		return done, nil
	}
	body := w.body
	w.body = nil
	header := headerBefore(b[done:], body)
	if header == 0 {
		n, err := c.Write(b[done:])
		return done + n, err
	}
	w.parts = [...][]byte{b[done : done+header], body}
	w.left = w.parts[:]
	n, err := w.left.WriteTo(c)
	w.left, w.parts = nil, [2][]byte{} // the body goes back to its pool
	given := len(b) - done
	if err != nil {
		return done + min(int(n), given), err
	}
	w.ahead = header + len(body) - given
	return len(b), nil
}

// headerBefore returns the length of the header in b if b has one header, and behind it a part of
// the body; 0 for anything else.
func headerBefore(b, body []byte) int {
	if len(body) == 0 {
		return 0
	}
	_, begun, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok || len(begun) == 0 || len(begun) >= len(body) || !bytes.Equal(begun, body[:len(begun)]) {
		return 0
	}
	return len(b) - len(begun)
}

// secureConn is the TLS on a Conn.
type secureConn struct {
	*tls.Conn
	under *Conn
	// Of the connection's goroutine: whether the client's certificate was looked at, and when it
	// ends; zero: it has shown none.
	looked bool
	ends   time.Time
}

// Read implements [net.Conn]. The bytes of a handshake do not count as HTTP.
func (c *secureConn) Read(b []byte) (int, error) {
	if err := c.under.mayRead(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		n, err = c.under.passed(b[:n], err)
	}
	if errors.Is(err, io.EOF) { // the connection below has not read it
		c.under.gone.Store(true)
	}
	return n, err
}

// ConnOf returns the request's connection, or nil when it is not one of a listener.
func ConnOf(ctx *fasthttp.RequestCtx) *Conn {
	switch c := ctx.Conn().(type) {
	case *Conn:
		return c
	case *secureConn:
		return c.under
	}
	return nil
}

// lingerOnClose makes the request's connection read and drop the rest of the request before it
// closes.
func lingerOnClose(ctx *fasthttp.RequestCtx) {
	if c := ConnOf(ctx); c != nil {
		c.linger.Store(true)
	}
}
