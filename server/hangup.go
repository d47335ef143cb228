package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// lookEvery is the interval of the check whether a client has hung up while its request waits.
const lookEvery = 250 * time.Millisecond

// hangups detects clients that hang up while their request waits. fasthttp does not, since it
// reads nothing before it has written the response. One goroutine checks all connections with a
// waiting request, as long as any exist.
//
// A client that only closes its own side of the connection, and still reads, is indistinguishable
// from one that is gone: its wait ends, and it gets the response as of then.
type hangups struct {
	mu    sync.Mutex
	conns map[*Conn]context.CancelFunc // all on which a request has ever waited
	// watched says that the goroutine runs: it outlives the last connection by up to lookEvery.
	watched bool
}

// add creates the context that ends when the client hangs up, or the node drains.
func (h *hangups) add(c *Conn) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns == nil {
		h.conns = make(map[*Conn]context.CancelFunc)
	}
	if !h.watched {
		h.watched = true
		go h.watch()
	}
	h.conns[c] = cancel
	return ctx
}

func (h *hangups) remove(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if cancel := h.conns[c]; cancel != nil {
		cancel()
		delete(h.conns, c)
	}
}

func (h *hangups) watch() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for range tick.C {
		if !h.look() {
			return
		}
	}
}

// look checks the connections once. It is false when none is left, and the watch is over.
func (h *hangups) look() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, cancel := range h.conns {
		if c.attended.Load() && c.PeerGone() {
			cancel()
		}
	}
	if len(h.conns) == 0 {
		h.conns, h.watched = nil, false // a map never shrinks
	}
	return h.watched
}

// attention is the state of a connection for [hangups].
type attention struct {
	life     context.Context // nil before its first waiting request; used by its own goroutine only
	attended atomic.Bool     // a request waits on life
}

// Attend returns a context that ends when the client hangs up, until [Conn.Unattend]. It
// allocates nothing per request. c may be nil.
func (c *Conn) Attend() context.Context {
	if c == nil {
		return context.Background()
	}
	if c.life == nil {
		c.life = c.listener.hangups.add(c)
	}
	c.attended.Store(true)
	return c.life
}

// Unattend ends the effect of [Conn.Attend].
func (c *Conn) Unattend() {
	if c != nil {
		c.attended.Store(false)
	}
}

// PeerGone reports whether the other side has closed the connection, even if unread bytes precede
// its end.
func (c *Conn) PeerGone() bool {
	if c == nil || c.gone.Load() {
		return c != nil
	}
	end, _ := ended(c.TCPConn)
	return end
}

// delivery tracks the delivery of one response.
type delivery struct {
	conn    *Conn
	outcome atomic.Int32 // of delivery; 0 while the response is being written
}

const (
	arrived = 1 + iota
	neverArrived
)

// Deliver returns a function that reports later whether the next response was lost: because the
// connection had ended before it was written, or ended meanwhile. The state of the connection
// after that is no sign of loss.
func (c *Conn) Deliver() func() bool {
	if c == nil {
		return nil
	}
	d := &delivery{conn: c}
	c.WhenSent(func(sent bool) {
		if sent {
			d.outcome.Store(arrived)
		} else {
			d.outcome.Store(neverArrived)
		}
	})
	return d.lost
}

func (d *delivery) lost() bool {
	if outcome := d.outcome.Load(); outcome != 0 {
		return outcome == neverArrived
	}
	d.conn.sending.Lock()
	failed := d.conn.failed
	d.conn.sending.Unlock()
	if failed {
		return true
	}
	// The response is being written, or was just written. A client that closes before it has read
	// everything resets the connection.
	_, reset := ended(d.conn.TCPConn)
	return reset
}

// Wait is [RespondPooled] for handlers that may wait: life ends when the client hangs up.
func Wait(ctx *fasthttp.RequestCtx, fill func(life context.Context, dst []byte) ([]byte, error)) error {
	c := ConnOf(ctx)
	life := c.Attend()
	defer c.Unattend()
	return OrGone(life, RespondPooled(ctx, func(dst []byte) ([]byte, error) { return fill(life, dst) }))
}

// OrGone returns err, or, if life has ended, the error that the client is gone.
func OrGone(life context.Context, err error) error {
	if err != nil && life.Err() != nil {
		return &apierr.Error{Kind: apierr.ClientGone, Cause: err}
	}
	return err
}
