package metadata

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxGathered bounds the names in one request.
const maxGathered = 500

var errNoAnswer = errors.New("the answer leaves it out")

// gather puts questions about single names together into few requests: one at
// a time, and one an interval if questions keep coming. So the brokers do not
// feel how many names clients ask about.
type gather[T any] struct {
	cache *Cache
	burst int // requests that may go out at once after a rest
	// ask asks about all of names in one request. A name that is not among the
	// answers has none.
	ask func(ctx context.Context, names []string) (map[string]gathered[T], error)

	pace    pace
	mu      sync.Mutex
	asking  map[string]*flight // in the request under way
	waiting map[string]*flight // in the next request
	running bool               // somebody will make it
}

// gathered is the answer about one name.
type gathered[T any] struct {
	value T
	err   error
}

// enter returns the flight that will bring the answer about name: the request
// under way if that asks about it, or else the next. It borrows the name.
func (g *gather[T]) enter(name string) *flight {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.asking[name]; f != nil {
		return f
	}
	if f := g.waiting[name]; f != nil {
		return f
	}
	f := &flight{done: make(chan struct{})}
	if !g.running {
		if !g.cache.spawn(g.run) {
			f.err = kgo.ErrClientClosed
			close(f.done)
			return f
		}
		g.running = true
	}
	if g.waiting == nil {
		g.waiting = make(map[string]*flight)
	}
	g.waiting[strings.Clone(name)] = f
	return f
}

// run makes requests until nobody waits for one.
func (g *gather[T]) run() {
	for g.round() {
	}
}

// round makes one request and reports whether another is needed.
func (g *gather[T]) round() bool {
	ctx, cancel := context.WithTimeout(g.cache.ctx, g.cache.settings.Timeout)
	defer cancel()
	err := g.pace.wait(ctx, g.cache.settings.askEvery(), g.burst)
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
			f.err = err
		case !ok:
			f.err = errNoAnswer
		default:
			f.value, f.err = a.value, a.err
		}
		close(f.done)
	}
	return again
}

// take moves those who wait into the request under way, as many as fit, and
// returns the names.
func (g *gather[T]) take() (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking = make(map[string]*flight)
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
