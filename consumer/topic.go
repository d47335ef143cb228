package consumer

import (
	"context"

	"millrace/internal/apierr"
)

// keepAliveBytes is the max_bytes of a v1 read that wants no records. Clients of
// v1 have nothing else to keep an idle instance with, and do it with this, whose
// answer they throw away (kafka-rest-client of PyPI does, from a thread of its
// own): the proxies of that time answered nothing that did not fit. Here a record
// too large is answered alone, so such a client would lose it with its next commit.
const keepAliveBytes = 1

// AppendTopic is [Instance.AppendRecords] as v1 has it: the first call
// subscribes the instance to the topic, and later ones must name the same. With
// MaxBytes of 1 the call takes no records and confirms none; it counts as use.
// More errors: [apierr.OtherTopic], [apierr.TopicNotFound], and
// [apierr.IllegalState] where there is an assignment.
func (i *Instance) AppendTopic(ctx context.Context, dst []byte, topic string, o ReadOptions, d Delivery) ([]byte, error) {
	if err := i.subscribeOnce(ctx, topic); err != nil {
		return dst, err
	}
	if o.MaxBytes == keepAliveBytes {
		return append(dst, "[]"...), nil
	}
	return i.AppendRecords(ctx, dst, o, d)
}

// subscribeOnce subscribes to the topic unless the instance has a subscription,
// which must then be just that.
func (i *Instance) subscribeOnce(ctx context.Context, topic string) error {
	if err := i.m.admitTopic(topic); err != nil {
		return err
	}
	if err := i.beginCall(); err != nil {
		return err
	}
	defer i.endCall()
	if done, err := i.hasOnly(topic); done {
		return err
	}
	ctx, cancel := i.bound(ctx, kafkaTimeout)
	defer cancel()
	if err := i.cluster().exists(ctx, topic); err != nil {
		return i.explain(err)
	}
	if err := acquire(ctx, i.changing); err != nil {
		return i.explain(err)
	}
	defer func() { <-i.changing }()
	if done, err := i.hasOnly(topic); done { // another call was faster
		return err
	}
	next := newSession(i)
	next.topics = []string{topic}
	return i.replaceSession(ctx, next)
}

// hasOnly reports whether the instance has a session, and then returns an error
// unless that is the subscription to just this topic.
func (i *Instance) hasOnly(topic string) (done bool, _ error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.session
	switch {
	case s == nil:
		return false, nil
	case !s.subscribed():
		return true, apierr.IllegalState.New("Partitions are assigned to this consumer instance by hand, so it cannot subscribe to topic %s.", topic)
	case s.pattern != "" || len(s.topics) != 1 || s.topics[0] != topic:
		return true, apierr.OtherTopic.New("This consumer instance is subscribed to another topic than %s. An instance reads one topic in v1; create another one.", topic)
	}
	return true, nil
}

// Progress is how far an instance has come in a partition, as v1 tells it.
type Progress struct {
	TopicPartition
	// Consumed is the offset of the last record that was answered, Committed
	// that of the last record that counts as processed; -1: none.
	Consumed, Committed int64
}

// Progress returns how far the instance has come in each partition of which
// it has answered records, sorted.
func (i *Instance) Progress() []Progress {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []Progress
	if i.session == nil {
		return nil
	}
	for _, tp := range i.session.sorted() {
		p := i.session.parts[tp]
		if p.returned.offset < 0 {
			continue
		}
		all = append(all, Progress{tp, p.returned.offset - 1, max(p.committed.offset, 0) - 1})
	}
	return all
}
