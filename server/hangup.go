package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// lookEvery is how soon it is noticed that a client has hung up while its
// request waits.
const lookEvery = 250 * time.Millisecond

// hangups notices clients that hang up while their request waits. fasthttp
// does not, since it reads nothing more before it has answered. One goroutine
// looks at the connections of all that wait, as long as there are any.
//
// A client that only ends its own side of the connection, and still reads,
// cannot be told from one that is gone: it gets an answer if there is something
// to answer, but nothing is waited for on its behalf.
type hangups struct {
	mu    sync.Mutex
	conns map[*Conn]context.CancelFunc // all on which a request has ever waited
}

// add makes the context that ends when the client hangs up, or we do.
func (h *hangups) add(c *Conn) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.conns) == 0 {
		h.conns = make(map[*Conn]context.CancelFunc)
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

// look looks at the connections once. It is false when there are none left.
func (h *hangups) look() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, cancel := range h.conns {
		if c.attended.Load() && c.PeerGone() {
			cancel()
		}
	}
	return len(h.conns) > 0
}

// attention is what a connection has for [hangups].
type attention struct {
	life     context.Context // nil before its first request that waits; only its own goroutine uses it
	attended atomic.Bool     // the end of life is of interest
}

// Attend returns a context that ends when the client hangs up, until
// [Conn.Unattend]. It makes nothing per request. c may be nil.
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

// Unattend ends what [Conn.Attend] began.
func (c *Conn) Unattend() {
	if c != nil {
		c.attended.Store(false)
	}
}

// PeerGone reports whether the other side has ended the connection, even if
// nobody has read that far yet.
func (c *Conn) PeerGone() bool {
	if c == nil || c.gone.Load() {
		return c != nil
	}
	end, _ := ended(c.TCPConn)
	return end
}

// delivery is what becomes of one answer.
type delivery struct {
	conn    *Conn
	outcome atomic.Int32 // of delivery; 0 as long as it is being written
}

const (
	arrived = 1 + iota
	neverArrived
)

// Deliver returns how to find out later whether the answer that comes next was
// lost: because the connection had ended before it was written, or ended while
// it was. What a client does with a connection afterwards says nothing.
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
	// It is being written, or has just been. A client that closes before it has
	// read all resets the connection.
	_, reset := ended(d.conn.TCPConn)
	return reset
}

// Wait is [RespondPooled] for what may wait: life ends when the client hangs up.
func Wait(ctx *fasthttp.RequestCtx, fill func(life context.Context, dst []byte) ([]byte, error)) error {
	c := ConnOf(ctx)
	life := c.Attend()
	defer c.Unattend()
	return OrGone(life, RespondPooled(ctx, func(dst []byte) ([]byte, error) { return fill(life, dst) }))
}

// OrGone is err, or, if life has ended, that there is nobody to answer.
func OrGone(life context.Context, err error) error {
	if err != nil && life.Err() != nil {
		return &apierr.Error{Kind: apierr.ClientGone, Cause: err}
	}
	return err
}
