package tune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
	"millrace/internal/lab"
)

const (
	// stall is how long a read without records may last before it is given up.
	stall = 15 * time.Second
	// rateWindow is the window of a measured rate, and minRateWindow the shortest useful one.
	rateWindow, minRateWindow = 24 * time.Hour, time.Minute
)

// ReadTopic takes the newest n records of a topic, from each partition in proportion to its
// records. It fails when the topic has no record.
func ReadTopic(ctx context.Context, base kafka.Settings, topic string, n int) (*Sample, error) {
	client, err := kafka.NewAdmin(base)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	s := &Sample{Source: "topic " + topic}
	ends, err := s.describe(ctx, kadm.NewClient(client), topic)
	if err != nil {
		return nil, err
	}
	held := int64(0)
	for _, e := range ends {
		held += e.end - e.start
	}
	if held == 0 {
		return nil, fmt.Errorf("cannot measure anything: topic %s is empty", topic)
	}
	if held < int64(n) {
		s.note("the topic holds %s records, fewer than the sample of %s", count(int(held)), count(n))
	}
	if err := s.read(ctx, base, topic, tails(ends, held, n)); err != nil {
		return nil, err
	}
	if len(s.Records) == 0 {
		return nil, fmt.Errorf("cannot measure anything: topic %s has offsets but no records, only marks of transactions or gaps of compaction", topic)
	}
	return s, nil
}

// extent is the range of a partition: the offsets from start to before end. first is the offset
// of the first record within the window of the rate, and firstTime its time in milliseconds, -1
// when there is none.
type extent struct {
	partition               int32
	start, end              int64
	first, firstTime, quota int64
	bytes                   int // of the sample, while it is read
	maxBytes                int
}

// describe determines the topic's extents, its replicas and its rate.
func (s *Sample) describe(ctx context.Context, adm *kadm.Client, topic string) ([]*extent, error) {
	topics, err := adm.ListTopics(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("cannot look up topic %s: %w", topic, err)
	}
	detail := topics[topic]
	if detail.Err != nil {
		return nil, fmt.Errorf("cannot look up topic %s: %w", topic, detail.Err)
	}
	s.Replicas = detail.Partitions.NumReplicas()
	now := time.Now()
	held, err1 := lab.Extent(ctx, adm, topic)
	firsts, err2 := adm.ListOffsetsAfterMilli(ctx, now.Add(-rateWindow).UnixMilli(), topic)
	if err := errors.Join(err1, err2, firsts.Error()); err != nil {
		return nil, fmt.Errorf("cannot look up the offsets of topic %s: %w", topic, err)
	}
	var all []*extent
	for _, h := range held {
		first, _ := firsts.Lookup(topic, h.Partition)
		all = append(all, &extent{partition: h.Partition, start: h.From, end: h.To, first: first.Offset, firstTime: first.Timestamp})
	}
	slices.SortFunc(all, func(a, b *extent) int { return cmp.Compare(a.partition, b.partition) })
	s.measureRate(all, now)
	return all, nil
}

// measureRate takes the average of the last day, or of the topic's whole life
// if that is shorter.
func (s *Sample) measureRate(all []*extent, now time.Time) {
	records, window, earliest := int64(0), rateWindow, now
	young := true
	for _, e := range all {
		records += e.end - e.first
		if e.firstTime >= 0 && e.first < e.end {
			earliest = earlier(earliest, time.UnixMilli(e.firstTime))
		}
		young = young && e.first <= e.start
	}
	if young {
		window = now.Sub(earliest)
	}
	if records <= 0 || window < minRateWindow {
		return
	}
	s.Rate = float64(records) / window.Seconds()
	s.RateFrom = fmt.Sprintf("measured over the last %s", window.Round(time.Minute))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// tails gives each partition its share of n records and of the bytes.
func tails(all []*extent, held int64, n int) []*extent {
	var read []*extent
	for _, e := range all {
		has := e.end - e.start
		if has == 0 {
			continue
		}
		e.quota = min(has, max(1, int64(float64(n)*float64(has)/float64(held))))
		e.maxBytes = int(maxSampleBytes * float64(has) / float64(held))
		read = append(read, e)
	}
	return read
}

// read fetches the tails and keeps their records, ordered by partition.
func (s *Sample) read(ctx context.Context, base kafka.Settings, topic string, tails []*extent) error {
	opts, err := kafka.ConsumerOpts(base, kafka.DefaultConsumer())
	if err != nil {
		return err
	}
	var spans []lab.Span
	open := map[int32]*extent{}
	for _, e := range tails {
		spans = append(spans, lab.Span{Topic: topic, Partition: e.partition, From: e.end - e.quota, To: e.end})
		open[e.partition] = e
	}
	seen := &batchCounter{codecs: map[string]int{}}
	back := lab.ReadBack{
		Dial:     func(more ...kgo.Opt) (*kgo.Client, error) { return kgo.NewClient(append(opts, more...)...) },
		Options:  []kgo.Opt{kgo.WithHooks(seen)},
		Patience: stall,
	}
	full := false
	err = back.Read(ctx, spans, func(r *kgo.Record) bool {
		more := s.take(r, open[r.Partition])
		full = full || !more && r.Offset+1 < open[r.Partition].end
		return more
	})
	switch {
	case errors.Is(err, lab.ErrStalled) && len(s.Records) > 0:
		s.note("after %v without a record the sample was taken to be complete", stall)
	case err != nil:
		return fmt.Errorf("cannot read topic %s: %w", topic, err)
	}
	if full {
		s.note("the sample is the first %d MB of what was asked for, %s records", maxSampleBytes>>20, count(len(s.Records)))
	}
	slices.SortStableFunc(s.Records, func(a, b *kgo.Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	s.Stored = seen.stored()
	return nil
}

// take keeps r, and reports whether its partition has not had its share of bytes.
func (s *Sample) take(r *kgo.Record, e *extent) (more bool) {
	e.bytes += size(r)
	s.Records = append(s.Records, r)
	return e.bytes < e.maxBytes
}

// batchCounter is a hook that sees every batch that is read.
type batchCounter struct {
	mu                                     sync.Mutex
	batches, records                       int
	compressed, uncompressed, squaredBytes float64
	codecs                                 map[string]int
}

// OnFetchBatchRead implements [kgo.HookFetchBatchRead].
func (c *batchCounter) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches++
	c.records += m.NumRecords
	c.compressed += float64(m.CompressedBytes)
	c.uncompressed += float64(m.UncompressedBytes)
	c.squaredBytes += float64(m.UncompressedBytes) * float64(m.UncompressedBytes)
	if int(m.CompressionType) < len(kafka.Codecs) {
		c.codecs[string(kafka.Codecs[m.CompressionType])]++
	}
}

// stored sums up; nil when no batch was seen.
func (c *batchCounter) stored() *Stored {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batches == 0 || c.compressed == 0 {
		return nil
	}
	return &Stored{
		Batches: c.batches,
		Records: float64(c.records) / float64(c.batches),
		Bytes:   int(c.squaredBytes / c.uncompressed),
		Ratio:   c.uncompressed / c.compressed,
		Codecs:  c.codecs,
	}
}
