package kafka

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pulse is what is known of one broker.
type pulse struct {
	broker int32
	count  *atomic.Int32                    // Liveness.lost
	lost   atomic.Pointer[UnreachableError] // nil while answers may come
	quiet  atomic.Bool                      // mute for quietAfter

	mu      sync.Mutex
	open    int       // connections
	waiting int       // requests that were written and not answered
	since   time.Time // of the first of them, or of the last answer
	heard   time.Time // of the last answer to anybody, or the end of a throttle
	// muteSince is the beginning of a silence that has lasted for pingAfter; zero: there is none.
	// Only an answer ends it. The end of the connections that were waited on does not: the broker
	// would seem well then, with nothing waiting, and be trusted with requests for as long again.
	muteSince time.Time
	refused   time.Time // of the first failed attempt since an answer
	cause     error     // of the last failed attempt
	events    uint      // calls of hooks, but for those of other clients
	pinging   bool
	pinged    time.Time // end of the last ping
}

// connected notes the end of an attempt to connect; opened means that it had a connection.
func (p *pulse) connected(opened bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events++
	if opened {
		p.open++
	}
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, kgo.ErrClientClosed) {
		p.failed(err)
	}
}

// failed notes a failed attempt. The caller holds mu.
func (p *pulse) failed(err error) {
	p.cause = err
	if p.refused.IsZero() {
		p.refused = time.Now()
	}
}

// disconnected notes the end of a connection. With the last one nothing waits any more.
func (p *pulse) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events++
	if p.open--; p.open <= 0 {
		p.waiting = 0
	}
}

// wrote notes a request that was written.
func (p *pulse) wrote() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events++
	if p.waiting++; p.waiting == 1 {
		p.since = time.Now()
	}
}

// read notes an answer to the client, or the end of the wait for one.
func (p *pulse) read(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events++
	p.waiting = max(p.waiting-1, 0)
	if err != nil {
		return
	}
	p.heard = time.Now()
	p.since, p.refused, p.cause = p.heard, time.Time{}, nil
	p.speaks()
	p.verdict(nil)
}

// wellSince reports whether the broker has answered anybody in this time.
func (p *pulse) wellSince(limit time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.heard) < limit
}

// speaks ends a silence. The caller holds mu.
func (p *pulse) speaks() {
	p.muteSince = time.Time{}
	p.quiet.Store(false)
}

// witnessed notes an answer to another client. It ends a silence, and does not show that this
// client can connect.
func (p *pulse) witnessed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = time.Now()
	p.speaks()
	if lost := p.lost.Load(); lost != nil && lost.State == ErrSilent {
		p.verdict(nil)
	}
}

// throttled notes that the broker has announced not to answer for so long.
func (p *pulse) throttled(pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = time.Now().Add(pause)
	p.speaks()
}

// verdict sets what [Liveness.Check] returns; nil: answers may come. The caller holds mu.
func (p *pulse) verdict(lost *UnreachableError) {
	before := p.lost.Load()
	switch {
	case before == nil && lost != nil:
		p.count.Add(1)
	case before != nil && lost == nil:
		p.count.Add(-1)
	case lost == nil:
		return
	}
	p.lost.Store(lost)
}

// judge sets what [Liveness.Check] and [Liveness.Quiet] return, and reports whether the caller is to
// ping.
func (p *pulse) judge(now time.Time, limit time.Duration) (ping bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.muteSince.IsZero() && p.waiting > 0 && min(now.Sub(p.since), now.Sub(p.heard)) >= pingAfter {
		p.muteSince = later(p.since, p.heard)
	}
	mute, down := !p.muteSince.IsZero(), p.open <= 0 && !p.refused.IsZero()
	p.quiet.Store(mute && now.Sub(p.muteSince) >= quietAfter)
	var lost *UnreachableError
	switch {
	case down && now.Sub(p.refused) >= downAfter:
		lost = &UnreachableError{Broker: p.broker, State: ErrDown, Cause: p.cause}
	case mute && now.Sub(p.muteSince) >= limit:
		lost = &UnreachableError{Broker: p.broker, State: ErrSilent, Cause: p.cause}
	}
	p.verdict(lost)
	if p.pinging || !mute && !down || down && now.Sub(p.pinged) < downPause {
		return false
	}
	p.pinging = true
	return true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// ping asks the broker. The hooks note the outcome, unless there is no such broker any more: then
// nothing waits for it.
func (p *pulse) ping(ask func(broker int32) error) {
	p.mu.Lock()
	before := p.events
	p.mu.Unlock()
	err := ask(p.broker)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pinging, p.pinged = false, time.Now()
	if err != nil && p.events == before {
		p.refused, p.cause, p.waiting = time.Time{}, nil, 0
		p.speaks()
	}
}
