package metadata

import (
	"context"
	"sync/atomic"
	"time"

	"millrace/internal/apierr"
)

// watchers counts the callers that wait for the view to change.
type watchers struct {
	n       atomic.Int64
	changed atomic.Pointer[chan struct{}] // closed at the next change
}

func (w *watchers) init() {
	next := make(chan struct{})
	w.changed.Store(&next)
}

func (w *watchers) count() int { return int(w.n.Load()) }

// wake wakes all waiting callers. It must not run concurrently.
func (w *watchers) wake() {
	next := make(chan struct{})
	close(*w.changed.Swap(&next))
}

// enter counts one more waiting caller, or refuses it.
func (c *Cache) enter() error {
	if c.watchers.n.Add(1) > int64(c.settings.MaxWaiters) {
		c.watchers.n.Add(-1)
		return apierr.TooManyWaiters.Err()
	}
	c.keep() // the view is refreshed from now on, and may have grown old
	return nil
}

func (c *Cache) leave() { c.watchers.n.Add(-1) }

// Await answers q as [Cache.Answer] does, as soon as the answer has another ETag than etag. After
// timeout, which Settings.MaxWait bounds, or when ctx ends, it returns the current answer. ctx
// ends only the wait.
//
// Errors: those of Answer, and TooManyWaiters.
func (c *Cache) Await(ctx context.Context, q Query, etag string, timeout time.Duration) (Reply, error) {
	if r, err := c.Answer(context.Background(), q); err != nil || r.ETag != etag || ctx.Err() != nil {
		return r, err
	}
	if err := c.enter(); err != nil {
		return Reply{}, err
	}
	defer c.leave()
	ctx, cancel := context.WithTimeout(ctx, min(timeout, c.settings.MaxWait))
	defer cancel()
	q.Bounded = false // its demand is met; from here on the view is refreshed
	var tick <-chan time.Time
	if q.Of == OneTopic || q.Of == PartitionOffsets { // these are not in the view alone
		ticker := time.NewTicker(c.settings.askEvery())
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		changed := *c.watchers.changed.Load() // loaded before the answer, so that no change is missed
		r, err := c.Answer(context.Background(), q)
		if err != nil || r.ETag != etag || ctx.Err() != nil {
			return r, err
		}
		select {
		case <-changed:
		case <-tick:
		case <-ctx.Done():
		case <-c.ctx.Done():
			return r, nil
		}
	}
}

// Changes are the differences between two states of the cluster. Names are sorted.
type Changes struct {
	// Created, Deleted and Changed are topics. One is changed if its
	// partitions, their leaders, replicas or in-sync replicas are. Kafka's own topics are not among
	// them, as they are in no list.
	Created, Deleted, Changed []string
	// Brokers is the answer to [AllBrokers] if it changed, else nil.
	Brokers *Answer
}

// Watcher follows the changes of a cluster. It is for one goroutine; its owner closes it.
type Watcher struct {
	cache *Cache
	seen  *view
}

// Watch returns a watcher of the changes from now on. While a watcher exists the view is
// refreshed. The error is TooManyWaiters, or one of [Cache.Answer] if the cluster is not known
// yet.
func (c *Cache) Watch(ctx context.Context) (*Watcher, error) {
	v, _, err := c.fresh(ctx, c.settings.MaxAge)
	if err != nil {
		return nil, err
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	return &Watcher{cache: c, seen: v}, nil
}

// Close makes room for another watcher.
func (w *Watcher) Close() { w.cache.leave() }

// Seen returns the answers to [AllTopics], for a reader to whom those topics are visible, and
// [AllBrokers] that the next changes are relative to.
func (w *Watcher) Seen(visible func(topic string) bool) (topics, brokers *Answer) {
	return w.seen.topicsFor(visible), w.seen.brokers
}

// Next waits for changes since the last call, or since [Cache.Watch]. ok is
// false when ctx ended first.
func (w *Watcher) Next(ctx context.Context) (ch Changes, ok bool) {
	for {
		changed := *w.cache.watchers.changed.Load()
		if v := w.cache.view.Load(); v != w.seen {
			was := w.seen
			w.seen = v
			if ch, ok = changesOf(was, v); ok {
				return ch, true
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ch, false
		case <-w.cache.ctx.Done():
			return ch, false
		}
	}
}

// changesOf compares two views; ok is false if they do not differ.
func changesOf(was, is *view) (ch Changes, ok bool) {
	if was.brokers != is.brokers && was.brokers.ETag != is.brokers.ETag {
		ch.Brokers = is.brokers
	}
	old, now := was.listed(), is.listed()
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(old) > 0 && old[0].Name < now[0].Name:
			ch.Deleted = append(ch.Deleted, old[0].Name)
			old = old[1:]
		case len(old) == 0 || now[0].Name < old[0].Name:
			ch.Created = append(ch.Created, now[0].Name)
			now = now[1:]
		default:
			if old[0] != now[0] && !old[0].equal(now[0]) {
				ch.Changed = append(ch.Changed, now[0].Name)
			}
			old, now = old[1:], now[1:]
		}
	}
	return ch, ch.Brokers != nil || len(ch.Created)+len(ch.Deleted)+len(ch.Changed) > 0
}
