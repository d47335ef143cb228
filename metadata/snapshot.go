package metadata

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec/json"
)

// Snapshot is the state of the whole cluster as the brokers reported it at one time. It is
// immutable.
type Snapshot struct {
	// Taken is when the brokers were asked.
	Taken time.Time
	// ClusterID is empty when the brokers are too old to have one.
	ClusterID string
	// Controller is the id of the controller, -1 for none.
	Controller int32
	// Brokers are sorted by id, Topics by name.
	Brokers []Broker
	Topics  []*Topic

	byName  map[string]*Topic
	brokers *Answer
}

// Broker is one broker of the cluster.
type Broker struct {
	ID   int32
	Host string
	Port int32
	Rack string // empty: none
}

// Topic is a topic as it was when the brokers were asked. Its exported fields are immutable.
type Topic struct {
	Name string
	// Internal topics are Kafka's own.
	Internal bool
	// Partitions has the partition p at index p.
	Partitions []Partition

	// partitions are the answers about the partitions, whole the one about the topic; each is
	// encoded for its first query.
	partitions atomic.Pointer[partitionAnswers]
	whole      atomic.Pointer[wholeAnswer]
	// doubted is when a leader was last found to be another broker, as nanoseconds since
	// Cache.started; 0: never. A topic that a refresh finds changed is another Topic.
	doubted atomic.Int64
}

// Partition is one partition of a topic.
type Partition struct {
	// Leader is a broker's id, -1 while the partition has no leader.
	Leader int32
	// Replicas are the ids of the brokers that should hold it, the preferred
	// leader first; ISR are those that are in sync.
	Replicas, ISR []int32
	// Err is the partition's error as Kafka reports it, or nil.
	Err error
}

// newSnapshot takes resp, which must not be used afterwards. It shares the unchanged parts with
// last, the snapshot before, answers included.
func newSnapshot(resp *kmsg.MetadataResponse, taken time.Time, last *Snapshot) *Snapshot {
	s := &Snapshot{
		Taken:      taken,
		Controller: resp.ControllerID,
		Brokers:    make([]Broker, 0, len(resp.Brokers)),
		Topics:     make([]*Topic, 0, len(resp.Topics)),
		byName:     make(map[string]*Topic, len(resp.Topics)),
	}
	if resp.ClusterID != nil {
		s.ClusterID = *resp.ClusterID
	}
	for _, b := range resp.Brokers {
		broker := Broker{ID: b.NodeID, Host: b.Host, Port: b.Port}
		if b.Rack != nil {
			broker.Rack = *b.Rack
		}
		s.Brokers = append(s.Brokers, broker)
	}
	slices.SortFunc(s.Brokers, func(a, b Broker) int { return cmp.Compare(a.ID, b.ID) })
	for i := range resp.Topics {
		// A topic that cannot be described is looked up by name when a reader wants it, and that
		// look-up returns the reason.
		if t, err := newTopic(&resp.Topics[i]); err == nil {
			if was := last.byName[t.Name]; was != nil && was.equal(t) {
				t = was
			}
			s.Topics = append(s.Topics, t)
			s.byName[t.Name] = t
		}
	}
	slices.SortFunc(s.Topics, func(a, b *Topic) int { return cmp.Compare(a.Name, b.Name) })
	s.brokers = last.brokers
	if s.brokers == nil || !slices.Equal(s.Brokers, last.Brokers) {
		s.brokers = newAnswer(appendBrokerIDs(nil, s.Brokers))
	}
	return s
}

// equal reports whether two descriptions of a topic are equal.
func (t *Topic) equal(o *Topic) bool {
	return t.Internal == o.Internal && slices.EqualFunc(t.Partitions, o.Partitions, func(a, b Partition) bool {
		return a.Leader == b.Leader && slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.ISR, b.ISR) && a.Err == b.Err
	})
}

// newTopic takes Kafka's description of one topic. A topic without partitions is being created.
func newTopic(t *kmsg.MetadataResponseTopic) (*Topic, error) {
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return nil, err
	}
	if t.Topic == nil || len(t.Partitions) == 0 {
		return nil, kerr.LeaderNotAvailable
	}
	last := slices.MaxFunc(t.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int {
		return cmp.Compare(a.Partition, b.Partition)
	}).Partition
	// Kafka numbers partitions without gaps and describes all of them. If one is ever missing, it
	// is added without a leader.
	partitions := make([]Partition, last+1)
	for i := range partitions {
		partitions[i].Leader = -1
	}
	for _, p := range t.Partitions {
		if p.Partition < 0 {
			return nil, fmt.Errorf("a topic has partition %d", p.Partition)
		}
		partitions[p.Partition] = Partition{
			Leader: p.Leader, Replicas: p.Replicas, ISR: p.ISR, Err: kerr.ErrorForCode(p.ErrorCode),
		}
	}
	return &Topic{Name: *t.Topic, Internal: t.IsInternal, Partitions: partitions}, nil
}

// appendTopicNames appends ["a","b"].
func appendTopicNames(dst []byte, topics []*Topic) []byte {
	dst = append(dst, '[')
	for i, t := range topics {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = json.AppendString(dst, t.Name)
	}
	return append(dst, ']')
}

// appendBrokerIDs appends {"brokers":[1,2]}.
func appendBrokerIDs(dst []byte, brokers []Broker) []byte {
	dst = append(dst, `{"brokers":[`...)
	for i, b := range brokers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(b.ID), 10)
	}
	return append(dst, `]}`...)
}

// appendPartition appends
// {"partition":0,"leader":1,"replicas":[{"broker":1,"leader":true,"in_sync":true}]}.
func (t *Topic) appendPartition(dst []byte, i int) []byte {
	p := &t.Partitions[i]
	dst = append(dst, `{"partition":`...)
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, `,"leader":`...)
	dst = strconv.AppendInt(dst, int64(p.Leader), 10)
	dst = append(dst, `,"replicas":[`...)
	for i, id := range p.Replicas {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"broker":`...)
		dst = strconv.AppendInt(dst, int64(id), 10)
		dst = append(dst, `,"leader":`...)
		dst = strconv.AppendBool(dst, id == p.Leader)
		dst = append(dst, `,"in_sync":`...)
		dst = strconv.AppendBool(dst, slices.Contains(p.ISR, id))
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}
