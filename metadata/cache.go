package metadata

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/metrics"
)

const (
	// produceAge is how old the view may get while only produce look-ups
	// read it, if MaxAge is less: they need it to learn of deleted topics and
	// of added partitions, which the Kafka client also learns by itself.
	produceAge = 30 * time.Second
	// refreshPause is the least time between two refreshes that nobody waits for.
	refreshPause = time.Second
	// maxBeside is how many topics may stand beside the view before a refresh
	// takes them in; adding one copies them all.
	maxBeside = 256
)

// Cache is the process's knowledge of the cluster. Make one with [New].
type Cache struct {
	client   *kgo.Client
	brokers  prompt // client, for questions to any broker or to the right one
	settings Settings
	log      *slog.Logger

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // the health watch and refreshes in the background

	view   atomic.Pointer[view]
	viewMu sync.Mutex // held while a new view is made from the old one
	stale  atomic.Bool
	// background is when the last refresh in the background began, as
	// nanoseconds since started.
	background atomic.Int64
	started    time.Time

	refreshed, refreshFailed atomic.Uint64

	flights  flights
	lookups  chan struct{} // bounds look-ups of unknown names
	missing  missing
	creation creation
	configs  configs
	health   health
}

// view is what readers see at one time: the last snapshot, and the topics that
// were found by name after it was taken. It is immutable.
type view struct {
	*Snapshot
	beside map[string]*found
}

// found is a topic that a look-up by name brought.
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

// New returns a cache that asks through client, which it borrows, and starts
// to watch the brokers and to learn the topics. [Cache.Close] stops it.
func New(client *kgo.Client, s Settings, log *slog.Logger) *Cache {
	c := &Cache{
		client:   client,
		brokers:  prompt{client},
		settings: s.withDefaults(),
		log:      log,
		started:  time.Now(),
		lookups:  make(chan struct{}, maxLookups),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.health.first = make(chan struct{})
	back := make(chan struct{})
	c.health.away.Store(&back)
	c.flights.running = make(map[flightKey]*flight)
	c.missing.names = make(map[string]*absent)
	c.configs.topics = make(map[string]*topicConfigs)
	c.view.Store(&view{Snapshot: &Snapshot{Controller: -1}})
	c.background.Store(-int64(refreshPause))
	c.tasks.Go(c.watch)
	c.refreshLater()
	return c
}

// Close stops the watch and fails look-ups that are under way. It does not
// close the Kafka client.
func (c *Cache) Close() {
	c.flights.mu.Lock() // nothing is started once this was held
	c.cancel()
	c.flights.mu.Unlock()
	c.tasks.Wait()
}

// Snapshot returns what the cluster looks like, no older than MaxAge. It waits
// for the brokers when it must, until ctx ends or Settings.Timeout has passed.
func (c *Cache) Snapshot(ctx context.Context) (*Snapshot, error) {
	v, err := c.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return v.Snapshot, nil
}

// Known returns what was last known of the cluster, however old it is: nothing
// before the first answer. It asks nobody and does not wait.
func (c *Cache) Known() *Snapshot { return c.view.Load().Snapshot }

// Invalidate makes the next reader of metadata ask the brokers, and starts a
// refresh if none began within the last second. It is for whoever learns that
// the view is wrong, such as a produce to a topic that was deleted.
func (c *Cache) Invalidate() {
	c.stale.Store(true)
	c.refreshLater()
}

// Stats returns what is known of the cluster and how old that is, for the
// metrics. It asks nobody.
func (c *Cache) Stats() metrics.Metadata {
	v := c.view.Load()
	s := metrics.Metadata{
		Reachable:     c.Healthy() == nil,
		Silence:       c.silence(),
		Known:         !v.Taken.IsZero(),
		Age:           time.Since(v.Taken),
		Refreshed:     c.refreshed.Load(),
		RefreshFailed: c.refreshFailed.Load(),
		Brokers:       len(v.Brokers),
		Topics:        len(v.Topics),
	}
	for _, t := range v.Topics {
		s.Partitions += len(t.Partitions)
		for i := range t.Partitions {
			if t.Partitions[i].Leader < 0 {
				s.Leaderless++
			}
		}
	}
	return s
}

// fresh returns a view that is no older than MaxAge and that has all topics
// that were found before the call.
func (c *Cache) fresh(ctx context.Context) (*view, error) {
	// A reader may join a refresh that began before the view became stale,
	// so one is not always enough; two are.
	for range 2 {
		if v := c.young(); v != nil {
			return v, nil
		}
		if _, err := fly(ctx, c, flightKey{what: "refresh"}, c.refresh); err != nil {
			return nil, err
		}
	}
	return c.view.Load(), nil
}

// young returns the view if it may be answered from, or nil.
func (c *Cache) young() *view {
	if v := c.view.Load(); !c.stale.Load() && time.Since(v.Taken) < c.settings.MaxAge {
		return v
	}
	return nil
}

// refreshLater starts a refresh that nobody waits for, unless one began a
// moment ago.
func (c *Cache) refreshLater() {
	now, last := int64(time.Since(c.started)), c.background.Load()
	if now-last < int64(refreshPause) || !c.background.CompareAndSwap(last, now) {
		return
	}
	if c.isAway() {
		return // it could only fail
	}
	_, _ = launch(c, flightKey{what: "refresh"}, c.refresh) // fails when closed
}

// refresh asks for everything and replaces the view.
func (c *Cache) refresh(ctx context.Context) (*view, error) {
	if v := c.young(); v != nil {
		return v, nil // the flight before this one ended as its caller set out
	}
	c.stale.Store(false) // whatever makes it stale from here on may be missing in the answer
	taken := time.Now()
	req := kmsg.NewPtrMetadataRequest() // no list of topics: all of them
	resp, err := req.RequestWith(ctx, c.brokers)
	if err != nil {
		c.stale.Store(true)
		c.refreshFailed.Add(1)
		c.log.Warn("cannot refresh the cluster's metadata", "err", err)
		return nil, fmt.Errorf("cannot read the cluster's metadata: %w", err)
	}
	c.answered()
	c.refreshed.Add(1)
	next := &view{Snapshot: newSnapshot(resp, taken)}
	c.viewMu.Lock()
	defer c.viewMu.Unlock()
	for name, f := range c.view.Load().beside {
		// What was found while we were asking may not be in the answer.
		if f.at.After(taken) && next.byName[name] == nil {
			if next.beside == nil {
				next.beside = make(map[string]*found)
			}
			next.beside[name] = f
		}
	}
	c.view.Store(next)
	return next, nil
}

// add puts a topic that a look-up by name brought beside the view.
func (c *Cache) add(t *Topic) {
	c.viewMu.Lock()
	old := c.view.Load()
	beside := maps.Clone(old.beside)
	if beside == nil {
		beside = make(map[string]*found)
	}
	beside[t.Name] = &found{topic: t, at: time.Now()}
	c.view.Store(&view{Snapshot: old.Snapshot, beside: beside})
	c.viewMu.Unlock()
	c.stale.Store(true) // the list of topics lacks it
	if len(beside) > maxBeside {
		c.refreshLater()
	}
}
