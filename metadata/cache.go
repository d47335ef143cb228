package metadata

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"millrace/internal/kafka"
	"millrace/internal/singleflight"
	"millrace/metrics"
)

const (
	// produceAge is the age that the view may reach while only produce look-ups read it, if
	// MaxAge is less: they need it to learn of deleted topics and of added partitions, which the
	// Kafka client also learns by itself.
	produceAge = 30 * time.Second
	// maxBeside bounds the topics beside the view before a refresh includes them; adding one
	// copies them all.
	maxBeside = 256
)

// Cache is the process's cache of the cluster's metadata. Make one with [New].
type Cache struct {
	client   *kgo.Client
	brokers  kafka.Prompt // client, for requests to any broker or to the responsible one
	settings Settings
	log      *slog.Logger

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // the health watch and the calls to the brokers
	// spawning orders Close and the start of a task.
	spawning sync.Mutex

	grown  atomic.Pointer[func(topic string)] // of [Cache.OnGrown]
	view   atomic.Pointer[view]
	viewMu sync.Mutex // held while a new view is made from the old one
	// doubts counts the times that the view was found wrong. A view that was taken before the
	// last of them is not used.
	doubts     atomic.Uint64
	refreshing singleflight.Group[struct{}, *view]
	refreshes  *rate.Limiter
	wanted     atomic.Int64 // when a reader last found a refresh due, as nanoseconds since started
	started    time.Time

	// failing is set by a refresh that fails, and cleared by one that succeeds.
	failing                         atomic.Bool
	refreshed, refreshFailed, stale atomic.Uint64

	finds    singleflight.Group[findKey, *Topic]
	lookups  chan struct{}  // bounds look-ups of names that may be created
	names    gather[*Topic] // look-ups of names that must exist
	missing  missing
	creation creation
	configs  configs
	offsets  offsetCache
	watchers watchers
	health   health
}

// New returns a cache that uses client, which it borrows, and starts to watch the brokers and to
// read the topics. [Cache.Close] stops it.
func New(client *kgo.Client, s Settings, log *slog.Logger) *Cache {
	c := &Cache{
		client:   client,
		brokers:  kafka.Prompt{Client: client},
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
	c.health.kick = make(chan struct{}, 1)
	back := make(chan struct{})
	c.health.away.Store(&back)
	c.missing = newMissing()
	every := c.settings.askEvery()
	c.refreshes = newLimit(every, refreshBurst)
	c.names = gather[*Topic]{cache: c, limit: newLimit(every, gatherBurst), ask: c.askTopics}
	c.configs.topics = newConfigs(c.settings.MaxAge)
	c.configs.gather = gather[*topicConfigs]{cache: c, limit: newLimit(every, gatherBurst), ask: c.askConfigs}
	c.offsets = newOffsetCache(every)
	c.watchers.init()
	c.view.Store(&view{Snapshot: &Snapshot{Controller: -1}})
	c.wanted.Store(-int64(time.Hour))
	c.tasks.Go(c.watch)
	c.refreshLater()
	return c
}

// Close stops the watch and fails look-ups in flight. It does not close the Kafka client.
func (c *Cache) Close() {
	c.spawning.Lock() // no task starts once this was held
	c.cancel()
	c.spawning.Unlock()
	c.tasks.Wait()
}

// Snapshot returns the state of the cluster, no older than MaxAge. It waits for the brokers when
// it must, until ctx ends or Settings.Timeout has passed.
func (c *Cache) Snapshot(ctx context.Context) (*Snapshot, error) {
	if len(c.view.Load().beside) > 0 {
		c.doubts.Add(1) // the snapshot lacks them
	}
	v, r, err := c.fresh(ctx, c.settings.MaxAge)
	if err == nil && r.Stale {
		err = c.Away()
	}
	if err != nil {
		return nil, err
	}
	return v.Snapshot, nil
}

// Known returns the cached state of the cluster, however old, and an empty one before the first
// response. It asks no broker and does not wait.
func (c *Cache) Known() *Snapshot { return c.view.Load().Snapshot }

// Invalidate makes the next reader of metadata wait for a new view, and begins the refresh. It is
// called when the view is found wrong: by the produce side when Kafka refused a record, by
// look-ups of offsets and configurations when a topic was deleted, and by [Cache.Hook] when a
// leader is another broker.
func (c *Cache) Invalidate() {
	c.doubts.Add(1)
	c.refreshLater()
}

// Stats returns the cached state of the cluster and its age, for the metrics. It asks no broker.
func (c *Cache) Stats() metrics.Metadata {
	v := c.view.Load()
	s := metrics.Metadata{
		Reachable:     c.Healthy() == nil,
		Silence:       c.silence(),
		Known:         !v.Taken.IsZero(),
		Age:           time.Since(v.Taken),
		Refreshed:     c.refreshed.Load(),
		RefreshFailed: c.refreshFailed.Load(),
		StaleAnswers:  c.stale.Load(),
		Waiting:       c.watchers.count(),
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
