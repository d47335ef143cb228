package faults

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is one connection of a client with that to the broker behind it.
type link struct {
	proxy          *Proxy
	client, broker *net.TCPConn

	forgotten atomic.Bool
	once      sync.Once
	over      chan struct{} // closed when both ends are
}

// piece is some bytes on their way.
type piece struct {
	bytes []byte
	came  time.Time
}

const (
	pieceBytes = 16 << 10
	// pieces in flight at most, as large as a window of TCP on a slow link.
	maxPieces = 64
)

// run forwards both directions until the connection ends.
func (l *link) run() {
	var both sync.WaitGroup
	both.Go(func() { l.forward(l.client, l.broker, true) })
	both.Go(func() { l.forward(l.broker, l.client, false) })
	both.Wait()
	l.reset()
}

// reset ends both connections.
func (l *link) reset() {
	l.once.Do(func() { close(l.over) })
	end(l.client)
	end(l.broker)
}

// forget ends the broker's side alone and keeps that of the client open.
func (l *link) forget() {
	l.forgotten.Store(true)
	end(l.broker)
}

// forward carries bytes from one side to the other. A reader and a writer of its own let many
// pieces be on their way at once: latency must not become a limit of the rate.
func (l *link) forward(from, to *net.TCPConn, requests bool) {
	way := make(chan piece, maxPieces)
	var writer sync.WaitGroup
	writer.Go(func() { l.deliver(way, to, requests) })
	for {
		buf := make([]byte, pieceBytes)
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case way <- piece{buf[:n], time.Now()}:
			case <-l.over:
			}
		}
		if err != nil {
			break
		}
	}
	close(way)
	writer.Wait()
	switch {
	case !l.forgotten.Load():
		_ = to.CloseWrite() // the other direction may go on
	case requests: // the client has ended it
		l.reset()
	default: // the client is told nothing
		<-l.over
	}
}

// deliver writes each piece when it is due.
func (l *link) deliver(way <-chan piece, to *net.TCPConn, requests bool) {
	var free time.Time // when the link has sent all that came before
	for p := range way {
		h, _ := l.proxy.state()
		due := p.came.Add(h.Latency)
		if h.Loss > 0 && rand.Float64() < h.Loss {
			due = due.Add(retransmission)
		}
		if free.After(due) {
			due = free
		}
		if h.Rate > 0 {
			due = due.Add(time.Duration(float64(len(p.bytes)) / float64(h.Rate) * float64(time.Second)))
		}
		free = due
		if !l.wait(due) || !l.pass(requests) {
			continue // over: what comes is thrown away
		}
		if l.forgotten.Load() {
			continue
		}
		if _, err := to.Write(p.bytes); err != nil && !l.forgotten.Load() {
			l.reset()
		}
	}
}

// wait returns at due, false when the connection ended before.
func (l *link) wait(due time.Time) bool {
	left := time.Until(due)
	if left <= 0 {
		return true
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.over:
		return false
	}
}

// pass returns when the direction is not held, false when the connection ended before.
func (l *link) pass(requests bool) bool {
	for {
		h, changed := l.proxy.state()
		held := h.HoldAnswers
		if requests {
			held = h.HoldRequests
		}
		if !held {
			return true
		}
		select {
		case <-changed:
		case <-l.over:
			return false
		}
	}
}
