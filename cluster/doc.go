// Package cluster makes one service of several nodes in front of one Kafka
// cluster: it knows which nodes there are, which of them has which consumer
// instance, and keeps the definition of each instance where it outlives its
// node. Kafka is the only thing that the nodes share: a compacted topic with
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
//   - write.go: how an instance is entered, changed, released, claimed, deleted.
//   - find.go: who serves a request; adoption, and why it failed.
//   - sweep.go: what nobody has any more is deleted.
//
// A node is alive while its heartbeats arrive. It trusts itself for one lease
// from the moment at which it sent a heartbeat that it has then read back from
// the log, and the others trust it for one lease from when they have read it,
// which is later. So a node that is cut off from Kafka stops to serve before
// others take over, whatever the clocks of their hosts say: only time that
// passed on one host is ever compared.
//
// Compaction keeps the last record of an instance, which may be one that did
// not count. Whoever owns the instance then writes its own again (repair).
//
// The package sees no HTTP and knows nothing of what a definition says: package
// consumer writes and reads it. It runs three goroutines: heartbeats, the
// following of the log, and what the first two have to do that may wait.
// Node.mu guards the table and is never held while Kafka is waited for; the
// instances' writes are one at a time by Node.writing.
package cluster
