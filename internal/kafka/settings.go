package kafka

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// Settings of the connections to a Kafka cluster, which all its clients share. The zero value of
// any field but Brokers means the Kafka client's own default.
type Settings struct {
	// Brokers are host:port addresses to bootstrap from; at least one.
	Brokers []string
	// ClientID is shown by the brokers in logs, metrics and quotas.
	ClientID string
	// TLS is used for every connection when not nil.
	TLS *tls.Config
	// SASL authenticates every connection when not nil.
	SASL sasl.Mechanism
	// RequestTimeout bounds one request to a broker, on top of the wait that the request itself
	// asks for.
	RequestTimeout time.Duration
	// DialTimeout bounds the opening of one connection.
	DialTimeout time.Duration
	// Dial opens connections in place of the operating system's network; nil: that one. It does
	// not go together with TLS.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// MetadataMaxAge is how old the client's view of topics and leaders may get.
	MetadataMaxAge time.Duration
	// Logger receives the clients' log; nil drops it.
	Logger *slog.Logger
	// Hooks are called by every client that is built from these settings.
	Hooks []kgo.Hook
	// Reserved are the topics that no client of the API may name.
	Reserved Reserved
}

// Codec is a compression type as Kafka's compression.type names it.
type Codec string

// The codecs that every Kafka since 2.1 understands.
const (
	None   Codec = "none"
	Gzip   Codec = "gzip"
	Snappy Codec = "snappy"
	LZ4    Codec = "lz4"
	Zstd   Codec = "zstd"
)

// Codecs lists all compression types, in the order of Kafka's numbers for them.
var Codecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

// Producer holds the settings of the producing side; names and meanings are
// those of Kafka's Java producer.
type Producer struct {
	// ClientID overrides [Settings.ClientID] when not empty.
	ClientID string
	// Acks is how many replicas must have a record: 0, 1 or -1 for all in sync.
	Acks int
	// Idempotent lets the broker drop a batch that it already has (needs Acks -1).
	Idempotent bool
	// MaxInFlight bounds unanswered produce requests per broker. With
	// Idempotent it may be 1 to 5 and changes nothing: there are up to 5,
	// and sequence numbers keep their order.
	MaxInFlight int
	// BatchBytes is how many bytes of keyless records go to one partition before the next one
	// (batch.size). It does not cut batches: under load they grow to MaxRequestBytes, or to
	// BatchBytes if that is more.
	BatchBytes int
	// MaxRequestBytes bounds one record, and one batch, before compression
	// (max.request.size). A larger record fails.
	MaxRequestBytes int
	// Compression is the codec of every batch, Level its level (0: the codec's default).
	Compression Codec
	Level       int
	// DeliveryTimeout is how long a record may take in all, retries included.
	DeliveryTimeout time.Duration
	// RequestTimeout is how long a broker may take to answer one produce request.
	RequestTimeout time.Duration
	// SilenceLimit is how long a broker may leave requests unanswered, and answer no other, before
	// a [Liveness] counts it as lost.
	SilenceLimit time.Duration
	// Retries bounds the retries of one batch: 0 sends once, a negative number or math.MaxInt32
	// and above retries until DeliveryTimeout.
	Retries int
}

// Consumer holds the settings of the consuming side, shared by all instances.
type Consumer struct {
	// ClientID overrides [Settings.ClientID] when not empty.
	ClientID string
	// FetchMaxBytes bounds one fetch response, MaxPartitionBytes one partition's share of it.
	FetchMaxBytes, MaxPartitionBytes int
	// SessionTimeout is how long a member may be silent before its group rebalances.
	SessionTimeout time.Duration
	// GroupProtocol is "classic" or "consumer" (KIP-848).
	GroupProtocol string
	// Rack is the location of this node (client.rack): Kafka then names a replica with the same
	// rack, which is read from in place of the leader (KIP-392).
	Rack string
}
