package testkit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// readTimeout bounds [ReadTopic]; an acknowledged record can be read at once.
const readTimeout = 30 * time.Second

// ReadTopic returns every record of topic, read straight from b, ordered by
// partition and then offset. There must be exactly n: it waits for records that
// are not there yet, and fails t when some are missing at the deadline or when
// there are more. [RecordCodec] tells a record's compression.
func ReadTopic(t testing.TB, b Broker, topic string, n int) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	records, err := readTopic(ctx, b, topic, n)
	if err != nil {
		t.Fatalf("cannot read topic %s back from %s: %v", topic, b.Name, err)
	}
	slices.SortFunc(records, func(a, b *kgo.Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return records
}

func readTopic(ctx context.Context, b Broker, topic string, n int) ([]*kgo.Record, error) {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(b.Addrs...),
		kgo.DisableClientMetrics(),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.KeepControlRecords(), // they take offsets, which end below counts
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var got []*kgo.Record
	next := map[int32]int64{} // the offset after the last one read, by partition
	for {
		if len(got) >= n {
			done, err := atEnd(ctx, kadm.NewClient(cl), topic, next)
			if err != nil {
				return nil, err
			}
			if done && len(got) == n {
				return got, nil
			}
			if len(got) > n {
				return nil, fmt.Errorf("it holds more than %d records", n)
			}
		}
		poll, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		fetches := cl.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%d of %d records after %v (%v)", len(got), n, readTimeout, fetches.Err0())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				got = append(got, r)
			}
		})
	}
}

// atEnd reports whether every partition of topic was read to its end.
func atEnd(ctx context.Context, adm *kadm.Client, topic string, next map[int32]int64) (bool, error) {
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return false, err
	}
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return false, err
	}
	done := true
	ends.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(topic, end.Partition)
		if end.Err == nil && end.Offset > max(start.Offset, next[end.Partition]) {
			done = false
		}
	})
	return done, nil
}

// RecordCodec names the compression of the batch that r came in, as Kafka's
// compression.type does: none, gzip, snappy, lz4 or zstd.
func RecordCodec(r *kgo.Record) string {
	names := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	if c := int(r.Attrs.CompressionType()); c < len(names) {
		return names[c]
	}
	return fmt.Sprintf("codec %d", r.Attrs.CompressionType())
}
