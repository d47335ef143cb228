package metadata

import (
	"context"
	"sync"
	"time"
)

// rateLimit allows one event per interval on average, and a burst after a pause. The zero value
// allows a full burst.
type rateLimit struct {
	mu   sync.Mutex
	next time.Time // when the next event is due, if all keep the interval
}

// ready reports whether an event would be allowed now.
func (r *rateLimit) ready(interval time.Duration, burst int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Until(r.next) <= time.Duration(burst-1)*interval
}

// wait reserves the next event and returns when it is due, or with ctx's error.
func (r *rateLimit) wait(ctx context.Context, interval time.Duration, burst int) error {
	r.mu.Lock()
	now := time.Now()
	if r.next.Before(now) {
		r.next = now
	}
	pause := r.next.Sub(now) - time.Duration(burst-1)*interval
	r.next = r.next.Add(interval)
	r.mu.Unlock()
	if pause <= 0 {
		return nil
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
