package metadata

import (
	"context"
	"sync"
	"time"
)

// pace lets things happen once an interval on the average, and a few at once
// after a rest. The zero value is one that has rested.
type pace struct {
	mu   sync.Mutex
	next time.Time // when the one after the last has its turn, if all keep their distance
}

// ready reports whether one could happen now.
func (p *pace) ready(interval time.Duration, burst int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.next) <= time.Duration(burst-1)*interval
}

// wait takes the next turn and returns when it has come, or with ctx's error.
func (p *pace) wait(ctx context.Context, interval time.Duration, burst int) error {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	pause := p.next.Sub(now) - time.Duration(burst-1)*interval
	p.next = p.next.Add(interval)
	p.mu.Unlock()
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
