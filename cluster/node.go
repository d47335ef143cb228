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
	"golang.org/x/time/rate"

	"millrace/internal/kafka"
)

// Local is the part of this node that holds its consumer instances.
type Local interface {
	// Holds reports whether the instance is here, or on its way in or out. It
	// does not wait, nor call the node.
	Holds(group, name string) bool
	// Admits returns an error if a request with this context cannot have the instance adopted,
	// though another may. It does not wait.
	Admits(ctx context.Context, definition []byte) error
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
	seal     *sealer

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
	number   uint64                        // of the last heartbeat that was sent
	rank     int64                         // heartbeat.Started of this run
	damaged  map[instanceKey]int64         // instances whose record is to be repaired, see repair
	warned   rate.Sometimes                // logs records that do not count

	adopted, adoptFailed, refused atomic.Uint64
}

// ErrCutOff says that the node cannot see itself in the log, and so must not
// act for the cluster.
var ErrCutOff = errors.New("this node has lost its place in the cluster's topic")

// errUnsealed says what a record lacks.
var errUnsealed = errors.New("it was not written by a node with this cluster.secret: by one with another, by one of a former version (see cluster.authentication), or by somebody else")

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
		// A record that could not be written within a lease describes the past.
		kgo.RecordDeliveryTimeout(max(s.Lease, time.Second)),
		kgo.ProduceRequestTimeout(max(s.Lease, time.Second)),
	)
	if err != nil {
		return nil, err
	}
	n := &Node{
		settings: s, log: s.Logger, client: client, run: rand.Text(), seal: newSealer(s.Secret, s.Topic),
		table:    newTable(),
		changed:  make(chan struct{}),
		beats:    make(map[uint64]time.Time),
		adopting: make(map[instanceKey]chan struct{}),
		verdicts: make(map[instanceKey]verdict),
		damaged:  make(map[instanceKey]int64),
		warned:   rate.Sometimes{Interval: refuseLog},
		rank:     time.Now().UnixMilli(),
	}
	n.table.lenient = s.Lenient
	for i := range n.writing {
		n.writing[i] = make(chan struct{}, 1)
	}
	n.life, n.end = context.WithCancel(context.Background())
	return n, nil
}

// ID returns the node's name.
func (n *Node) ID() string { return n.settings.ID }

// Start takes part in the background: other nodes reach this node at the URL. It does not wait
// for Kafka; [Node.Find] fails until Kafka answers.
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

// Close stops taking part; calls after the first do nothing. With leave it tells the other
// nodes that this node is gone; without, they find out when its lease ends, as if it had
// crashed.
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
	if err := n.leave(ctx); err != nil {
		n.log.Warn("cannot take this node out of the cluster's topic", "err", err)
	}
}

// leave tells the others that this node is gone.
func (n *Node) leave(ctx context.Context) error {
	n.mu.Lock()
	last := n.heartbeat()
	n.mu.Unlock()
	last.Left = true
	written := make(chan error, 2)
	for _, value := range [][]byte{encode(last), nil} {
		n.client.Produce(ctx, n.record(nodeKey(n.ID()), value), func(_ *kgo.Record, err error) { written <- err })
	}
	for range cap(written) {
		select { // the library does not give up a record that may be on its way
		case err := <-written:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// record returns a record of the cluster's topic with its MAC.
func (n *Node) record(key, value []byte) *kgo.Record {
	return n.seal.seal(&kgo.Record{Topic: n.settings.Topic, Key: key, Value: value})
}

// heartbeat returns the next heartbeat. The caller holds n.mu.
func (n *Node) heartbeat() heartbeat {
	n.number++
	return heartbeat{URL: n.url, Run: n.run, Beat: n.number, LeaseMillis: n.settings.Lease.Milliseconds(), Started: n.rank, Lenient: n.settings.Lenient, Keys: n.settings.Keys}
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
			n.log.Warn("cannot take part in the cluster yet", "topic", n.settings.Topic, "err", err)
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
	created, err := adm.CreateTopic(n.life, 1, int16(n.settings.Replication), topicConfigs, n.settings.Topic)
	if err == nil {
		n.log.Info("created the cluster's topic", "topic", n.settings.Topic)
		if n.seal.id = created.ID; n.seal.id != (kadm.TopicID{}) {
			return nil
		}
	}
	// It may be there all the same, and we just may not create topics.
	topics, failed := adm.ListTopicsWithInternal(n.life, n.settings.Topic)
	if failed != nil || !topics.Has(n.settings.Topic) {
		return fmt.Errorf("cannot create or find the topic: %w", errors.Join(err, failed))
	}
	n.seal.id = topics[n.settings.Topic].ID
	if errors.Is(err, kerr.TopicAlreadyExists) {
		n.checkTopic(adm)
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
	for {
		n.mu.Lock()
		h := n.heartbeat()
		n.beats[h.Beat] = time.Now()
		n.mu.Unlock()
		n.client.Produce(n.life, n.record(nodeKey(n.ID()), encode(h)), func(_ *kgo.Record, err error) {
			if err != nil && n.life.Err() == nil {
				n.missed(h.Beat, err)
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
		n.log.Warn("cannot write heartbeats to the cluster's topic, retrying", "err", err)
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
			n.log.Warn("cannot follow the cluster's topic", "err", err)
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
	var lost []instanceKey
	n.mu.Lock()
	for _, r := range records {
		c, err := n.table.apply(r.Key, r.Value, n.seal.verifies(r), now)
		n.position = r.Offset + 1
		if err != nil || c.unsealed {
			n.refuse(r, err)
		}
		switch {
		case err != nil:
		case c.rejected && c.node == "" && c.former == n.ID():
			n.damaged[c.instance] = max(n.damaged[c.instance], c.since)
		case c.rejected || c.unsealed:
		case c.node == n.ID():
			n.heardOwn(r.Value)
		case c.node == "" && c.former == n.ID():
			if n.lost(c.instance) {
				lost = append(lost, c.instance)
			}
		}
	}
	if !n.leased(now) {
		clear(n.damaged) // what was damaged in the past was repaired in the past
	}
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	for _, k := range lost {
		n.local.Discard(k.group, k.name)
	}
}

// refuseLog is how often records that do not count are logged.
const refuseLog = 10 * time.Second

// refuse notes a record that does not count, whoever wrote it. The caller holds n.mu.
func (n *Node) refuse(r *kgo.Record, err error) {
	refused := n.refused.Add(1)
	if err == nil {
		err = errUnsealed
	}
	n.warned.Do(func() {
		n.log.Warn("a record of the cluster's topic does not count", "offset", r.Offset, "err", err, "so_far", refused)
	})
}

// heardOwn notes that a heartbeat of this node was read. The caller holds n.mu.
func (n *Node) heardOwn(value []byte) {
	p := n.table.nodes[n.ID()]
	if p == nil || value == nil {
		return // the tombstone of a run before this one
	}
	if p.Run != n.run {
		n.rank = max(n.rank, p.Started+1) // whatever the clock said then
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
