package ingest

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"millrace/ingest/cloudevents"
	"millrace/internal/apierr"
	"millrace/pool"
)

// rules apply a route's rules to the events of one request.
type rules struct {
	route *Route
	// shared are the values of the rules that do not look into events, in the order of
	// [Route.sources], nil for the others; picked are all values for the event at hand.
	shared, picked [][]byte
	// arena holds the values that are no views of the body or of the route.
	arena []byte
	// plain events have a record of the event and the key of the request, sharedKey, alone.
	plain     bool
	sharedKey []byte
	// opaque events are no JSON, and no rule looks into them.
	opaque bool
	// dropAll drops all events of the request.
	dropAll bool
	// common are headers of every record, and now is when the request came, in milliseconds, where
	// the route is enriched.
	common []kgo.RecordHeader
	now    int64
	// Of a route with dedupe: the ids of the node, the id of the request, the place of the event at
	// hand in it, which counts from first, and the hashes of the ids of the events that have a record.
	seen         *ids
	requestID    []byte
	index, first int
	noted        []uint64
	// cloud is of a request of CloudEvents.
	cloud cloud
}

// begin takes the values that all events of the request share. They are copied into the arena,
// since the job may outlive the request.
func (r *rules) begin(ctx *fasthttp.RequestCtx, route *Route, arena []byte) error {
	r.route, r.arena = route, arena
	r.dropAll = route.dropsRequest(ctx)
	for s := range route.sources {
		var value []byte
		if s.from != pointer {
			value = s.ofRequest(ctx)
			if why := s.check(value); why != nil {
				return why
			}
		}
		if value != nil && s.from != fixed {
			n := len(r.arena)
			r.arena = append(r.arena, value...)
			value = r.arena[n:len(r.arena):len(r.arena)]
		}
		r.shared = append(r.shared, value)
	}
	return nil
}

// settle notes whether the events are plain, when it is known whether they are CloudEvents.
func (r *rules) settle() {
	if r.plain = r.route.plain && r.cloud.mode == cloudevents.None; r.plain && r.route.key != nil {
		r.sharedKey = r.shared[0]
	}
}

// pick returns all values for an event, in the order of [Route.sources].
func (r *rules) pick(event []byte) ([][]byte, *apierr.Error) {
	if !r.route.perEvent {
		return r.shared, nil
	}
	r.picked = append(r.picked[:0], r.shared...)
	i := 0
	for s := range r.route.sources {
		if s.from == pointer {
			if !r.opaque {
				r.picked[i], r.arena = s.ofEvent(event, r.arena)
			}
			if why := s.check(r.picked[i]); why != nil {
				return nil, why
			}
		}
		i++
	}
	return r.picked, nil
}

// apply adds the event's record to the slab, or returns why there is none.
func (r *rules) apply(slab *pool.Slab, event []byte) (why *apierr.Error) {
	if why = r.cloud.check(event); why != nil {
		return why
	}
	if r.drops(event) {
		return dropped
	}
	values, why := r.pick(event)
	if why != nil {
		return why
	}
	var key []byte
	var at time.Time
	partition := int32(-1)
	if r.route.key != nil {
		key, values = values[0], values[1:]
	}
	if s := r.route.partition; s != nil {
		if partition, why = partitionOf(s, values[0]); why != nil {
			return why
		}
		values = values[1:]
	}
	if s := r.route.timestamp; s != nil {
		if at, why = timeOf(s, values[0]); why != nil {
			return why
		}
		values = values[1:]
	}
	if key == nil {
		if key = r.partitionKey(event); len(key) > maxPicked {
			return apierr.Unprocessable.New("The partitionkey is too long: it may have %d bytes.", maxPicked)
		}
	}
	if r.samples(event, key) {
		return dropped
	}
	made := slab.Add()
	made.Value, made.Key, made.Partition, made.Timestamp = event, key, partition, at
	for _, h := range r.cloud.headers {
		slab.AddHeader(made, h.Key, h.Value)
	}
	for i := range r.route.headers {
		if values[i] != nil {
			slab.AddHeader(made, r.route.headers[i].key, values[i])
		}
	}
	for _, h := range r.common {
		slab.AddHeader(made, h.Key, h.Value)
	}
	r.addSent(slab, made, event)
	r.note(event)
	return nil
}
