package kafka

import (
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Defaults for the fields of [Producer], as Kafka's Java producer has them.
const (
	defaultBatchBytes   = 16 << 10
	defaultRequestBytes = 1 << 20
	defaultBufferBytes  = 32 << 20
	defaultInFlight     = 5
	defaultDelivery     = 2 * time.Minute
	minBatchBytes       = 512 // the library takes no less
)

// DefaultProducer returns the defaults of Kafka's Java producer, except that the client library
// does not linger; see [Producer.Linger].
func DefaultProducer() Producer {
	return Producer{
		Acks:            -1,
		Idempotent:      true,
		MaxInFlight:     defaultInFlight,
		BatchBytes:      defaultBatchBytes,
		MaxRequestBytes: defaultRequestBytes,
		Compression:     None,
		BufferBytes:     defaultBufferBytes,
		DeliveryTimeout: defaultDelivery,
		RequestTimeout:  defaultRequestTimeout,
		SilenceLimit:    DefaultSilence,
		Retries:         math.MaxInt32,
	}
}

// NewProducer builds the client that all produce requests share. Records must have their
// partition set, or [AnyPartition]. The caller closes the client. Sizes and times in p that are
// zero mean their defaults; zero Acks, Idempotent, Linger and Retries are values: start from
// [DefaultProducer]. opts come last and win; with kgo.WithCompressor a [Compressor] that the
// caller holds replaces Compression and Level.
func NewProducer(base Settings, p Producer, opts ...kgo.Opt) (*kgo.Client, error) {
	all, err := baseOpts(base, p.ClientID)
	if err != nil {
		return nil, err
	}
	own, err := producerOpts(p)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(append(all, own...), opts...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot build the Kafka producer: %w", err)
	}
	return client, nil
}

func producerOpts(p Producer) ([]kgo.Opt, error) {
	compressor, err := NewCompressor(p.Compression, p.Level)
	if err != nil {
		return nil, fmt.Errorf("cannot build the Kafka producer: %w", err)
	}
	delivery, err := deliveryOpts(p)
	if err != nil {
		return nil, err
	}
	batchBytes := max(orElse(p.BatchBytes, defaultBatchBytes), orElse(p.MaxRequestBytes, defaultRequestBytes), minBatchBytes)
	if batchBytes > maxAnswerBytes {
		return nil, fmt.Errorf("cannot build the Kafka producer: batches of %d bytes are more than the %d that brokers take in one request", batchBytes, maxAnswerBytes)
	}
	buffer := orElse(p.BufferBytes, defaultBufferBytes)
	return append(
		delivery,
		kgo.WithCompressor(compressor),
		kgo.RecordPartitioner(Partitioner(orElse(p.BatchBytes, defaultBatchBytes))),
		// 0 in a node: package batch alone decides when records are flushed, because it
		// knows what is in flight.
		kgo.ProducerLinger(p.Linger),
		// One limit in the library for two settings of Java, see [Producer.BatchBytes].
		kgo.ProducerBatchMaxBytes(int32(batchBytes)),
		// A request carries batches of many partitions; this is Kafka's
		// own bound for it (socket.request.max.bytes). Java's
		// max.request.size of 1 MiB would let one busy partition fill
		// every request.
		kgo.BrokerMaxWriteBytes(maxAnswerBytes),
		// Produce blocks the calling connection when one of these is reached. It must not:
		// package batch admits by bytes and refuses at once. The count is therefore unlimited,
		// and the bytes (which include headers, as batch's may not) are a safety net far above.
		kgo.MaxBufferedRecords(math.MaxInt),
		kgo.MaxBufferedBytes(int(min(buffer, math.MaxInt/4)*2+maxAnswerBytes)),
		// After a leader moved, records wait no longer than this for new metadata. The library's
		// 5 s would be the longest part of a fail-over.
		kgo.MetadataMinAge(250*time.Millisecond),
		// Package metadata has seen the topic before a record gets here. A broker that does not
		// know it yet lags by a moment; about 5 s of "unknown topic" mean that it was deleted.
		kgo.UnknownTopicRetries(20),
	), nil
}

// deliveryOpts define when a record is acked, and when it is given up.
func deliveryOpts(p Producer) ([]kgo.Opt, error) {
	retries := p.Retries
	if retries < 0 || retries >= math.MaxInt32 {
		retries = math.MaxInt // Java's maximum means "until the delivery deadline"
	}
	opts := []kgo.Opt{
		kgo.RecordRetries(retries),
		kgo.WithHooks(deliveryClock{}),
		// Without this deadline the library holds a record forever.
		kgo.RecordDeliveryTimeout(orElse(p.DeliveryTimeout, defaultDelivery)),
		// The time that a broker may wait for its followers; the time for the request as a whole
		// comes on top (RequestTimeoutOverhead).
		kgo.ProduceRequestTimeout(orElse(p.RequestTimeout, defaultRequestTimeout)),
	}
	switch p.Acks {
	case 0:
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	case 1:
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	case -1:
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))
	default:
		return nil, fmt.Errorf("cannot build the Kafka producer: acks is %d, not 0, 1 or -1 (all)", p.Acks)
	}
	if !p.Idempotent {
		inFlight := orElse(p.MaxInFlight, defaultInFlight)
		if inFlight < 0 {
			return nil, fmt.Errorf("cannot build the Kafka producer: %d requests in flight", inFlight)
		}
		return append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(inFlight)), nil
	}
	if p.Acks != -1 {
		return nil, fmt.Errorf("cannot build the Kafka producer: idempotence needs acks -1 (all), not %d", p.Acks)
	}
	if p.MaxInFlight < 0 || p.MaxInFlight > defaultInFlight {
		return nil, fmt.Errorf("cannot build the Kafka producer: idempotence needs 1 to %d requests in flight, not %d", defaultInFlight, p.MaxInFlight)
	}
	// The deadline must also hold for records that were sent and not acked, as it does in Java:
	// otherwise one broker that died with requests in flight keeps their memory charged for as
	// long as it is away. The cost is that the broker cannot recognise such a record when the
	// HTTP client sends it again. It never can: to the broker that is another record.
	return append(opts, kgo.AllowIdempotentProduceCancellation()), nil
}
