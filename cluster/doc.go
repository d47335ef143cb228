// Package cluster joins several nodes into one service in front of one Kafka cluster. It knows
// the nodes of the service and the owner of each consumer instance, and stores the definition of
// each instance where it outlives its node. The nodes share only Kafka: a compacted topic with
// one partition, which every node reads from its beginning and follows.
//
//   - record.go: what stands in that topic.
//   - seal.go: the MAC of each record, by which it counts, and the keys that the
//     secret of the nodes has.
//   - table.go: what a node knows from it. It is a pure function of the log: a
//     record counts if its epoch is higher than that of the one before it for
//     the same instance, so of two that conflict the first in the log wins, and
//     all nodes agree on which that is.
//   - node.go: [Node], with its heartbeats, its lease and the following of the log.
//   - write.go: how an instance is created, changed, released, claimed, deleted.
//   - find.go: the node that serves a request; adoption, and the reasons of its failure.
//   - keys.go: the nodes that agree on requests with a key.
//   - sweep.go: deletes the instances that no node owns any more.
//
// A node is alive while its heartbeats arrive. It trusts itself for one lease from the moment at
// which it sent a heartbeat that it has then read back from the log. The others trust it for one
// lease from the moment at which they read that heartbeat, which is later. A node that is cut off
// from Kafka therefore stops serving before others take over, whatever the clocks of their hosts
// show: only durations on one host are ever compared.
//
// Compaction keeps the last record of an instance, which may be one that did not count. The owner
// of the instance then writes its own record again (repair).
//
// The package knows no HTTP and does not parse definitions: package consumer writes and reads
// them. It runs three goroutines: one for heartbeats, one that follows the log, and one for the
// work of the first two that may wait. Node.mu guards the table and is never held during a wait
// for Kafka; Node.writing serializes the writes of instances.
package cluster
