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

// callKey identifies a call to the brokers: the request and the resource.
type callKey struct {
	what, topic string
	partition   int32
}

// calls is the singleflight of the cache: callers with equal keys share the call in flight.
type calls struct {
	mu      sync.Mutex // also orders Close and the start of a task
	running map[callKey]*call
}

// call is one call in flight; value and err are set when done is closed.
type call struct {
	done  chan struct{}
	value any
	err   error
}

// do returns the result of work, running it only if it is not already running under the same key.
// The caller waits until its own ctx ends, or until no broker responds any more; the work
// continues within Settings.Timeout, since others may wait for it too. The error is one to return
// to clients.
func do[T any](ctx context.Context, c *Cache, key callKey, work func(context.Context) (T, error)) (T, error) {
	var none T
	if c.isAway() {
		return none, c.Away()
	}
	f, err := start(c, key, work)
	if err != nil {
		return none, c.explain(err)
	}
	return await[T](ctx, c, f)
}

// await waits for a call as [do] does.
func await[T any](ctx context.Context, c *Cache, f *call) (T, error) {
	var none T
	select {
	case <-f.done:
		if f.err != nil {
			return none, c.explain(f.err)
		}
		return f.value.(T), nil
	case <-c.away():
		return none, c.Away()
	case <-ctx.Done():
		return none, c.explain(fmt.Errorf("cannot wait for Kafka's metadata any longer: %w", ctx.Err()))
	case <-c.ctx.Done():
		return none, c.explain(kgo.ErrClientClosed)
	}
}

// start starts work, or joins the call in flight.
func start[T any](c *Cache, key callKey, work func(context.Context) (T, error)) (*call, error) {
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	if f := c.calls.running[key]; f != nil {
		return f, nil
	}
	f := &call{done: make(chan struct{})}
	if !c.spawnLocked(func() {
		ctx, cancel := context.WithTimeout(c.ctx, c.settings.Timeout)
		defer cancel()
		f.value, f.err = work(ctx)
		c.calls.mu.Lock()
		delete(c.calls.running, key)
		c.calls.mu.Unlock()
		close(f.done)
	}) {
		return nil, kgo.ErrClientClosed
	}
	c.calls.running[key] = f
	return f, nil
}

// inFlight returns the call in flight under a key, or nil.
func (c *Cache) inFlight(key callKey) *call {
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	return c.calls.running[key]
}

// within reports whether the call succeeds in that time.
func (f *call) within(limit time.Duration) bool {
	select {
	case <-f.done:
		return f.err == nil
	case <-time.After(limit):
		return false
	}
}

// spawn runs task on a goroutine that Close waits for. It reports whether the cache was still
// open.
func (c *Cache) spawn(task func()) bool {
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	return c.spawnLocked(task)
}

func (c *Cache) spawnLocked(task func()) bool {
	if c.ctx.Err() != nil {
		return false
	}
	c.tasks.Go(task)
	return true
}

// explain turns the error of a look-up into one for clients. While no broker can be reached it
// returns the reason, which is clearer than the symptom: a deadline, a refused connection.
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
		return c.Away()
	}
	return apierr.From(err)
}

// prompt sends requests through the client and returns when ctx ends. The client alone would
// continue to wait: for the response to an earlier request on the same connection, or for a
// broker that accepts a connection and sends nothing. The abandoned request ends with the
// client's own time-out.
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
