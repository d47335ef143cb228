package cluster

import (
	"log/slog"
	"time"
)

// Settings of a node.
type Settings struct {
	// ID names this node among the others; a node that comes back under the
	// same name finds its instances again. Empty has one made up.
	ID string
	// Topic is where the nodes meet. Replication is its replication factor
	// where it has to be created; -1 leaves that to the broker.
	Topic       string
	Replication int
	// Secret is known to all nodes and nobody else. The records of the topic are
	// authenticated by it.
	Secret string
	// Lenient also accepts records that are not authenticated, as nodes of
	// former versions write them, for the time of an upgrade.
	Lenient bool
	// Keys says that the node agrees with the others on which of them carries out a request that has
	// a key (idempotency.window.ms).
	Keys bool
	// Heartbeat is how often a node shows that it lives, Lease how long it
	// counts as alive after the last time; several times as long.
	Heartbeat, Lease time.Duration
	// Idle is how long an instance that no node has is kept for its client to come back
	// (consumer.instance.timeout.ms); 0 keeps it without a bound.
	Idle time.Duration
	// Logger receives what operators should know; nil drops it.
	Logger *slog.Logger
}
