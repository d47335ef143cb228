package check

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/lab"
)

// Dial builds a client of the brokers, with more options than its own.
type Dial func(...kgo.Opt) (*kgo.Client, error)

// Brokers returns a Dial for brokers that want neither TLS nor a password.
func Brokers(addrs ...string) Dial {
	return func(opts ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addrs...), kgo.DisableClientMetrics()}, opts...)...)
	}
}

// Options say what the clients of a run do. Zero values get the defaults named here.
type Options struct {
	// URLs are of the proxy, or of its nodes: client n begins at node n and goes on to the
	// next when a connection fails.
	URLs []string
	// Header goes with every request. Its values are never shown.
	Header http.Header
	TLS    *tls.Config
	// Dial reaches the brokers, for topics and for what is committed.
	Dial Dial

	// Seed decides what each client sends.
	Seed uint64
	// Topics to use. Without any, the run makes two of its own. Those that are missing are
	// made, with Partitions (4).
	Topics     []string
	Partitions int
	// Clients produce (8), each Requests times, or until the context ends if that is 0, with
	// up to MaxRecords (8) a request, and Pause (2 ms) between two on average; below 0 none.
	Clients    int
	Requests   int
	MaxRecords int
	Pause      time.Duration
	// Bad is the share of records that break a rule: their timestamp is a month ahead, which
	// the proxy must let a client say (millrace and Strimzi's bridge do; Confluent's v2 does not).
	Bad float64
	// Groups has the number of instances of each consumer group (1 and 2). An empty slice
	// that is not nil is none.
	Groups []int
	// Disturbed says that faults are made during the run which [History.Disturb] does not note.
	Disturbed bool
	// Timeout is what a request may take (40 s), which is more than a proxy should.
	Timeout time.Duration
	// Patience is for how long the groups wait for what is still missing (30 s). Where a proxy
	// may lose an instance without leaving the group for it, that must be more than the
	// group's session timeout, which its partitions wait for.
	Patience time.Duration
	// Started is given the history before the first request, for a harness that notes its
	// faults there. May be nil.
	Started func(*History)
}

func (o Options) withDefaults(run string) Options {
	defaultTo(&o.Partitions, 4)
	defaultTo(&o.Clients, 8)
	defaultTo(&o.MaxRecords, 8)
	defaultTo(&o.Pause, 2*time.Millisecond)
	defaultTo(&o.Timeout, 40*time.Second)
	defaultTo(&o.Patience, 30*time.Second)
	if len(o.Topics) == 0 {
		o.Topics = []string{"check-" + run + "-a", "check-" + run + "-b"}
	}
	if o.Groups == nil {
		o.Groups = []int{1, 2}
	}
	return o
}

