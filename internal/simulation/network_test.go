package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// network is the network of a world. Brokers listen at firstPort and the ports behind it.
type network struct {
	base   time.Duration // of each frame's way
	jitter time.Duration

	mu    sync.Mutex
	rng   *rand.Rand
	ports map[int]*port
}

// port is a broker's. The links are in the order in which they were opened.
type port struct {
	number int
	mu     sync.Mutex
	accept chan net.Conn
	closed chan struct{}
	gone   bool      // nobody listens
	until  time.Time // it is gone
	links  []*link
}

const firstPort = 9092

func newNetwork(rng *rand.Rand, base, jitter time.Duration) *network {
	return &network{base: base, jitter: jitter, rng: rng, ports: map[int]*port{}}
}

// latency is that of the next frame.
func (n *network) latency() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.jitter == 0 {
		return n.base
	}
	return n.base + time.Duration(n.rng.Int64N(int64(n.jitter)))
}

// broker returns the port of a broker.
func (n *network) broker(node int32) *port {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ports[firstPort+int(node)]
}

// address is a port as an address.
type address int

func (address) Network() string  { return "tcp" }
func (a address) String() string { return fmt.Sprintf("127.0.0.1:%d", int(a)) }

// listen is [net.Listen].
func (n *network) listen(_, addr string) (net.Listener, error) {
	number, err := portOf(addr)
	if err != nil {
		return nil, err
	}
	p := &port{number: number, accept: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[number] = p
	return p, nil
}

func portOf(addr string) (int, error) {
	_, number, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(number)
}

// Accept implements [net.Listener].
func (p *port) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (p *port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

// Addr implements [net.Listener].
func (p *port) Addr() net.Addr { return address(p.number) }

// dial is [net.Dialer.DialContext].
func (n *network) dial(ctx context.Context, kind, addr string) (net.Conn, error) {
	number, err := portOf(addr)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(n.latency()):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p := n.broker(int32(number - firstPort))
	refused := &net.OpError{Op: "dial", Net: kind, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	if p == nil || p.isGone() {
		return nil, refused
	}
	l := &link{network: n, port: p, up: newPipe(), down: newPipe()}
	p.add(l)
	select {
	case p.accept <- server{l}:
		return client{l}, nil
	case <-p.closed:
		p.remove(l)
		return nil, refused
	case <-ctx.Done():
		p.remove(l)
		return nil, ctx.Err()
	}
}

func (p *port) isGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

func (p *port) add(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = append(p.links, l)
}

func (p *port) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range p.links {
		if o == l {
			p.links = append(p.links[:i:i], p.links[i+1:]...)
			return
		}
	}
}

// open returns the links that are open, only those with produce requests if so.
func (p *port) open(producing bool) []*link {
	p.mu.Lock()
	all := append([]*link(nil), p.links...)
	p.mu.Unlock()
	var out []*link
	for _, l := range all {
		l.mu.Lock()
		if !producing || l.produces {
			out = append(out, l)
		}
		l.mu.Unlock()
	}
	return out
}

// cut resets all links.
func (p *port) cut(producing bool) {
	for _, l := range p.open(producing) {
		l.reset()
	}
}

// leave has the broker refuse connections, or accept them again.
func (p *port) leave(gone bool) {
	p.mu.Lock()
	p.gone = gone
	p.mu.Unlock()
	if gone {
		p.cut(false)
	}
}

// lose has the next frame to the broker, or from it, be lost, and its connection with it.
func (p *port) lose(response, producing bool) {
	for _, l := range p.open(producing) {
		l.mu.Lock()
		l.loseUp, l.loseDown = l.loseUp || !response, l.loseDown || response
		l.mu.Unlock()
	}
}

// hush has nothing arrive on the open links for so long. Those opened later are not concerned.
func (p *port) hush(d time.Duration) {
	for _, l := range p.open(false) {
		l.mu.Lock()
		l.silent = time.Now().Add(d)
		l.mu.Unlock()
	}
}
