package consumer

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
)

// A topic that is deleted and created again under its name is another one to Kafka, which tells
// them apart by id. The client library never switches to the new one: it answers
// UNKNOWN_TOPIC_ID forever. The read that meets this is answered with it, once; the next one
// looks whether there is another topic of the name by now, and if so replaces the session by
// one that reads that. As long as there is none, the session stays what it is, and goes on with
// other topics that it has.

// outlive notes that a topic that the session reads is gone. Offsets of its partitions must not
// be committed any more: Kafka commits by name, and would take them for offsets of the topic
// that comes next. The caller holds the instance's mu.
func (s *session) outlive(topic *kgo.FetchTopic) {
	if _, known := s.outlived[topic.Topic]; known || topic.TopicID == [16]byte{} {
		return // known: a seek since is one in the topic that comes next
	}
	if s.outlived == nil {
		s.outlived = make(map[string][16]byte)
	}
	s.outlived[topic.Topic] = topic.TopicID
	for tp, p := range s.parts {
		p.outlived = p.outlived || tp.Topic == topic.Topic
	}
}

// sought notes that the client has set positions, which are in the topics that
// there are now. The caller holds the instance's mu.
func (s *session) sought(to map[TopicPartition]int64) {
	for tp := range to {
		if p := s.parts[tp]; p != nil {
			p.outlived = false
		}
	}
}

// tell returns what failed, for a read to be answered with it. The caller holds
// the instance's mu.
func (s *session) tell() error {
	err := s.failed
	s.failed = nil
	s.renewable = s.renewable || errors.Is(err, kerr.UnknownTopicID)
	return err
}

// renew goes over to topics that were created again since the last read, which was told that
// they were deleted. The positions in all others stay what they are. Once begun it is finished,
// even past the timeout of the read. The caller holds the lease.
func (i *Instance) renew(ctx, turn context.Context) error {
	i.mu.Lock()
	due := i.session != nil && i.session.renewable
	i.mu.Unlock()
	if !due {
		return nil
	}
	if acquire(turn, i.changing) != nil {
		return nil // so it is beginRead that gives up
	}
	defer func() { <-i.changing }()
	ctx, cancel := i.bound(context.WithoutCancel(ctx), kafkaTimeout)
	defer cancel()
	i.mu.Lock()
	s := i.session
	i.mu.Unlock()
	if s == nil || !s.renewable { // replaced meanwhile
		return nil
	}
	created, err := s.createdAgain(ctx)
	if err != nil || !created {
		return i.explainAny(err)
	}
	next := newSession(i)
	if s.subscribed() {
		next.topics, next.pattern = s.topics, s.pattern
		next.kept, err = i.keep(ctx, s)
	} else {
		err = i.assignAnew(ctx, s, next)
	}
	if err != nil {
		return i.explainAny(err)
	}
	i.m.log.Info("a topic was deleted and created again; a consumer instance goes over to the new one", "group", i.group, "instance", i.opts.Name)
	return i.replaceSession(ctx, next)
}

// explainAny is explain for what may be no error.
func (i *Instance) explainAny(err error) error {
	if err == nil {
		return nil
	}
	return i.explain(err)
}

// createdAgain reports whether Kafka has another topic now in place of one that the
// session has outlived. One that is still the same was only unknown to a broker
// that had yet to hear of it.
func (s *session) createdAgain(ctx context.Context) (bool, error) {
	i := s.inst
	i.mu.Lock()
	names := make([]string, 0, len(s.outlived))
	for topic := range s.outlived {
		names = append(names, topic)
	}
	i.mu.Unlock()
	ids, err := i.cluster().topicIDs(ctx, names)
	if err != nil {
		return false, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	created := false
	for topic, id := range ids {
		if s.outlived[topic] != id {
			created = true
			continue
		}
		delete(s.outlived, topic)
		for tp, p := range s.parts {
			p.outlived = p.outlived && tp.Topic != topic
		}
	}
	s.renewable = len(s.outlived) > 0
	return created, nil
}

// keep returns the positions in partitions of a subscription that are not of a
// topic that was deleted, for the session that takes its place to go on there
// unless something else is committed meanwhile.
func (i *Instance) keep(ctx context.Context, s *session) ([]position, error) {
	i.mu.Lock()
	var tps []TopicPartition
	for tp, p := range s.parts {
		if !p.outlived && p.position() >= 0 {
			tps = append(tps, tp)
		}
	}
	i.mu.Unlock()
	if len(tps) == 0 {
		return nil, nil
	}
	committed, err := i.cluster().committed(ctx, i.group, tps)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.passage != nil && !i.isLost() { // there was word of it, as in beginRead
		s.confirm()
	}
	var kept []position
	for _, tp := range tps {
		p := s.parts[tp]
		if p == nil || p.outlived {
			continue
		}
		at := position{place: place(tp), Offset: p.start, Committed: -1}
		if p.confirmed.offset >= 0 {
			at.Offset, at.Sought = p.confirmed.offset, true
		}
		if o, ok := committed[tp]; ok {
			at.Committed = o.Offset
		}
		if at.Offset >= 0 {
			kept = append(kept, at)
		}
	}
	return kept, nil
}

// assignAnew gives next the partitions of the assignment s, and has those that
// were created again begin like partitions that are assigned for the first time.
func (i *Instance) assignAnew(ctx context.Context, s, next *session) error {
	var fresh []TopicPartition
	i.mu.Lock()
	for tp, p := range s.parts {
		next.parts[tp] = newPartition(tp)
		if p.outlived {
			fresh = append(fresh, tp)
			delete(i.positions, tp)
		}
	}
	i.mu.Unlock()
	return i.startAssigned(ctx, next, fresh)
}

// topicIDs returns Kafka's ids of those of the topics that exist, as it has them now.
func (c *cluster) topicIDs(ctx context.Context, names []string) (map[string][16]byte, error) {
	client, err := c.get()
	if err != nil {
		return nil, err
	}
	topics, err := kadm.NewClient(client).ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("cannot look up topics: %w", err)
	}
	ids := make(map[string][16]byte, len(topics))
	for name, t := range topics {
		if t.Err == nil {
			ids[name] = t.ID
		}
	}
	return ids, nil
}

// deleted is what is told of a topic that is not the one any more that was read.
func deleted(topic string, cause error) error {
	return apierr.TopicNotFound.Wrap(cause, "Topic %s was deleted, and may have been created again. Read again: if it was, the new topic is read from where auto.offset.reset says.", topic)
}