func defaultTo[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// traffic is a run under way.
type traffic struct {
	Options
	history *History
	admin   *kadm.Client
	groups  []*group
}

// Run lets the clients produce until they are done or ctx ends, has the groups read on to the
// end, and returns what happened. An error means that there was no run.
func Run(ctx context.Context, o Options) (*History, error) {
	id := newRunID()
	o = o.withDefaults(id)
	var endpoints []*endpoint
	for _, raw := range o.URLs {
		e, err := newEndpoint(raw, o.Header, o.TLS)
		if err != nil {
			return nil, err
		}
		endpoints = append(endpoints, e)
	}
	if len(endpoints) == 0 || o.Dial == nil {
		return nil, errors.New("cannot check without the proxy's URL and the brokers")
	}
	client, err := o.Dial()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	t := &traffic{Options: o, admin: kadm.NewClient(client)}
	t.history = NewHistory(Header{Run: id, Seed: o.Seed, Topics: o.Topics, Disturbed: o.Disturbed})
	if t.history.Starts, err = t.prepare(ctx); err != nil {
		return nil, err
	}
	if o.Started != nil {
		o.Started(t.history)
	}
	return t.history, t.run(ctx, endpoints)
}

func newRunID() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// run has all clients at work and returns when the last has ended.
func (t *traffic) run(ctx context.Context, endpoints []*endpoint) error {
	var producing, consuming sync.WaitGroup
	for n := range t.Clients {
		p := &producer{run: t, client: n, line: newLine(endpoints, n, t.Timeout)}
		producing.Go(func() { p.produce(ctx) })
	}
	// The clients' requests go on after ctx, as the reading does.
	after := context.WithoutCancel(ctx)
	client := t.Clients
	for n, instances := range t.Groups {
		g := newGroup(fmt.Sprintf("check-%s-%d", t.history.Run, n), t.Patience)
		t.groups = append(t.groups, g)
		for range instances {
			c := &instance{
				run: t, group: g, client: client, format: []string{"json", "binary"}[client%2],
				line: newLine(endpoints, client, t.Timeout),
			}
			g.members = append(g.members, c)
			client++
		}
	}
	for _, g := range t.groups {
		for _, c := range g.members {
			consuming.Go(func() { c.consume(after) })
		}
	}
	producing.Wait()
	ends, err := extent(after, t.admin, t.Topics)
	for _, s := range ends {
		t.history.Ends = append(t.history.Ends, Position{Partition{s.Topic, s.Partition}, s.To})
	}
	for _, g := range t.groups {
		g.finish(t.history.Ends)
	}
	consuming.Wait()
	for _, g := range t.groups {
		t.observe(after, g.name, -1)
	}
	return err
}

// adminTimeout bounds what is asked of the brokers before and after the clients' requests.
const adminTimeout = time.Minute

// prepare makes the topics that are missing, and returns where all of them end. A topic that
// was there may have other writers.
func (t *traffic) prepare(ctx context.Context) (starts []Position, err error) {
	bounded, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	t.history.Exclusive = true
	for _, topic := range t.Topics {
		partitions, made, err := makeTopic(bounded, t.admin, topic, t.Partitions)
		if err != nil {
			return nil, err
		}
		t.Partitions = min(t.Partitions, partitions)
		t.history.Exclusive = t.history.Exclusive && made
	}
	spans, err := extent(ctx, t.admin, t.Topics)
	for _, s := range spans {
		starts = append(starts, Position{Partition{s.Topic, s.Partition}, s.To})
	}
	return starts, err
}

// topicWait is how long makeTopic waits before it looks again.
const topicWait = 100 * time.Millisecond

// makeTopic creates the topic with so many partitions, unless it exists. It returns how many it
// has, and whether it was made.
func makeTopic(ctx context.Context, admin *kadm.Client, topic string, partitions int) (has int, made bool, err error) {
	for {
		found, err := admin.ListTopics(ctx, topic)
		if err != nil {
			return 0, false, fmt.Errorf("cannot reach the brokers: %w", err)
		}
		if found.Has(topic) {
			return len(found[topic].Partitions), false, nil
		}
		_, err = admin.CreateTopic(ctx, int32(partitions), -1, nil, topic)
		if err == nil {
			return partitions, true, nil
		}
		// The broker that was asked may not have heard of a topic that exists.
		if !errors.Is(err, kerr.TopicAlreadyExists) || !pause(ctx, topicWait) {
			return 0, false, fmt.Errorf("cannot create topic %s: %w", topic, err)
		}
	}
}

// extent looks up what the topics hold.
func extent(ctx context.Context, admin *kadm.Client, topics []string) ([]lab.Span, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	return lab.AwaitExtent(ctx, admin, topics...)
}

// observe notes what a group has committed, as the brokers say. An observation that fails
// is left out: it is no request to the proxy.
func (t *traffic) observe(ctx context.Context, group string, client int) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	op := Op{Kind: Committed, Client: client, Group: group, Outcome: OK, Sent: t.history.Now()}
	offsets, err := t.admin.FetchOffsets(ctx, group)
	if err != nil {
		return
	}
	op.Done = t.history.Now()
	offsets.Each(func(r kadm.OffsetResponse) {
		if r.Err == nil && r.At >= 0 {
			op.Positions = append(op.Positions, Position{Partition{r.Topic, r.Partition}, r.At})
		}
	})
	t.history.Append(op)
}

// group is one consumer group while it reads: it knows how far it has come.
type group struct {
	name     string
	members  []*instance
	patience time.Duration

	mu       sync.Mutex
	reached  map[Partition]int64 // offset after the last that was given
	progress time.Time
	ends     []Position // nil while clients produce
	ending   bool
}

func newGroup(name string, patience time.Duration) *group {
	return &group{name: name, patience: patience, reached: map[Partition]int64{}}
}

// note takes in a page.
func (g *group) note(page []Given) {
	if len(page) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range page {
		if r.Offset >= g.reached[r.Partition] {
			g.reached[r.Partition] = r.Offset + 1
			g.progress = time.Now()
		}
	}
}

// finish tells the group where its topics end.
func (g *group) finish(ends []Position) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ends, g.ending, g.progress = ends, true, time.Now()
}

// finished reports whether the group has come to the end, or waited long enough.
func (g *group) finished() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ending {
		return false
	}
	for _, end := range g.ends {
		if g.reached[end.Partition] < end.Offset {
			return time.Since(g.progress) > g.patience
		}
	}
	return true
}
