package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxRoutes bounds the topics whose leaders a [Reader] caches.
	maxRoutes = 10_000
	// maxRouteAge is how long a [Reader] with a rack uses a cached route. Java asks leaders for
	// the nearest replica as often (metadata.max.age.ms).
	maxRouteAge = 5 * time.Minute
)

// route is the cached location of a topic's partitions. It is immutable except for near; a route
// that proves wrong is looked up again.
//
// It is not taken from the view of package metadata, which has leaders too. That is read for all
// topics at a limited rate, and a fetch whose leader moved must look again at once. The view has no
// ids of topics and no replicas that leaders name. And the client of the [Reader] learns the
// addresses of the brokers from its own request.
type route struct {
	id      [16]byte // Kafka's, zero before it had any
	leaders []int32  // by partition, -1 for none
	since   time.Time
	// near has for each partition the replica that its leader named: one of the constants below,
	// or nearest plus the broker to ask.
	near []atomic.Int32
}

const (
	notAsked   = iota // the leader may name a replica
	leaderOnly        // the replica that it named has failed
	nearest
)

// source returns the broker to fetch the partition from, and the rack to send: a leader that gets
// no rack names no replica, and answers itself.
func (r *route) source(partition int32, rack string) (broker int32, of string) {
	switch near := r.near[partition].Load(); {
	case rack == "" || near == leaderOnly:
		return r.leaders[partition], ""
	case near >= nearest:
		return near - nearest, rack
	}
	return r.leaders[partition], rack
}

// named records the replica that the leader named. One that has failed is not used again with
// this route.
func (r *route) named(partition, broker int32) {
	r.near[partition].CompareAndSwap(notAsked, nearest+broker)
}

// refused records that the replica has failed.
func (r *route) refused(partition int32) { r.near[partition].Store(leaderOnly) }

// route returns the route of the topic. A partition that it lacks may have been added since, so
// the topic is looked up again.
func (r *Reader) route(ctx context.Context, at PartitionRead, fresh bool) (*route, error) {
	r.mu.Lock()
	known, ok := r.topics.Get(at.Topic)
	r.mu.Unlock()
	if ok && !fresh && int(at.Partition) < len(known.leaders) && (r.rack == "" || time.Since(known.since) < maxRouteAge) {
		return known, nil
	}
	found, err := r.locate(ctx, at.Topic)
	if err != nil {
		r.mu.Lock()
		r.topics.Delete(at.Topic)
		r.mu.Unlock()
		return nil, err
	}
	r.mu.Lock()
	r.topics.Put(at.Topic, found)
	r.mu.Unlock()
	return found, nil
}

// check returns an error if the route lacks the requested partition. A topic that was recreated
// may have fewer partitions than the requested one; ErrRecreated is the error then.
func (r *route) check(at PartitionRead) error {
	switch {
	case at.TopicID != [16]byte{} && at.TopicID != r.id:
		return final{ErrRecreated}
	case int(at.Partition) >= len(r.leaders):
		return final{ErrNoPartition}
	}
	return nil
}

// Topic is the metadata that a [Reader] has of a topic.
type Topic struct {
	// ID is Kafka's, which a topic that is deleted and created again does not keep; zero with
	// brokers that give none.
	ID         [16]byte
	Partitions int
}

// Topic looks a topic up. Errors: those of Kafka, a topic that does not exist among them, and
// those of the connection.
func (r *Reader) Topic(ctx context.Context, name string) (Topic, error) {
	found, err := r.route(ctx, PartitionRead{Topic: name}, true)
	if err != nil {
		return Topic{}, err
	}
	return Topic{ID: found.id, Partitions: len(found.leaders)}, nil
}

// locate asks any broker about the topic.
func (r *Reader) locate(ctx context.Context, name string) (*route, error) {
	if r.reserved.Has(name) { // as if Kafka had said it
		return nil, final{fmt.Errorf("cannot read topic %s: %w", name, kerr.TopicAuthorizationFailed)}
	}
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(name)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, t)
	got, err := shared(ctx, func(ctx context.Context) (o reply) {
		o.resp, o.err = r.client.Request(ctx, req) // the client learns the brokers' addresses from it
		return o
	})
	if err == nil {
		err = got.err
	}
	if lost := r.contact.Lost(); err != nil && lost != nil {
		err = lost // it tells more than that time is up
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, err)
	}
	answer := got.resp.(*kmsg.MetadataResponse)
	if len(answer.Topics) != 1 {
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, kerr.UnknownServerError)
	}
	topic := &answer.Topics[0]
	switch err := kerr.ErrorForCode(topic.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return nil, final{fmt.Errorf("cannot look up topic %s: %w", name, err)}
	case err != nil:
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, err)
	case len(topic.Partitions) == 0: // it is being created
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, kerr.LeaderNotAvailable)
	}
	found := &route{id: topic.TopicID, since: time.Now()}
	for _, p := range topic.Partitions {
		if missing := int(p.Partition) + 1 - len(found.leaders); missing > 0 {
			found.leaders = append(found.leaders, slices.Repeat([]int32{-1}, missing)...)
		}
		if p.Partition >= 0 {
			found.leaders[p.Partition] = p.Leader
		}
	}
	found.near = make([]atomic.Int32, len(found.leaders))
	return found, nil
}
