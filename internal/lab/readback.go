package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Span is the offsets of a partition from From to before To.
type Span struct {
	Topic     string
	Partition int32
	From, To  int64
}

// Len returns how many offsets the span has. Not every offset has a record: marks of
// transactions take some, and compaction leaves gaps.
func (s Span) Len() int64 { return max(s.To-s.From, 0) }

// Extent looks up what the partitions of topics hold now.
func Extent(ctx context.Context, admin *kadm.Client, topics ...string) ([]Span, error) {
	starts, err1 := admin.ListStartOffsets(ctx, topics...)
	ends, err2 := admin.ListEndOffsets(ctx, topics...)
	if err := errors.Join(err1, err2, starts.Error(), ends.Error()); err != nil {
		return nil, fmt.Errorf("cannot list the offsets of the topics: %w", err)
	}
	var spans []Span
	ends.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		spans = append(spans, Span{end.Topic, end.Partition, start.Offset, end.Offset})
	})
	return spans, nil
}

// leaderWait is how long AwaitExtent waits before it looks again.
const leaderWait = 100 * time.Millisecond

// AwaitExtent is Extent of topics whose partitions may have no leader yet, or not again: it
// looks until all have one, or ctx ends.
func AwaitExtent(ctx context.Context, admin *kadm.Client, topics ...string) ([]Span, error) {
	for {
		spans, err := Extent(ctx, admin, topics...)
		if err == nil {
			return spans, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(leaderWait):
		}
	}
}

// ErrStalled is the error of a [ReadBack] that got no record for its patience.
var ErrStalled = errors.New("no record came")

// ReadBack reads spans of partitions, straight from the brokers.
type ReadBack struct {
	// Dial builds the client that reads, with more options than its own.
	Dial func(...kgo.Opt) (*kgo.Client, error)
	// Options are further ones, such as hooks.
	Options []kgo.Opt
	// Patience ends a read that brings no record for as long.
	Patience time.Duration
}

// Read hands every record of the spans to take, those of a partition by rising offset,
// control records left out. It ends when each partition was read to the end of its
// span, or take returned false for it.
func (b ReadBack) Read(ctx context.Context, spans []Span, take func(*kgo.Record) bool) error {
	from := map[string]map[int32]kgo.Offset{}
	left := map[partition]int64{} // the offset to read up to
	for _, s := range spans {
		if s.Len() == 0 {
			continue
		}
		if from[s.Topic] == nil {
			from[s.Topic] = map[int32]kgo.Offset{}
		}
		from[s.Topic][s.Partition] = kgo.NewOffset().At(s.From)
		left[partition{s.Topic, s.Partition}] = s.To
	}
	if len(left) == 0 {
		return nil
	}
	client, err := b.Dial(append([]kgo.Opt{
		kgo.ConsumePartitions(from),
		kgo.FetchMaxWait(250 * time.Millisecond),
		kgo.KeepControlRecords(), // the last offset of a span may be one
	}, b.Options...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	for len(left) > 0 {
		fetches, err := b.poll(ctx, client)
		if err != nil {
			return fmt.Errorf("cannot read the topics back: %w, with %d partitions not at their end", err, len(left))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at := partition{r.Topic, r.Partition}
			end, wanted := left[at]
			if !wanted {
				return // it came after the end was looked up
			}
			more := r.Offset+1 < end
			if r.Offset < end && !r.Attrs.IsControl() {
				more = take(r) && more
			}
			if !more {
				delete(left, at)
			}
		})
	}
	return nil
}

type partition struct {
	topic  string
	number int32
}

// poll returns what comes next, or why nothing does.
func (b ReadBack) poll(ctx context.Context, client *kgo.Client) (kgo.Fetches, error) {
	bounded, cancel := context.WithTimeout(ctx, b.Patience)
	defer cancel()
	fetches := client.PollFetches(bounded)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if errs := fetches.Errors(); len(errs) > 0 {
		first := errs[0]
		if errors.Is(first.Err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("%w for %v", ErrStalled, b.Patience)
		}
		return nil, fmt.Errorf("topic %s: %w", first.Topic, first.Err)
	}
	return fetches, nil
}

// Content is what is compared of the records that were acknowledged and those that
// Kafka holds: their number, and the sum of the hashes of their values, which does not
// depend on their order. A record that was lost while another was doubled, or one
// with another value, makes another sum.
type Content struct {
	Records uint64 `json:"records"`
	// Sum is 0 where the bytes that Kafka should hold are not known.
	Sum uint64 `json:"sum,omitempty"`
}

// Add counts records whose values have that sum.
func (c *Content) Add(records int, sum uint64) {
	c.Records += uint64(records)
	c.Sum += sum
}

// SumOf returns the sum of one value.
func SumOf(value []byte) uint64 { return xxhash.Sum64(value) }
