package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Sender is the Kafka client of the produce side. It sends requests that package batch has built:
// the library's own producer is not used. Produce requests have a client of their own, because a
// broker that throttles it holds up all that the client asks it.
type Sender struct {
	client *kgo.Client

	mu      sync.RWMutex
	brokers map[int32]*kgo.Broker
	conns   Connections
}

// NewSender builds the client. The caller closes it.
func NewSender(base Settings, p Producer) (*Sender, error) {
	opts, err := baseOpts(base, p.ClientID)
	if err != nil {
		return nil, err
	}
	own, err := senderOpts(p)
	if err != nil {
		return nil, fmt.Errorf("cannot build the Kafka producer: %w", err)
	}
	s := &Sender{brokers: make(map[int32]*kgo.Broker)}
	s.client, err = kgo.NewClient(append(append(opts, own...), kgo.WithHooks(&s.conns))...)
	if err != nil {
		return nil, fmt.Errorf("cannot build the Kafka producer: %w", err)
	}
	return s, nil
}

// senderOpts checks the settings of a producer, and returns those that concern its requests.
func senderOpts(p Producer) ([]kgo.Opt, error) {
	if _, err := NewCompressor(p.Compression, p.Level); err != nil {
		return nil, err
	}
	p = p.WithDefaults()
	if largest := max(p.BatchBytes, p.MaxRequestBytes); largest > maxAnswerBytes {
		return nil, fmt.Errorf("batches of %d bytes are more than the %d that brokers take in one request", largest, maxAnswerBytes)
	}
	acks := kgo.AllISRAcks()
	switch p.Acks {
	case 0:
		acks = kgo.NoAck()
	case 1:
		acks = kgo.LeaderAck()
	case -1:
	default:
		return nil, fmt.Errorf("acks is %d, not 0, 1 or -1 (all)", p.Acks)
	}
	switch {
	case p.Idempotent && p.Acks != -1:
		return nil, fmt.Errorf("idempotence needs acks -1 (all), not %d", p.Acks)
	case p.Idempotent && (p.MaxInFlight < 0 || p.MaxInFlight > defaultInFlight):
		return nil, fmt.Errorf("idempotence needs 1 to %d requests in flight, not %d", defaultInFlight, p.MaxInFlight)
	case p.MaxInFlight < 0:
		return nil, fmt.Errorf("%d requests in flight", p.MaxInFlight)
	}
	return []kgo.Opt{
		// The library writes its own number of acks into requests without acks, and its own
		// timeout; with one of its own ids it would be a producer itself.
		kgo.RequiredAcks(acks),
		kgo.ProduceRequestTimeout(p.RequestTimeout),
		// A response that is not there this long after the time that the request itself leaves the
		// broker will not come: the connection is half open, perhaps.
		kgo.RequestTimeoutOverhead(p.SilenceLimit / 2),
		kgo.DisableIdempotentWrite(),
		kgo.BrokerMaxWriteBytes(maxAnswerBytes),
		// A broker that came or moved is known this soon.
		kgo.MetadataMinAge(lookUpEvery),
		// The context of the caller bounds a look-up; this is the bound of one without.
		kgo.RetryTimeout(p.RequestTimeout),
	}, nil
}

// Reset ends the connections to the broker, so that the requests in flight there return: one whose
// answer is not expected any more would hold up its partition until the request's time-out.
func (s *Sender) Reset(broker int32) { s.conns.Reset(broker) }

// Send sends the request to the broker, and returns with its response, or when none can come.
// Requests to a broker are written in the order of the calls. None is retried, and none is given
// up before its time: the library gives a request up by ending the connection, and all that is in
// flight on it.
func (s *Sender) Send(broker int32, req kmsg.Request) (kmsg.Response, error) {
	return s.broker(broker).Request(context.Background(), req)
}

func (s *Sender) broker(id int32) *kgo.Broker {
	s.mu.RLock()
	b := s.brokers[id]
	s.mu.RUnlock()
	if b == nil {
		b = s.client.Broker(int(id))
		s.mu.Lock()
		s.brokers[id] = b
		s.mu.Unlock()
	}
	return b
}

// Close ends all connections. Requests in flight fail.
func (s *Sender) Close() { s.client.Close() }

// WithHooks returns settings with more hooks.
func (s Settings) WithHooks(more ...kgo.Hook) Settings {
	s.Hooks = append(slices.Clip(s.Hooks), more...)
	return s
}

// BatchWritten returns what tells hooks of a record batch that a broker acked. The library tells
// them only of batches of its own producer.
func BatchWritten(hooks []kgo.Hook) func(broker int32, topic string, partition int32, b kgo.ProduceBatchMetrics) {
	var told []kgo.HookProduceBatchWritten
	for _, h := range hooks {
		if w, ok := h.(kgo.HookProduceBatchWritten); ok {
			told = append(told, w)
		}
	}
	return func(broker int32, topic string, partition int32, b kgo.ProduceBatchMetrics) {
		for _, w := range told {
			w.OnProduceBatchWritten(kgo.BrokerMetadata{NodeID: broker}, topic, partition, b)
		}
	}
}
