package metadata

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/singleflight"
)

const (
	// refreshBurst is how many refreshes are allowed within a second when the last ones lie
	// further apart: one because the view grew old, one because it was found wrong.
	refreshBurst = 2
	// wantedFor is how long the view is refreshed after the last reader.
	wantedFor = 10 * time.Second
	// staleAfter is how long a reader waits for a new view when it may get the old one.
	staleAfter = 1500 * time.Millisecond
)

// view is the state that readers see at one time: the last snapshot, and the topics that were
// found by name after it was taken. It is immutable.
type view struct {
	*Snapshot
	beside map[string]*found
	doubts uint64                 // Cache.doubts when the brokers were asked
	list   atomic.Pointer[Answer] // the names of all topics, once queried
}

// found is a topic that a look-up by name found.
type found struct {
	topic *Topic
	at    time.Time
}

// topic returns the topic of that name, or nil.
func (v *view) topic(name string) *Topic {
	if t := v.byName[name]; t != nil {
		return t
	}
	if f := v.beside[name]; f != nil {
		return f.topic
	}
	return nil
}

// all returns all topics, sorted by name.
func (v *view) all() []*Topic {
	if len(v.beside) == 0 {
		return v.Topics
	}
	all := slices.Clone(v.Topics)
	for name, f := range v.beside {
		if v.byName[name] == nil {
			all = append(all, f.topic)
		}
	}
	slices.SortFunc(all, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// same reports whether readers of both views see the same state.
func (v *view) same(o *view) bool {
	return v.brokers == o.brokers && slices.Equal(v.all(), o.all())
}

// fresh returns a view that is no older than maxAge. Where none can be had and Settings.StaleFor
// allows it, fresh returns an older view and its age. The view has all topics that were found
// before the call.
func (c *Cache) fresh(ctx context.Context, maxAge time.Duration) (*view, Reply, error) {
	if v := c.view.Load(); v.doubts == c.doubts.Load() {
		age := time.Since(v.Taken)
		if age >= c.settings.renewAfter() {
			c.want()
		}
		if age < maxAge {
			return v, Reply{}, nil
		}
	}
	return c.renew(ctx, time.Now().Add(-maxAge))
}

// renew returns a view that was taken at since or later.
func (c *Cache) renew(ctx context.Context, since time.Time) (*view, Reply, error) {
	c.want()
	if c.failing.Load() || c.isAway() {
		if v := c.spare(); v != nil {
			return c.outdated(v)
		}
	}
	bounded := ctx
	if c.spare() != nil {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, staleAfter)
		defer cancel()
	}
	// A reader may join a refresh that began before since, so one refresh is not always enough;
	// two are.
	for range 2 {
		if v := c.since(since); v != nil {
			return v, Reply{}, nil
		}
		if _, err := do(bounded, c, &c.refreshing, struct{}{}, c.refreshSince(since)); err != nil {
			if v := c.spare(); v != nil && ctx.Err() == nil {
				return c.outdated(v)
			}
			return nil, Reply{}, err
		}
	}
	return c.view.Load(), Reply{}, nil
}

// since returns the view if it was taken then or later and was not found wrong, or nil.
func (c *Cache) since(t time.Time) *view {
	if v := c.view.Load(); v.doubts == c.doubts.Load() && !v.Taken.Before(t) {
		return v
	}
	return nil
}

// spare returns the view if it may be used in place of a younger one, or nil.
func (c *Cache) spare() *view {
	v := c.view.Load()
	if v.Taken.IsZero() || c.settings.StaleFor <= 0 || time.Since(v.Taken) > c.settings.MaxAge+c.settings.StaleFor {
		return nil
	}
	return v
}

// outdated returns v as a stale view.
func (c *Cache) outdated(v *view) (*view, Reply, error) {
	c.stale.Add(1)
	return v, Reply{Stale: true, Age: time.Since(v.Taken)}, nil
}

// want notes that a reader exists, and starts a refresh if one is due.
func (c *Cache) want() {
	c.wanted.Store(int64(time.Since(c.started)))
	c.keep()
}

// keep starts a refresh in the background, if it is due and a reader exists. It returns the
// refresh, or nil.
func (c *Cache) keep() *singleflight.Call[*view] {
	idle := time.Since(c.started) - time.Duration(c.wanted.Load())
	v := c.view.Load()
	due := v.doubts != c.doubts.Load() || time.Since(v.Taken) >= c.settings.renewAfter()
	if !due || idle > wantedFor && c.watchers.count() == 0 {
		return nil
	}
	return c.refreshLater()
}

// refreshLater starts a refresh in the background, unless one is in flight or the rate limit
// would delay it. It returns the refresh, or nil.
func (c *Cache) refreshLater() *singleflight.Call[*view] {
	if c.isAway() || !isReady(c.refreshes) {
		return nil // it could only fail; the next reader retries
	}
	call, _ := start(c, &c.refreshing, struct{}{}, c.refreshSince(time.Now())) // fails when closed
	return call
}

// refreshSince returns the refresh for callers that need a view taken at since or later.
func (c *Cache) refreshSince(since time.Time) func(context.Context) (*view, error) {
	return func(ctx context.Context) (*view, error) {
		if v := c.since(since); v != nil {
			return v, nil // taken by a call that ended while the caller started this one
		}
		if err := reserve(ctx, c.refreshes); err != nil {
			return nil, fmt.Errorf("cannot wait to read the cluster's metadata: %w", err)
		}
		v, err := c.refresh(ctx)
		c.failing.Store(err != nil)
		return v, err
	}
}

// refresh reads the whole state and replaces the view.
func (c *Cache) refresh(ctx context.Context) (*view, error) {
	doubts := c.doubts.Load() // loaded first: a later doubt may be newer than the response
	taken := time.Now()
	req := kmsg.NewPtrMetadataRequest() // no list of topics: all of them
	resp, err := req.RequestWith(ctx, c.brokers)
	if err != nil {
		c.refreshFailed.Add(1)
		level := slog.LevelWarn
		if c.Healthy() != nil { // the watch reports the outage, once
			level = slog.LevelDebug
		}
		c.log.Log(ctx, level, "cannot refresh the cluster's metadata", "err", err)
		return nil, fmt.Errorf("cannot read the cluster's metadata: %w", err)
	}
	c.answered()
	c.refreshed.Add(1)
	c.viewMu.Lock()
	defer c.viewMu.Unlock()
	last := c.view.Load()
	resp.Topics = slices.DeleteFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool {
		return t.Topic != nil && c.settings.Reserved.Has(*t.Topic)
	})
	next := &view{Snapshot: newSnapshot(resp, taken, last.Snapshot), doubts: doubts}
	for name, f := range last.beside {
		// A topic that was found during the request may be missing from the response.
		if f.at.After(taken) && next.byName[name] == nil {
			if next.beside == nil {
				next.beside = make(map[string]*found)
			}
			next.beside[name] = f
		}
	}
	c.show(next, last)
	return next, nil
}

