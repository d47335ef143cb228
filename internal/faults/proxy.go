package faults

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Harm is what a network does to bytes on their way. The zero value does nothing.
type Harm struct {
	// Latency delays each piece by that much, in each direction.
	Latency time.Duration
	// Loss is the share of pieces, of 1, that are lost at first: each comes after
	// [retransmission], and all behind it wait, as TCP has it.
	Loss float64
	// Rate is how many bytes a second pass in each direction; 0: any number.
	Rate int
	// HoldRequests and HoldAnswers let nothing pass in one direction. Held bytes pass when
	// the harm ends, as after a partition of a network that was shorter than TCP's patience.
	HoldRequests, HoldAnswers bool
}

// retransmission is how late a lost piece comes: Linux's least time before it sends it again.
const retransmission = 200 * time.Millisecond

// Proxy forwards the TCP connections of clients to one broker, and harms them as it is told. Its
// methods may be called at any time from any goroutine.
type Proxy struct {
	addr string

	mu      sync.Mutex
	target  string
	harm    Harm
	changed chan struct{} // closed and replaced when harm changes
	ln      net.Listener  // nil while refusing
	links   map[*link]struct{}
	closed  bool
	running sync.WaitGroup
}

// NewProxy listens on a free port of 127.0.0.1. Connections are refused until [Proxy.Forward]
// has named a target.
func NewProxy() (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen for a proxy: %w", err)
	}
	p := &Proxy{addr: ln.Addr().String(), changed: make(chan struct{}), links: map[*link]struct{}{}}
	p.serve(ln)
	return p, nil
}

// Addr is where clients connect to, for as long as the proxy lives.
func (p *Proxy) Addr() string { return p.addr }

// Forward names the address that connections are forwarded to from now on.
func (p *Proxy) Forward(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Set replaces the harm, of connections that stand too.
func (p *Proxy) Set(h Harm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.harm = h
	close(p.changed)
	p.changed = make(chan struct{})
}

// Refuse ends all connections by a reset and refuses new ones, as a machine does whose broker is
// gone. Accept takes them again.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	ln := p.ln
	p.ln = nil
	p.mu.Unlock()
	if ln != nil {
		_ = ln.Close() // it only ends Accept
	}
	p.each((*link).reset)
}

// Accept takes connections again after [Proxy.Refuse], on the same port.
func (p *Proxy) Accept() error {
	p.mu.Lock()
	up := p.ln != nil
	p.mu.Unlock()
	if up {
		return nil
	}
	// The port may belong to an outgoing connection of another program for a moment.
	for deadline := time.Now().Add(10 * time.Second); ; {
		ln, err := net.Listen("tcp", p.addr)
		if err == nil {
			p.serve(ln)
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot listen on %s again: %w", p.addr, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Forget has all connections that stand lead nowhere: what clients send is taken and thrown away,
// nothing comes back, and nobody tells them. That is a broker whose machine lost its power, or a
// firewall that dropped its table. New connections are forwarded.
func (p *Proxy) Forget() { p.each((*link).forget) }

// Close ends the proxy with all its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Refuse()
	p.running.Wait()
}

func (p *Proxy) each(do func(*link)) {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		do(l)
	}
}

func (p *Proxy) serve(ln net.Listener) {
	p.mu.Lock()
	p.ln = ln
	p.mu.Unlock()
	p.running.Go(func() {
		for {
			c, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				p.running.Go(func() { p.connect(c.(*net.TCPConn)) })
			}
		}
	})
}

// connect forwards one connection until it ends.
func (p *Proxy) connect(client *net.TCPConn) {
	p.mu.Lock()
	target, refusing := p.target, p.ln == nil || p.closed
	p.mu.Unlock()
	if refusing {
		end(client)
		return
	}
	// A broker of this machine that takes nothing within a second is stopped: the kernel
	// itself takes connections for it, until its queue is full.
	broker, err := net.DialTimeout("tcp", target, time.Second)
	if err != nil {
		end(client)
		return
	}
	l := &link{proxy: p, client: client, broker: broker.(*net.TCPConn), over: make(chan struct{})}
	p.mu.Lock()
	refusing = p.ln == nil || p.closed
	p.links[l] = struct{}{}
	p.mu.Unlock()
	if refusing { // meanwhile; nobody would end it
		l.reset()
	}
	l.run()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// state is the harm of now, and a channel that is closed when it changes.
func (p *Proxy) state() (Harm, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.harm, p.changed
}

// end closes a connection by a reset.
func end(c *net.TCPConn) {
	_ = c.SetLinger(0) // of a connection that has ended already
	_ = c.Close()
}
