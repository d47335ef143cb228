package schema

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/singleflight"
)

// staleTime is how much longer an expired answer is used when the registry cannot be asked.
const staleTime = 10 * time.Second

// asking answers a question at the registry, and returns how long the answer may be cached: zero
// is forever, less is not at all.
type asking func(ctx context.Context, q *question) (stored, time.Duration, error)

// load answers a question on a cache miss. Equal questions share one look-up; a caller that gives
// up waiting leaves the look-up to the others, and its answer to the cache.
func (r *Registry) load(ctx context.Context, c *cache, borrowed *question, ask asking) (stored, error) {
	q := borrowed.clone()
	call, err := c.calls.Start(q.callKey(), singleflight.Go, func() (stored, error) { return r.look(c, q, ask) })
	if err != nil {
		return stored{}, err
	}
	select {
	case <-call.Done():
		return call.Result()
	case <-ctx.Done():
		return stored{}, apierr.RegistryTimedOut.Wrap(ctx.Err(), "The schema registry did not answer in time.")
	}
}

// look asks the registry and caches the answer. It runs once at a time for each question, on a
// goroutine of its own.
func (r *Registry) look(c *cache, q question, ask asking) (stored, error) {
	before := c.get(&q)
	if before != nil && before.fresh() {
		return before.value, before.err // cached by a look-up that ended while this one started
	}
	ctx, cancel := context.WithTimeout(r.running, r.settings.Timeout)
	defer cancel()
	e := &entry{question: q}
	var hold time.Duration
	e.value, hold, e.err = guarded(ctx, &q, ask)
	switch {
	case e.err == nil:
	case !apierr.From(e.err).Kind.Retry:
		hold = r.negativeTTL()
	case before != nil && before.err == nil:
		r.log.Warn("the schema registry does not respond, using an expired cached schema", "topic", q.topic, "err", e.err)
		e.value, e.err, hold = before.value, nil, staleTime
	case isOwn(e.err):
		hold = breakTime
	default:
		return e.value, e.err
	}
	if hold > 0 {
		e.until = time.Now().Add(hold)
	}
	if hold >= 0 {
		c.put(e)
	}
	return e.value, e.err
}

// negativeTTL returns how long a negative answer is cached.
func (r *Registry) negativeTTL() time.Duration {
	if r.settings.NegativeTTL <= 0 {
		return -1
	}
	return r.settings.NegativeTTL
}

// guarded is ask with its panics recovered: as a negative answer the panic is cached, or a schema
// that makes a compiler panic would be compiled for each request that names it.
func guarded(ctx context.Context, q *question, ask asking) (v stored, hold time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = apierr.Internal.Wrap(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "The schema cannot be used because of a defect in this node.")
		}
	}()
	return ask(ctx, q)
}
