package metadata

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/metrics"
)

const (
	// produceAge is how old the view may get while only produce look-ups
	// read it, if MaxAge is less: they need it to learn of deleted topics and
	// of added partitions, which the Kafka client also learns by itself.
	produceAge = 30 * time.Second
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
	// doubts counts the times that the view was called wrong. One that was
	// taken before the last of them is not answered from.
	doubts  atomic.Uint64
	turns   pace         // of refreshes
	wanted  atomic.Int64 // when a reader last found the view due for renewal, as nanoseconds since started
	started time.Time

	// failing is set from a refresh that failed until one succeeds.
	failing                         atomic.Bool
	refreshed, refreshFailed, stale atomic.Uint64

	flights  flights
	lookups  chan struct{}  // bounds look-ups of names that may be created
	names    gather[*Topic] // look-ups of names that must exist
	missing  missing
	creation creation
	configs  configs
	offsets  offsetCache
	watchers watchers
	health   health
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
	c.names = gather[*Topic]{cache: c, burst: 16, ask: c.askTopics}
	c.configs.topics = make(map[string]*topicConfigs)
	c.configs.gather = gather[[]byte]{cache: c, burst: 16, ask: c.askConfigs}
	c.offsets.kept = make(map[flightKey]*keptOffsets)
	c.watchers.init()
	c.view.Store(&view{Snapshot: &Snapshot{Controller: -1}})
	c.wanted.Store(-int64(time.Hour))
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
	if len(c.view.Load().beside) > 0 {
		c.doubts.Add(1) // the snapshot lacks them
	}
	v, r, err := c.fresh(ctx, c.settings.MaxAge)
	if err == nil && r.Stale {
		err = errAway
	}
	if err != nil {
		return nil, err
	}
	return v.Snapshot, nil
}

// Known returns what was last known of the cluster, however old it is: nothing
// before the first answer. It asks nobody and does not wait.
func (c *Cache) Known() *Snapshot { return c.view.Load().Snapshot }

// Invalidate has the next reader of metadata wait for a new view, and begins to
// ask for it. It is for whoever learns that the view is wrong: the produce side
// by a record that Kafka refused, look-ups of offsets and configurations by a
// topic that is gone, and [Cache.Hook] by a leader that is another broker.
func (c *Cache) Invalidate() {
	c.doubts.Add(1)
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
