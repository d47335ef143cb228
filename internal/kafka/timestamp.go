package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// OwnTimestamp is what [kgo.Record.Context] must hold in a record whose
// Timestamp came from the client that sent it.
//
// The library counts the delivery deadline from a batch's first record's
// Timestamp. Without the mark a record of last week is overdue at once, and
// fails with all records buffered for its partition; one of next year is never
// overdue.
var OwnTimestamp = OwnTimestampIn(context.Background())

// OwnTimestampIn is [OwnTimestamp] for records whose context holds more values.
func OwnTimestampIn(ctx context.Context) context.Context {
	return context.WithValue(ctx, ownTimestamp{}, true)
}

// ownTimestamp is the key of the mark: hooks may have put other contexts around it.
type ownTimestamp struct{}

// HasOwnTimestamp reports whether r is marked. Once it was given to the library its Timestamp is
// not the one that its client sent.
func HasOwnTimestamp(r *kgo.Record) bool {
	return r.Context != nil && (r.Context == OwnTimestamp || r.Context.Value(ownTimestamp{}) != nil)
}

// deliveryClock sets the time that the deadline of a marked record counts from to the time at
// which it was buffered. The library calls it under the partition's lock, after the batch has
// taken the timestamp that Kafka will see.
type deliveryClock struct{}

// OnProduceRecordPartitioned implements [kgo.HookProduceRecordPartitioned].
func (deliveryClock) OnProduceRecordPartitioned(r *kgo.Record, _ int32) {
	if HasOwnTimestamp(r) {
		r.Timestamp = time.Now()
	}
}
