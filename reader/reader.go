package reader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/schema"
)

// TopicPartition names one partition of a topic.
type TopicPartition = kafka.TopicPartition

// ReadCommitted is the isolation level that leaves out open and aborted transactions.
const ReadCommitted = "read_committed"

// Settings of reads without an instance.
type Settings struct {
	// IsolationLevel is "read_uncommitted" or "read_committed".
	IsolationLevel string
	// RequestTimeout is how long a read waits for records, at most and by default.
	RequestTimeout time.Duration
	// MaxBytes bounds keys and values of one response, and the response itself, because few bytes
	// of a record with a schema can be a long text. A record that is larger is returned alone.
	MaxBytes int
}

// Deps are the parts that a reader uses. It borrows them.
type Deps struct {
	// Schemas has the schemas that records were written with. Without a registry it is nil, and
	// no record can be read in a format that needs one.
	Schemas *schema.Registry
	// Healthy, if not nil, returns the error that no broker can be reached. It must not block.
	Healthy func() error
	// Read, if not nil, is called with what a read returns of one topic. It must not block.
	Read func(Returned)
}

// Returned describes records of one topic that a read returns to its client.
type Returned struct {
	Format codec.Format
	Topic  string
	// Records is their number, Bytes that of their keys and values.
	Records, Bytes int
	// First and Last are the timestamps of the first and the last of them, in the order of the log.
	First, Last time.Time
	// Asked is when the client was ready for them: when it sent its request, or had taken what a
	// stream sent before. Ready is when they were ready to be sent.
	Asked, Ready time.Time
}

// Add adds a record.
func (r *Returned) Add(record *kgo.Record) {
	if r.Records == 0 {
		r.First = record.Timestamp
	}
	r.Last = record.Timestamp
	r.Records++
	r.Bytes += Size(record)
}

// Reader reads records from any offset of any topic, without a consumer instance and without a
// group. All methods may be called from any goroutine.
type Reader struct {
	base     kafka.Settings
	conf     kafka.Consumer
	settings Settings
	deps     Deps

	life context.Context // ends when Close gives up waiting
	end  context.CancelFunc
	// unhurried ends with the call of Drain, after which no read waits.
	unhurried context.Context
	hurry     context.CancelFunc
	tailing   sync.WaitGroup // the goroutines of tails
	skipped   atomic.Uint64  // records that could not be decoded

	mu     sync.Mutex
	fetch  *kafka.Reader     // nil until first used
	tails  map[tailKey]*tail // of the topics that are streamed
	closed bool              // no part is built any more
}

// RequestTimeout returns how long a read waits at most.
func (r *Reader) RequestTimeout() time.Duration { return r.settings.RequestTimeout }

// New returns a reader. Nothing connects to Kafka before the first read.
func New(base kafka.Settings, c kafka.Consumer, s Settings, d Deps) *Reader {
	r := &Reader{base: base, conf: c, settings: s, deps: d, tails: make(map[tailKey]*tail)}
	r.life, r.end = context.WithCancel(context.Background())
	r.unhurried, r.hurry = context.WithCancel(r.life)
	return r
}

// Drain makes waiting reads return what they have, and streams end.
func (r *Reader) Drain() { r.hurry() }

// Close ends all reads and closes the connections. It waits for streams to return, but no longer
// than ctx: the stream of a client that does not read ends when its connection does.
func (r *Reader) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	fetch := r.fetch
	r.mu.Unlock()
	r.end()
	done := make(chan struct{})
	go func() { r.tailing.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("cannot end all streams: %w", ctx.Err())
	}
	if fetch != nil {
		fetch.Close()
	}
	return err
}

// Skipped returns how many records of streams were skipped because they could not be decoded.
func (r *Reader) Skipped() uint64 { return r.skipped.Load() }

