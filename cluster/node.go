package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

// Local is the part of this node that holds its consumer instances.
type Local interface {
	// Holds reports whether the instance is here, or on its way in or out. It
	// does not wait, nor call the node.
	Holds(group, name string) bool
	// Adopt makes the instance from its definition, which it borrows.
	Adopt(ctx context.Context, group, name string, definition []byte) error
	// Discard drops the instance, if it is here: another node has it now. It does not wait.
	Discard(group, name string)
}

// Node is this process among the others. Make one with [New], let it take part
// with [Node.Start], and end it with [Node.Close]. All methods may be called
// from any goroutine.
type Node struct {
	settings Settings
	log      *slog.Logger
	client   *kgo.Client
	run      string

	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	local   Local  // set by Start
	url     string // the same
	// writing holds, for a part of all instances each, one element while a
	// record of one of them is being written.
	writing [64]chan struct{}

	mu       sync.Mutex
	table    *table
	position int64                         // the next offset to read
	changed  chan struct{}                 // closed and replaced when position or table has changed
	beats    map[uint64]time.Time          // when heartbeats were sent that were not read back yet
	trusted  time.Time                     // when the last heartbeat was sent that was read back
	started  bool                          // a heartbeat was read back once
	stranger bool                          // another node uses our id
	silenced bool                          // a failure to write heartbeats was logged
	adopting map[instanceKey]chan struct{} // closed when the adoption under way is over
	verdicts map[instanceKey]verdict       // why instances that nobody has are not adopted here

	adopted, adoptFailed atomic.Uint64
}

// ErrCutOff says that the node cannot see itself in the log, and so must not
// act for the cluster.
var ErrCutOff = errors.New("this node has lost its place in the cluster's topic")

// New returns a node that does not take part yet. The client it makes is its own.
func New(base kafka.Settings, s Settings) (*Node, error) {
	if s.ID == "" {
		s.ID = "node-" + rand.Text()[:12]
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	client, err := kafka.NewAdmin(base,
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		// What could not be written within a lease says something of the past.
		kgo.RecordDeliveryTimeout(max(s.Lease, time.Second)),
		kgo.ProduceRequestTimeout(max(s.Lease, time.Second)),
	)
	if err != nil {
		return nil, err
	}
	n := &Node{
		settings: s, log: s.Logger, client: client, run: rand.Text(),
		table:    newTable(),
		changed:  make(chan struct{}),
		beats:    make(map[uint64]time.Time),
		adopting: make(map[instanceKey]chan struct{}),
		verdicts: make(map[instanceKey]verdict),
	}
	for i := range n.writing {
		n.writing[i] = make(chan struct{}, 1)
	}
	n.life, n.end = context.WithCancel(context.Background())
	return n, nil
}

// ID returns the node's name.
func (n *Node) ID() string { return n.settings.ID }

// Start takes part, in the background: others reach this node at the URL. It
// does not wait for Kafka; till that answers, [Node.Find] says so.
func (n *Node) Start(url string, local Local) {
	n.url, n.local = url, local
	n.running.Go(func() {
		if !n.openTopic() {
			return
		}
		n.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{n.settings.Topic: {0: kgo.NewOffset().AtStart()}})
		n.running.Go(n.follow)
		n.running.Go(n.sweep)
		n.beat()
	})
}

// Close stops taking part; what comes after the first call does nothing. With leave the others are told that this node is
// gone; without, they find out when its lease is over, as if it had died.
func (n *Node) Close(ctx context.Context, leave bool) {
	if n.life.Err() != nil {
		return
	}
	n.end()
	n.running.Wait()
	defer n.client.Close()
	if !leave || n.url == "" {
		return
	}
	r := &kgo.Record{Topic: n.settings.Topic, Key: nodeKey(n.ID())}
	written := make(chan error, 1)
	n.client.Produce(ctx, r, func(_ *kgo.Record, err error) { written <- err })
	var err error
	select { // the library does not give up a record that may be on its way
	case err = <-written:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		n.log.Warn("cannot take this node out of the cluster's topic", "error", err)
	}
}

// openTopic makes sure that there is the topic. It is false when the node was closed first.
func (n *Node) openTopic() bool {
	adm := kadm.NewClient(n.client)
	for {
		err := n.createTopic(adm)
		if err == nil {
			return true
		}
		if n.life.Err() == nil {
			n.log.Warn("cannot take part in the cluster yet", "topic", n.settings.Topic, "error", err)
		}
		select {
		case <-n.life.Done():
			return false
		case <-time.After(time.Second):
		}
	}
}

// topicConfigs keep the topic short: what was written last is never compacted
// until its segment is closed, which by default takes a week of heartbeats.
var topicConfigs = map[string]*string{
	"cleanup.policy":            kadm.StringPtr("compact"),
	"segment.ms":                kadm.StringPtr("3600000"),
	"segment.bytes":             kadm.StringPtr("16777216"),
	"min.cleanable.dirty.ratio": kadm.StringPtr("0.1"),
}

