package schema

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"millrace/internal/apierr"
)

// staleTime is how long an answer that has run out holds on when the registry
// cannot be asked.
const staleTime = 10 * time.Second

// asking is a function that finds the answer to a question at the registry, and
// says for how long it holds: zero is for ever, less is not at all.
type asking func(ctx context.Context, q *question) (stored, time.Duration, error)

// load answers a question that the cache has no fresh answer to. The same
// question is asked once at a time; who gives up waiting leaves the look-up to
// the others, and the answer to the cache.
func (r *Registry) load(ctx context.Context, c *cache, borrowed *question, ask asking) (stored, error) {
	q := borrowed.clone()
	flight := c.flights.DoChan(q.name(), func() (any, error) {
		v, err := r.look(c, q, ask)
		return v, err
	})
	select {
	case result := <-flight:
		return result.Val.(stored), result.Err
	case <-ctx.Done():
		return stored{}, apierr.RegistryTimedOut.Wrap(ctx.Err(), "The schema registry did not answer in time.")
	}
}

// look asks and remembers. It runs once at a time for each question, on a
// goroutine of its own.
func (r *Registry) look(c *cache, q question, ask asking) (stored, error) {
	before := c.get(&q)
	if before != nil && before.fresh() {
		return before.value, before.err // a flight that ended as this one was asked for
	}
	ctx, cancel := context.WithTimeout(r.running, r.settings.Timeout)
	defer cancel()
	e := &entry{question: q}
	var hold time.Duration
	e.value, hold, e.err = guarded(ctx, &q, ask)
	switch {
	case e.err == nil:
	case !apierr.From(e.err).Kind.Retry:
		hold = r.noFor()
	case before != nil && before.err == nil:
		r.log.Warn("the schema registry does not answer; going on with what it said before", "topic", q.topic, "error", e.err)
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

// noFor is how long a no holds.
func (r *Registry) noFor() time.Duration {
	if r.settings.NegativeTTL <= 0 {
		return -1
	}
	return r.settings.NegativeTTL
}

// guarded is ask without its panics: on a goroutine that nobody watches, a
// schema that trips a compiler would end the program.
func guarded(ctx context.Context, q *question, ask asking) (v stored, hold time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = apierr.Internal.Wrap(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "The schema cannot be used because of a defect in this server.")
		}
	}()
	return ask(ctx, q)
}
