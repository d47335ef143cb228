package consumer

import (
	"log/slog"
	"time"

	"millrace/reader"
	"millrace/schema"
)

// Settings of the consume side.
type Settings struct {
	// OffsetReset is where an instance starts that has no committed offset
	// and asks for nothing: "earliest", "latest" or "none".
	OffsetReset string
	// IsolationLevel is "read_uncommitted" or "read_committed", for instances that ask for nothing.
	IsolationLevel string
	// RequestTimeout is how long a read waits for records, at most and by default.
	RequestTimeout time.Duration
	// MaxBytes bounds keys and values of one answer, and the answer itself, as few
	// bytes of a record with a schema can be a long text. A record that is larger is
	// answered alone.
	MaxBytes int
	// InstanceTimeout is how long an instance may go unused before it is closed.
	InstanceTimeout time.Duration
	// AutoCommitInterval is how often an instance with auto-commit commits.
	AutoCommitInterval time.Duration
	// LagInterval is how often the ends of the logs that instances read are
	// looked up, so that the lag of one that does not read is known; 0: never.
	LagInterval time.Duration
	// MaxInstances bounds the instances of this node.
	MaxInstances int
	// MaxPerClient bounds the instances of one client address; 0 is no bound.
	MaxPerClient int
}

// Deps are what a manager uses beside its settings. It borrows them.
type Deps struct {
	// Directory, if not nil, is told of every instance, so that other nodes can adopt
	// it when this one is gone.
	Directory Directory
	// Schemas has the schemas that records were written with; nil: there is no
	// registry, and no instance can have a format that needs one.
	Schemas *schema.Registry
	// Healthy, if not nil, returns the error that no broker can be reached. It must not block.
	Healthy func() error
	// Read, if not nil, is called with what a read returns of one topic. It may be called with an
	// instance locked and must not block.
	Read func(reader.Returned)
	// Logger receives what operators should know; nil drops it.
	Logger *slog.Logger
}
