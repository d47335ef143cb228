package consumer

import (
	"crypto/rand"
	"fmt"
	"math"
	"strings"
	"time"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/reader"
)

// maxFetchMinBytes is the largest fetch.min.bytes that the API accepts.
const maxFetchMinBytes = 10_000_000

// The values of auto.offset.reset and isolation.level.
const (
	earliest        = "earliest"
	latest          = "latest"
	none            = "none"
	readUncommitted = "read_uncommitted"
	readCommitted   = reader.ReadCommitted
)

// TopicPartition names one partition of a topic.
type TopicPartition = kafka.TopicPartition

// Offset is an offset of one partition. Metadata is what a client stores
// beside an offset that it commits.
type Offset struct {
	TopicPartition
	Offset   int64
	Metadata string
}

// Timestamp asks for the first record of a partition that is not older than At.
type Timestamp struct {
	TopicPartition
	At time.Time
}

// InstanceOptions are what a client chooses when it creates an instance.
// [Manager.Defaults] has the values for what it does not choose.
type InstanceOptions struct {
	// Name of the instance, unique in its group; empty has one made up.
	Name string
	// Format that records are answered in.
	Format codec.Format
	// OffsetReset is where a partition starts that its group has no offset
	// for: "earliest", "latest", or "none" for an error. Empty means the default.
	OffsetReset string
	// AutoCommit has the node commit what the client has confirmed.
	AutoCommit bool
	// FetchMinBytes is how much a read waits for, keys and values; -1 means the default, 1.
	FetchMinBytes int
	// RequestTimeout is how long a read waits, at most and by default; 0 means the node's setting.
	RequestTimeout time.Duration
	// IsolationLevel is "read_uncommitted" or "read_committed". Empty means the default.
	IsolationLevel string
	// Undecodable says what becomes of records that are not in the format.
	Undecodable reader.Undecodables
	// Client is the address that asked for the instance, for [Settings.MaxPerClient]; empty counts
	// for nobody.
	Client string
	// Owner is the principal that asked for the instance; empty where nobody is asked who they are.
	Owner string
	// Login is what the instance shows to Kafka; nil: what the node does. It is in no definition.
	Login *kafka.Login `json:"-"`
	// MaxOfOwner bounds the instances of the owner on this node, by the quota of that name; 0: no
	// bound.
	MaxOfOwner int
	Quota      string
}

// ReadOptions are what a client chooses for one read.
type ReadOptions struct {
	// Timeout is how long to wait for records; 0 or less, or more than the
	// instance's, means the instance's.
	Timeout time.Duration
	// NoWait answers what is fetched already; Timeout means nothing then.
	NoWait bool
	// MaxBytes bounds keys and values of the answer; 0 or less, or more than
	// the node's setting, means that setting.
	MaxBytes int
	// Show says how records are shown.
	reader.Show
}

// Delivery is how the answer to a read goes to its client. One is set at most; the answer of the
// zero Delivery is never lost.
type Delivery struct {
	// Lost, if not nil, is asked later whether the answer has got lost on its
	// way. It must not block; it is called with the instance locked.
	Lost func() bool
	// Passage, if not nil, is how the answer goes by another node.
	Passage *Passage
}

// Defaults returns the options of an instance whose client chooses nothing.
func (m *Manager) Defaults() InstanceOptions {
	return InstanceOptions{
		Format:         codec.Binary,
		OffsetReset:    m.settings.OffsetReset,
		AutoCommit:     true,
		FetchMinBytes:  1,
		RequestTimeout: m.settings.RequestTimeout,
		IsolationLevel: m.settings.IsolationLevel,
	}
}

// checkFormat refuses what there is no registry for.
func (m *Manager) checkFormat(f codec.Format) error {
	if f.NeedsSchema() && m.deps.Schemas == nil {
		return reader.NoRegistry(f)
	}
	return nil
}

// complete fills the defaults of m into o and checks the result.
func (m *Manager) complete(o InstanceOptions) (InstanceOptions, error) {
	d := m.Defaults()
	if o.OffsetReset == "" {
		o.OffsetReset = d.OffsetReset
	}
	if o.IsolationLevel == "" {
		o.IsolationLevel = d.IsolationLevel
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = d.RequestTimeout
	}
	if m.settings.MaxPerClient <= 0 {
		o.Client = "" // nobody needs to know
	}
	if o.FetchMinBytes < -1 || o.FetchMinBytes > maxFetchMinBytes {
		return o, apierr.SettingOutOfRange.New("fetch.min.bytes must be between -1 and %d.", maxFetchMinBytes)
	}
	o.FetchMinBytes = max(o.FetchMinBytes, d.FetchMinBytes)
	switch o.OffsetReset = strings.ToLower(o.OffsetReset); o.OffsetReset {
	case earliest, latest, none:
	default:
		return o, apierr.InvalidConsumerConf.New("auto.offset.reset must be earliest, latest or none, not %q.", o.OffsetReset)
	}
	switch o.IsolationLevel = strings.ToLower(o.IsolationLevel); o.IsolationLevel {
	case readUncommitted, readCommitted:
	default:
		return o, apierr.InvalidConsumerConf.New("isolation.level must be read_uncommitted or read_committed, not %q.", o.IsolationLevel)
	}
	if o.RequestTimeout < 0 || o.RequestTimeout > math.MaxInt32*time.Millisecond {
		return o, apierr.InvalidConsumerConf.New("consumer.request.timeout.ms must be between 1 and %d.", math.MaxInt32)
	}
	return o, m.checkFormat(o.Format)
}

// newName makes up the name of an instance: "rest-consumer-" and a random UUID (RFC 9562,
// version 4).
func newName() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("rest-consumer-%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
