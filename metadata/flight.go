package metadata

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

// flightKey names a question to the brokers: what is asked, and about what.
type flightKey struct {
	what, topic string
	partition   int32
}

// flights are the questions under way; whoever asks the same one waits for the
// same answer.
type flights struct {
	mu      sync.Mutex // also orders Close and the start of a task
	running map[flightKey]*flight
}

// flight is one question; value and err are set when done is closed.
type flight struct {
	done  chan struct{}
	value any
	err   error
}

// fly returns what work returns, running it only if it is not already running
// under the same key. The caller waits until its own ctx ends, or until no
// broker answers any more; the work goes on within Settings.Timeout, since
// others may wait for it too. The error is one to answer.
func fly[T any](ctx context.Context, c *Cache, key flightKey, work func(context.Context) (T, error)) (T, error) {
	var none T
	if c.isAway() {
		return none, errAway
	}
	f, err := launch(c, key, work)
	if err != nil {
		return none, c.explain(err)
	}
	return await[T](ctx, c, f)
}

// await waits for a flight as [fly] does.
func await[T any](ctx context.Context, c *Cache, f *flight) (T, error) {
	var none T
	select {
	case <-f.done:
		if f.err != nil {
			return none, c.explain(f.err)
		}
		return f.value.(T), nil
	case <-c.away():
		return none, errAway
	case <-ctx.Done():
		return none, c.explain(fmt.Errorf("cannot wait for Kafka's metadata any longer: %w", ctx.Err()))
	case <-c.ctx.Done():
		return none, c.explain(kgo.ErrClientClosed)
	}
}

// launch starts work, or joins it if it is running.
func launch[T any](c *Cache, key flightKey, work func(context.Context) (T, error)) (*flight, error) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	if f := c.flights.running[key]; f != nil {
		return f, nil
	}
	f := &flight{done: make(chan struct{})}
	if !c.spawnLocked(func() {
		ctx, cancel := context.WithTimeout(c.ctx, c.settings.Timeout)
		defer cancel()
		f.value, f.err = work(ctx)
		c.flights.mu.Lock()
		delete(c.flights.running, key)
		c.flights.mu.Unlock()
		close(f.done)
	}) {
		return nil, kgo.ErrClientClosed
	}
	c.flights.running[key] = f
	return f, nil
}

// flying returns the flight under a key, or nil.
func (c *Cache) flying(key flightKey) *flight {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	return c.flights.running[key]
}

// within reports whether the flight brings its answer in that time.
func (f *flight) within(limit time.Duration) bool {
	select {
	case <-f.done:
		return f.err == nil
	case <-time.After(limit):
		return false
	}
}

// spawn has task run on a goroutine that Close waits for. It reports whether
// the cache was still open.
func (c *Cache) spawn(task func()) bool {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	return c.spawnLocked(task)
}

func (c *Cache) spawnLocked(task func()) bool {
	if c.ctx.Err() != nil {
		return false
	}
	c.tasks.Go(task)
	return true
}

// explain turns what a look-up failed with into an answer. That no broker can
// be reached says more than how it was noticed: by a deadline, a refused
// connection, a failed handshake.
func (c *Cache) explain(err error) error {
	var own *apierr.Error
	var code *kerr.Error
	switch {
	case errors.As(err, &own):
		return own
	case c.ctx.Err() != nil: // whatever else is said of it
		return &apierr.Error{Kind: apierr.Draining, Cause: err}
	case errors.As(err, &code), errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		return apierr.From(err)
	case c.Healthy() != nil:
		return &apierr.Error{Kind: apierr.BrokersAway, Cause: err}
	}
	return apierr.From(err)
}

// prompt asks through the client and returns when ctx ends. The client alone
// would go on to wait: for the answer to an earlier request on the same
// connection, or for a broker that accepts a connection and says nothing. What
// is left behind ends with the client's own time-out.
type prompt struct{ client *kgo.Client }

// Request implements [kmsg.Requestor].
func (p prompt) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	type answer struct {
		resp kmsg.Response
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		resp, err := p.client.Request(ctx, req)
		done <- answer{resp, err}
	}()
	select {
	case a := <-done:
		return a.resp, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
