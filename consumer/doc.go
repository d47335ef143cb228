// Package consumer is the consume side: named consumer instances that live on
// this node between the requests of their client, as the v2 API wants it.
// It never sees HTTP: methods take plain values and append answers to the
// caller's bytes; errors are [apierr.Error] values.
//
//   - manager.go: [Manager] owns all instances; one janitor goroutine expires
//     idle ones and commits for those with auto-commit.
//   - instance.go, session.go: an [Instance] has at most one session, which is
//     one subscription or one assignment with everything that dies with it:
//     its Kafka client, its partitions, what was fetched and not yet answered.
//   - subscribe.go, assign.go: how a session starts; the group's callbacks.
//   - read.go, backlog.go: lease, collect, encode once, move the positions.
//     undecodable.go: what becomes of records that cannot be encoded.
//     prefetch.go: how much is fetched ahead, and by whom.
//   - recreated.go: topics that are deleted and created again while they are read.
//   - seek.go, commit.go: positions and offsets. cluster.go: what is asked of
//     Kafka through the clients that all instances share. log.go: what of the
//     client library's log an operator sees.
//   - directory.go, definition.go: how an instance outlives this node, where
//     there is a [Directory].
//   - lag.go: how far readers are behind, those too that do not read.
//   - passage.go: answers that go to their client by another node.
//   - stream.go, tail.go, positions.go: topics that are read without an end; one
//     tail for each, which their streams share. instance_stream.go: the same of
//     an instance. outlet.go: how both are sent.
//   - topic.go: what v1 has instead of subscriptions. direct.go: reads of a
//     partition with no instance, no group and no state between them.
//
// A record is "answered" once [Instance.AppendRecords] returned it, and "confirmed" once a read
// that the client sends after it shows that it had that answer. Records that are known not to
// have arrived are taken back instead. A seek is the client's own statement of a position and
// counts as both. These commit:
//
//	POST /offsets, DELETE of the instance   all that was answered
//	auto-commit, revocation by the group,
//	new subscription, expiry, shutdown      what was confirmed
//
// The second group commits only where auto-commit is on, DELETE likewise. So a
// page that got lost on its way is read again by whoever comes next: delivery
// is at least once. Where it is unknown whether a page arrived, POST /offsets is
// refused (see [Passage]).
//
// Locks, outermost first; none of the last two is held while Kafka is waited for:
//
//	Instance.lease     one read, or taking back of one, at a time
//	Instance.changing  one change of subscription or assignment, or the close
//	Instance.commits   one commit at a time, so that they reach Kafka in order
//	Instance.recording one writing of the definition at a time
//	Manager.mu         the table of instances
//	Instance.mu        everything else in an instance and its session
//
// tail.mu is taken within Manager.mu or alone, and never held while waiting.
//
// Instance.mu may be held while calling into kgo (SetOffsets and the like take
// kgo's locks); kgo calls us back with none of its own held. A poll runs with
// only the lease; whoever must change what the poll works on (a seek, the end
// of a session) interrupts it first, see Instance.holdPolls. The client blocks
// rebalances from the moment a poll has records until they are in the backlog,
// so a revocation finds either all of them there or none.
package consumer