// fetcher returns the fetching client, whose connections all reads share.
func (r *Reader) fetcher() (*kafka.Reader, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, apierr.From(kgo.ErrClientClosed)
	}
	if r.fetch == nil {
		fetch, err := kafka.NewReader(r.base, r.conf)
		if err != nil {
			return nil, apierr.From(err)
		}
		r.fetch = fetch
	}
	return r.fetch, nil
}

func (r *Reader) committed() bool { return r.settings.IsolationLevel == ReadCommitted }

// admit refuses a reserved topic (kafka.Reserved), which nobody may read.
func (r *Reader) admit(topic string) error {
	if r.base.Reserved.Has(topic) {
		return apierr.Reserved(topic)
	}
	return nil
}

// checkFormat refuses what there is no registry for.
func (r *Reader) checkFormat(f codec.Format) error {
	if f.NeedsSchema() && r.deps.Schemas == nil {
		return NoRegistry(f)
	}
	return nil
}

// NoRegistry returns the error of a read in a format that needs a schema registry where none is
// configured.
func NoRegistry(f codec.Format) error {
	return apierr.Unprocessable.New("The format %s needs a schema registry, which this node does not have (schema.registry.url). Use json or binary.", f)
}

// notBelow returns an error if the offset is below the first one, or if that cannot be
// determined.
func notBelow(ctx context.Context, fetch *kafka.Reader, tp TopicPartition, offset int64) error {
	first, err := fetch.OffsetsAt(ctx, false, map[TopicPartition]int64{tp: kafka.StartOfLog})
	if err != nil || offset >= first[tp] {
		return err
	}
	end, err := fetch.OffsetsAt(ctx, false, map[TopicPartition]int64{tp: kafka.EndOfLog})
	if err != nil {
		return err
	}
	return apierr.OffsetNotFound.New("Offset %d is below the start of partition %d of topic %s, which has the offsets from %d to before %d.",
		offset, tp.Partition, tp.Topic, first[tp], end[tp])
}

// away returns why Kafka cannot be reached; nil if it can, as far as is known.
func (r *Reader) away() error {
	if r.deps.Healthy == nil {
		return nil
	}
	return r.deps.Healthy()
}

// explain is Explain for a read that may have failed because Kafka cannot be reached, whatever
// the error is then: mostly a time-out.
func (r *Reader) explain(tp TopicPartition, err error) *apierr.Error {
	if away := r.away(); away != nil && !isKafkas(err) {
		return apierr.From(away)
	}
	return Explain(tp, err)
}

// isKafkas reports whether Kafka itself has answered with the error, or a read has found it.
func isKafkas(err error) bool {
	var code *kerr.Error
	var own *apierr.Error
	return errors.As(err, &code) || errors.As(err, &own) || errors.Is(err, kafka.ErrNoPartition)
}

// Explain turns the error of a read of a partition, without an instance, into the one for the
// client.
func Explain(tp TopicPartition, err error) *apierr.Error {
	var known *apierr.Error
	var huge *kgo.ErrDecompressTooLarge
	var of *kafka.PartitionError
	if errors.As(err, &of) {
		tp = of.TopicPartition
	}
	switch {
	case errors.As(err, &known): // though its cause may be one of those below
		return known
	case errors.Is(err, kafka.ErrNoPartition):
		return apierr.PartitionNotFound.Wrap(err, "Topic %s has no partition %d.", tp.Topic, tp.Partition)
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return apierr.TopicNotFound.Wrap(err, "Topic %s does not exist.", tp.Topic)
	case errors.As(err, &huge):
		return apierr.Undecodable.Wrap(err, "The records from offset %d of partition %d of topic %s decompress to more than this node holds. Read on from offset %d.", huge.Offset, tp.Partition, tp.Topic, huge.NextOffset)
	}
	api := apierr.From(fmt.Errorf("cannot read %s: %w", tp, err))
	if api.Kind == apierr.Internal { // not a fault of this node: the library cannot parse the response
		return apierr.KafkaError.Wrap(err, "The records of partition %d of topic %s cannot be fetched.", tp.Partition, tp.Topic)
	}
	return api
}