// show replaces last, the view until now, by next. The caller holds viewMu.
func (c *Cache) show(next, last *view) {
	same := next.same(last)
	if same {
		next.list.Store(last.list.Load())
	}
	c.view.Store(next)
	if !same {
		c.watchers.wake()
		c.tellGrown(next, last)
	}
}

// tellGrown tells of the topics that have more partitions than they had.
func (c *Cache) tellGrown(next, last *view) {
	tell := c.grown.Load()
	if tell == nil {
		return
	}
	for name, t := range next.byName {
		if was := last.byName[name]; was != nil && was != t && len(t.Partitions) > len(was.Partitions) {
			(*tell)(name)
		}
	}
	for name, f := range next.beside {
		if was := last.topic(name); was != nil && was != f.topic && len(f.topic.Partitions) > len(was.Partitions) {
			(*tell)(name)
		}
	}
}

// OnGrown has tell called with each topic that is seen to have more partitions than before. tell
// must not block, nor call the cache.
func (c *Cache) OnGrown(tell func(topic string)) { c.grown.Store(&tell) }

// add puts a topic that a look-up by name found beside the view.
func (c *Cache) add(t *Topic) {
	c.viewMu.Lock()
	old := c.view.Load()
	beside := maps.Clone(old.beside)
	if beside == nil {
		beside = make(map[string]*found)
	}
	beside[t.Name] = &found{topic: t, at: time.Now()}
	c.show(&view{Snapshot: old.Snapshot, beside: beside, doubts: old.doubts}, old)
	c.viewMu.Unlock()
	if len(beside) > maxBeside {
		c.refreshLater()
	}
}
