package simulation

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipe is one direction of a connection. Bytes arrive later, in order, and without a bound, as if
// the buffers of the operating system were large.
type pipe struct {
	mu       sync.Mutex
	changed  sync.Cond
	chunks   []chunk
	last     time.Time // when the last chunk arrives
	end      error     // of the bytes, once all chunks are read; nil: there may be more
	deadline time.Time // of reads
}

type chunk struct {
	arrives time.Time
	bytes   []byte
}

func newPipe() *pipe {
	p := &pipe{}
	p.changed.L = &p.mu
	return p
}

// write has b arrive after so long, and behind what was written before.
func (p *pipe) write(b []byte, after time.Duration) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	arrives := time.Now().Add(after)
	if arrives.Before(p.last) {
		arrives = p.last
	}
	p.last = arrives
	p.chunks = append(p.chunks, chunk{arrives, append([]byte(nil), b...)})
	p.wakeAt(arrives)
	return len(b), nil
}

// wakeAt has readers look again then. The caller holds mu.
func (p *pipe) wakeAt(at time.Time) {
	if wait := time.Until(at); wait > 0 {
		time.AfterFunc(wait, p.wake)
		return
	}
	p.changed.Broadcast()
}

func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case len(p.chunks) > 0 && !now.Before(p.chunks[0].arrives):
			n := copy(b, p.chunks[0].bytes)
			if p.chunks[0].bytes = p.chunks[0].bytes[n:]; len(p.chunks[0].bytes) == 0 {
				p.chunks = p.chunks[1:]
			}
			return n, nil
		case len(p.chunks) == 0 && p.end != nil:
			return 0, p.end
		case !p.deadline.IsZero() && !now.Before(p.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		p.changed.Wait()
	}
}

func (p *pipe) setDeadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	if !t.IsZero() {
		p.wakeAt(t)
	}
}

// close ends the bytes with err. Those on their way are lost if so.
func (p *pipe) close(err error, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if lost {
		p.chunks = nil
	}
	if p.end == nil {
		p.end = err
	}
	p.changed.Broadcast()
}

var errReset = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}

// link is a connection between a client and a broker.
type link struct {
	network  *network
	port     *port
	up, down *pipe // to the broker, and from it
	mu       sync.Mutex
	produces bool // a produce request has gone over it
	// Set by events: the next frame to the broker, or from it, is lost with the connection.
	loseUp, loseDown bool
	silent           time.Time // until then nothing arrives in either direction
}

// reset ends the connection at once, with all that is on its way.
func (l *link) reset() {
	l.up.close(errReset, true)
	l.down.close(errReset, true)
	l.port.remove(l)
}

// delay is how long a frame that is sent now takes.
func (l *link) delay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.network.latency() + max(0, time.Until(l.silent))
}

// client and server are the two ends of a link.
type (
	client struct{ *link }
	server struct{ *link }
)

// Write sends a frame, or a part of one, to the broker.
func (c client) Write(b []byte) (int, error) {
	c.mu.Lock()
	if len(b) >= 6 && b[4] == 0 && b[5] == 0 {
		c.produces = true
	}
	lose := c.loseUp
	c.mu.Unlock()
	if lose { // the kernel takes it, and then the connection is reset
		time.AfterFunc(c.delay(), c.reset)
		return len(b), nil
	}
	return c.up.write(b, c.delay())
}

func (c client) Read(b []byte) (int, error)         { return c.down.read(b) }
func (c client) SetReadDeadline(t time.Time) error  { c.down.setDeadline(t); return nil }
func (c client) SetWriteDeadline(_ time.Time) error { return nil }
func (c client) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c client) LocalAddr() net.Addr                { return address(0) }
func (c client) RemoteAddr() net.Addr               { return address(c.port.number) }

// Close ends the connection; the broker reads what was sent before.
func (c client) Close() error {
	c.up.close(io.EOF, false)
	c.down.close(net.ErrClosed, true)
	c.port.remove(c.link)
	return nil
}

// Write sends a response to the client.
func (s server) Write(b []byte) (int, error) {
	s.mu.Lock()
	lose := s.loseDown
	s.mu.Unlock()
	if lose {
		s.reset()
		return len(b), nil
	}
	return s.down.write(b, s.delay())
}

func (s server) Read(b []byte) (int, error)         { return s.up.read(b) }
func (s server) SetReadDeadline(t time.Time) error  { s.up.setDeadline(t); return nil }
func (s server) SetWriteDeadline(_ time.Time) error { return nil }
func (s server) SetDeadline(t time.Time) error      { return s.SetReadDeadline(t) }
func (s server) LocalAddr() net.Addr                { return address(s.port.number) }
func (s server) RemoteAddr() net.Addr               { return address(0) }

// Close ends the connection; the client reads what was sent before.
func (s server) Close() error {
	s.down.close(io.EOF, false)
	s.up.close(net.ErrClosed, true)
	s.port.remove(s.link)
	return nil
}
