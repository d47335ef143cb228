package metadata

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/singleflight"
)

// do returns the result of work, running it only if it is not already running under the same key
// of g. The caller waits until its own ctx ends, or until no broker responds any more; the work
// continues within Settings.Timeout, since others may wait for it too. The error is one to return
// to clients.
func do[K comparable, T any](ctx context.Context, c *Cache, g *singleflight.Group[K, T], key K, work func(context.Context) (T, error)) (T, error) {
	var none T
	if c.isAway() {
		return none, c.Away()
	}
	call, err := start(c, g, key, work)
	if err != nil {
		return none, c.explain(err)
	}
	return await(ctx, c, call)
}

// await waits for a call as [do] does.
func await[T any](ctx context.Context, c *Cache, call *singleflight.Call[T]) (T, error) {
	var none T
	select {
	case <-call.Done():
		value, err := call.Result()
		if err != nil {
			return none, c.explain(err)
		}
		return value, nil
	case <-c.away():
		return none, c.Away()
	case <-ctx.Done():
		return none, c.explain(fmt.Errorf("cannot wait for Kafka's metadata any longer: %w", ctx.Err()))
	case <-c.ctx.Done():
		return none, c.explain(kgo.ErrClientClosed)
	}
}

// start starts work, or joins the call in flight.
func start[K comparable, T any](c *Cache, g *singleflight.Group[K, T], key K, work func(context.Context) (T, error)) (*singleflight.Call[T], error) {
	return g.Start(key, c.spawn, func() (T, error) {
		ctx, cancel := context.WithTimeout(c.ctx, c.settings.Timeout)
		defer cancel()
		return work(ctx)
	})
}

// spawn runs task on a goroutine that Close waits for. Once the cache is closed it returns an
// error instead.
func (c *Cache) spawn(task func()) error {
	c.spawning.Lock()
	defer c.spawning.Unlock()
	if c.ctx.Err() != nil {
		return kgo.ErrClientClosed
	}
	c.tasks.Go(task)
	return nil
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
