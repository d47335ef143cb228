package metadata

import (
	"context"
	"errors"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"millrace/internal/singleflight"
)

const (
	// maxGathered bounds the names in one request.
	maxGathered = 500
	// gatherBurst is how many requests are allowed at once after a pause.
	gatherBurst = 16
)

var errNoAnswer = errors.New("the response does not have it")

// gather combines look-ups of single names into few requests: one at a time, and one per interval
// under continuous load. The load on the brokers therefore does not depend on how many names
// clients use.
type gather[T any] struct {
	cache *Cache
	limit *rate.Limiter // of requests
	// ask looks up all names in one request. A name that is missing from the result has none.
	ask func(ctx context.Context, names []string) (map[string]gathered[T], error)

	mu      sync.Mutex
	asking  map[string]*singleflight.Call[T] // in the request in flight
	waiting map[string]*singleflight.Call[T] // in the next request
	running bool                             // a goroutine will make it
}

// gathered is the result for one name.
type gathered[T any] struct {
	value T
	err   error
}

// enter returns the call with the result for name: the request in flight if it has the name, or
// else the next. It borrows the name.
func (g *gather[T]) enter(name string) *singleflight.Call[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.asking[name]; f != nil {
		return f
	}
	if f := g.waiting[name]; f != nil {
		return f
	}
	f := singleflight.NewCall[T]()
	if !g.running {
		if err := g.cache.spawn(g.run); err != nil {
			var none T
			f.Complete(none, err)
			return f
		}
		g.running = true
	}
	if g.waiting == nil {
		g.waiting = make(map[string]*singleflight.Call[T])
	}
	g.waiting[strings.Clone(name)] = f
	return f
}

// run makes requests until no look-up waits for one.
func (g *gather[T]) run() {
	for g.round() {
	}
}

// round makes one request and reports whether another is needed.
func (g *gather[T]) round() bool {
	ctx, cancel := context.WithTimeout(g.cache.ctx, g.cache.settings.Timeout)
	defer cancel()
	err := reserve(ctx, g.limit)
	names := g.take()
	var answers map[string]gathered[T]
	if err == nil {
		answers, err = g.ask(ctx, names)
	}
	g.mu.Lock()
	asked := g.asking
	g.asking = nil
	g.running = len(g.waiting) > 0
	again := g.running
	g.mu.Unlock()
	for name, f := range asked {
		a, ok := answers[name]
		switch {
		case err != nil:
			a.err = err
		case !ok:
			a.err = errNoAnswer
		}
		f.Complete(a.value, a.err)
	}
	return again
}

// take moves the waiting look-ups into the request in flight, as many as fit, and returns their
// names.
func (g *gather[T]) take() (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking = make(map[string]*singleflight.Call[T])
	for name, f := range g.waiting {
		if len(names) == maxGathered {
			break
		}
		names = append(names, name)
		g.asking[name] = f
		delete(g.waiting, name)
	}
	return names
}