func (n *Node) createTopic(adm *kadm.Client) error {
	_, err := adm.CreateTopic(n.life, 1, int16(n.settings.Replication), topicConfigs, n.settings.Topic)
	switch {
	case err == nil:
		n.log.Info("created the cluster's topic", "topic", n.settings.Topic)
	case errors.Is(err, kerr.TopicAlreadyExists):
		n.checkTopic(adm)
	default:
		// It may be there all the same, and we just may not create topics.
		topics, failed := adm.ListTopicsWithInternal(n.life, n.settings.Topic)
		if failed != nil || !topics.Has(n.settings.Topic) {
			return fmt.Errorf("cannot create the topic: %w", err)
		}
	}
	return nil
}

// checkTopic warns of a topic that somebody made otherwise than we would have.
func (n *Node) checkTopic(adm *kadm.Client) {
	all, err := adm.DescribeTopicConfigs(n.life, n.settings.Topic)
	if err != nil || len(all) != 1 {
		return // not allowed to ask, for instance
	}
	for _, c := range all[0].Configs {
		if c.Key == "cleanup.policy" && c.MaybeValue() != "compact" {
			n.log.Warn("the cluster's topic is not compacted: it loses consumer instances when its records expire",
				"topic", n.settings.Topic, "cleanup.policy", c.MaybeValue())
		}
	}
}

// beat writes heartbeats until the node is closed.
func (n *Node) beat() {
	tick := time.NewTicker(n.settings.Heartbeat)
	defer tick.Stop()
	for number := uint64(1); ; number++ {
		n.mu.Lock()
		n.beats[number] = time.Now()
		n.mu.Unlock()
		value := encode(heartbeat{URL: n.url, Run: n.run, Beat: number, LeaseMillis: n.settings.Lease.Milliseconds()})
		r := &kgo.Record{Topic: n.settings.Topic, Key: nodeKey(n.ID()), Value: value}
		n.client.Produce(n.life, r, func(_ *kgo.Record, err error) {
			if err != nil && n.life.Err() == nil {
				n.missed(number, err)
			}
		})
		select {
		case <-n.life.Done():
			return
		case <-tick.C:
		}
	}
}

// missed notes a heartbeat that could not be written. An outage is one event.
func (n *Node) missed(number uint64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.beats, number)
	if !n.silenced {
		n.log.Warn("cannot write heartbeats to the cluster's topic, trying on", "error", err)
		n.silenced = true
	}
}

// follow reads the log until the node is closed.
func (n *Node) follow() {
	for {
		fetches := n.client.PollFetches(n.life)
		if n.life.Err() != nil {
			return
		}
		fetches.EachError(func(_ string, _ int32, err error) {
			n.log.Warn("cannot follow the cluster's topic", "error", err)
		})
		n.take(fetches.Records())
	}
}

// take applies what was read, and then does what follows from it.
func (n *Node) take(records []*kgo.Record) {
	if len(records) == 0 {
		return
	}
	now := time.Now()
	var lost, damaged []instanceKey
	n.mu.Lock()
	for _, r := range records {
		c, err := n.table.apply(r.Key, r.Value, now)
		n.position = r.Offset + 1
		switch {
		case err != nil:
			n.log.Warn("skipping a record of the cluster's topic", "offset", r.Offset, "error", err)
		case c.node == n.ID():
			n.heardOwn(r.Value)
		case c.node != "":
		case c.rejected && c.former == n.ID():
			damaged = append(damaged, c.instance)
		case c.former == n.ID():
			if e := n.table.instances[c.instance]; e == nil || e.Deleted || e.Owner != n.ID() {
				lost = append(lost, c.instance)
			}
		}
	}
	live := n.leased(now)
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	for _, k := range lost {
		n.local.Discard(k.group, k.name)
	}
	if !live {
		return // what was damaged in the past was repaired in the past
	}
	for _, k := range damaged {
		n.running.Go(func() { n.repair(k) })
	}
}

// heardOwn notes that a heartbeat of this node was read. The caller holds n.mu.
func (n *Node) heardOwn(value []byte) {
	p := n.table.nodes[n.ID()]
	if p == nil || value == nil {
		return // the tombstone of a run before this one
	}
	if p.Run != n.run {
		if n.started && !n.stranger {
			n.log.Error("another node uses the same id: neither can serve consumer instances", "id", n.ID(), "its_url", p.URL)
			n.stranger = true
		}
		n.trusted = time.Time{}
		return
	}
	if sent, ok := n.beats[p.Beat]; ok {
		n.trusted = sent
		n.started = n.started || n.leased(time.Now()) // one that took too long has not helped
		n.silenced = false
		for number := range n.beats {
			if number <= p.Beat {
				delete(n.beats, number)
			}
		}
	}
}

// leased reports whether the node may act. The caller holds n.mu.
func (n *Node) leased(now time.Time) bool {
	return !n.trusted.IsZero() && now.Sub(n.trusted) < n.settings.Lease
}
