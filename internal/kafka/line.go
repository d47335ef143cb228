package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// inFlight bounds the fetches that a broker has to answer at a time. It answers
// one after another, so more would only wait there, where they cannot be given up.
const inFlight = 16

// line is the connection to a broker that all fetches of a [Reader] share. Its
// times are guarded by the reader's mu.
type line struct {
	turns chan struct{}   // holds an entry for each fetch in flight
	life  context.Context // of the fetches in flight
	end   context.CancelFunc

	heard  time.Time // of the last answer
	silent time.Time // until when the broker is left alone by who has no patience
}

// send makes one fetch request, which waits for its turn at the broker, and waits
// for the answer until ctx ends.
//
// The request is not sent with ctx, see [await]: the others in flight would be sent
// again, and be cancelled in turn, the more of them the longer the queue.
// An answer that nobody waits for any more is read and dropped instead.
func (r *Reader) send(ctx context.Context, broker int32, req *kmsg.FetchRequest) (*kmsg.FetchResponse, error) {
	l, err := r.turn(ctx, broker)
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	got, err := await(ctx, func() (o reply) { // ends with the library's own time-out at the latest
		defer func() { <-l.turns }()
		o.resp, o.err = r.client.Broker(int(broker)).Request(l.life, req)
		return o
	})
	switch {
	case err != nil:
		r.unheard(broker, l, sent, err)
		return nil, err
	case got.err != nil && l.life.Err() != nil && r.open.Err() == nil: // a network error, as which it is told
		return nil, fmt.Errorf("%w: %w", errSilent, os.ErrDeadlineExceeded)
	case got.err != nil:
		return nil, got.err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.heard, l.silent = time.Now(), time.Time{}
	return got.resp.(*kmsg.FetchResponse), nil
}

// turn takes a turn on the line to the broker, which the caller gives back.
func (r *Reader) turn(ctx context.Context, broker int32) (*line, error) {
	for {
		l := r.line(broker)
		select {
		case l.turns <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.open.Done():
			return nil, kgo.ErrClientClosed
		}
		if l.life.Err() == nil || r.open.Err() != nil {
			return l, nil
		}
		<-l.turns // given up while we waited
	}
}

// line returns the line to the broker.
func (r *Reader) line(broker int32) *line {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lines[broker]
	if l == nil {
		l = &line{turns: make(chan struct{}, inFlight)}
		l.life, l.end = context.WithCancel(r.open)
		r.lines[broker] = l
	}
	return l
}

// unheard notes that a fetch was given up for want of an answer. A line that has
// brought none for long is given up with all that is in flight on it.
func (r *Reader) unheard(broker int32, l *line, sent time.Time, ended error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if l.heard.After(sent) {
		return // it has answered others meanwhile
	}
	if errors.Is(ended, context.DeadlineExceeded) {
		l.silent = now.Add(silentFor)
	}
	if now.Sub(sent) >= silentFor && r.lines[broker] == l {
		l.end()
		next := &line{turns: make(chan struct{}, inFlight), silent: l.silent}
		next.life, next.end = context.WithCancel(r.open)
		r.lines[broker] = next
	}
}

// isSilent reports whether the broker has just let a fetch time out.
func (r *Reader) isSilent(broker int32) bool {
	l := r.line(broker)
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(l.silent)
}
