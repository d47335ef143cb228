package metrics

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Other is the value of a topic label that stands for all topics which have no
// series of their own. Kafka allows no parentheses in the name of a topic.
const Other = "(other)"

const (
	// trackedTopics bounds the topics that are counted apart at all, shown or not.
	trackedTopics = 1 << 16
	// rankEvery is how often topics that became busy may replace others.
	rankEvery = time.Minute
)

// The counters that each topic has.
const (
	producedRecords = iota
	producedBytes
	consumedRecords
	consumedBytes
	topicCounters
)

var topicDefs = [topicCounters]*Def{topicProducedRecords, topicProducedBytes, topicConsumedRecords, topicConsumedBytes}

// Topics counts by topic. All topics are counted apart, and the busiest are shown; one replaces
// another only at a scrape.
//
// A counter must never fall, nor jump when topics are exchanged. Counts of a topic from the time
// when it was not shown therefore stay with [Other] for good, and counts from the time when it
// was shown leave and return with it. For the same reason no topic is evicted when trackedTopics is
// reached, as from a bounded.Map: later ones count in the series [Other].
type Topics struct {
	max int

	mu     sync.RWMutex
	byName map[string]*topic
	rest   *topic // all beyond trackedTopics; never shown

	scrape sync.Mutex // held by collect; guards ranked
	ranked time.Time
}

type topic struct {
	name   string
	counts [topicCounters]atomic.Uint64

	// Guarded by Topics.scrape once the topic can be found.
	shown bool
	// apart is the part of counts that is not in the series that the topic counts in at present:
	// while the topic is shown, the part that [Other] has of it; otherwise the part that its own
	// series had when it was removed.
	apart  [topicCounters]uint64
	weight float64 // how busy it was lately
	seen   uint64  // the sum of counts when weight was computed
}

func newTopics(limit int) *Topics {
	return &Topics{ranked: time.Now(), max: limit, byName: make(map[string]*topic), rest: &topic{}}
}

// Produced counts records written to a topic. It borrows name.
func (t *Topics) Produced(name string, records, bytes int) {
	c := t.get(name)
	c.counts[producedRecords].Add(uint64(records))
	c.counts[producedBytes].Add(uint64(bytes))
}

// Consumed counts records returned to a reader of a topic. It borrows name.
func (t *Topics) Consumed(name string, records, bytes int) {
	c := t.get(name)
	c.counts[consumedRecords].Add(uint64(records))
	c.counts[consumedBytes].Add(uint64(bytes))
}

func (t *Topics) get(name string) *topic {
	t.mu.RLock()
	c := t.byName[name]
	t.mu.RUnlock()
	if c != nil {
		return c
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.byName[name]; c != nil {
		return c
	}
	if len(t.byName) >= trackedTopics {
		return t.rest
	}
	// The first topics are shown, until the number is reached.
	c = &topic{name: strings.Clone(name), shown: len(t.byName) < t.max}
	t.byName[c.name] = c
	return c
}

func (t *Topics) collect(to chan<- prometheus.Metric) {
	t.scrape.Lock()
	defer t.scrape.Unlock()
	t.mu.RLock()
	all := make([]*topic, 0, len(t.byName)+1)
	for _, c := range t.byName {
		all = append(all, c)
	}
	t.mu.RUnlock()
	if now := time.Now(); now.Sub(t.ranked) >= rankEvery {
		t.rank(all)
		t.ranked = now
	}
	var other [topicCounters]uint64
	for _, c := range append(all, t.rest) {
		for i := range c.counts {
			n := c.counts[i].Load() - c.apart[i]
			if c.shown {
				topicDefs[i].put(to, float64(n), c.name)
				n = c.apart[i]
			}
			other[i] += n
		}
	}
	for i, n := range other {
		topicDefs[i].put(to, float64(n), Other)
	}
}

// rank decides which topics are shown from now on. A shown topic is replaced only by one that is
// at least twice as busy, so that series do not come and go with small changes of the load.
func (t *Topics) rank(all []*topic) {
	for _, c := range all {
		var sum uint64
		for i := range c.counts {
			sum += c.counts[i].Load()
		}
		c.weight = c.weight/2 + float64(sum-c.seen)
		c.seen = sum
	}
	claim := func(c *topic) float64 {
		if c.shown {
			return 2 * c.weight
		}
		return c.weight
	}
	slices.SortFunc(all, func(a, b *topic) int {
		return cmp.Or(cmp.Compare(claim(b), claim(a)), cmp.Compare(a.name, b.name))
	})
	for i, c := range all {
		show := i < t.max
		if show == c.shown {
			continue
		}
		c.shown = show
		for k := range c.counts {
			c.apart[k] = c.counts[k].Load() - c.apart[k]
		}
	}
}
