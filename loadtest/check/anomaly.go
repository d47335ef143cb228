package check

// Anomaly is a way in which a proxy breaks its promise.
type Anomaly string

// The anomalies. Those of Jepsen's Kafka workload have its names.
const (
	LostWrite           Anomaly = "lost-write"
	AbortedRead         Anomaly = "aborted-read"
	Duplicate           Anomaly = "duplicate"
	InconsistentOffsets Anomaly = "inconsistent-offsets"
	NonmonotonicSend    Anomaly = "nonmonotonic-send"
	WrongPartition      Anomaly = "wrong-partition"
	StrangerRefused     Anomaly = "stranger-refused"
	NeighbourRefused    Anomaly = "neighbour-refused"
	NeverSent           Anomaly = "never-sent"
	PollSkip            Anomaly = "poll-skip"
	Unseen              Anomaly = "unseen"
	NonmonotonicPoll    Anomaly = "nonmonotonic-poll"
	RepeatedAfterCommit Anomaly = "repeated-after-commit"
	CommitAhead         Anomaly = "commit-ahead"
	LostCommit          Anomaly = "lost-commit"
	NoAnswer            Anomaly = "no-answer"
	MalformedAnswer     Anomaly = "malformed-answer"
)

// Definition says what an anomaly is.
type Definition struct {
	Anomaly Anomaly
	Jepsen  bool // the name and the idea are of Jepsen's Kafka workload
	Means   string
}

// Definitions has all anomalies, those of writing first.
var Definitions = []Definition{
	{LostWrite, true, "A record was acknowledged, and is nowhere in the log."},
	{AbortedRead, true, "A record was refused (503 and 503xx, a 4xx, a slot with 50002), and is in the log all the same: a client that sends it again doubles it."},
	{Duplicate, true, "A record is in the log more often than it was sent with an outcome other than *failed*. So a record that was sent again after an unknown outcome may be there twice, and one that was sent once, with whatever outcome, may not."},
	{InconsistentOffsets, true, "A record was acknowledged with, or given to a consumer as, a partition and offset where the log has another record, or none; and the record is in the log elsewhere."},
	{NonmonotonicSend, true, "Two acknowledged records of a partition stand in the wrong order: the one was sent after the other's acknowledgement (as all later requests of a connection are), or behind it in the same request, and stands before it in the log."},
	{WrongPartition, false, "A record is in another partition, or another topic, than the client named."},
	{StrangerRefused, false, "A record was refused for good, as if it broke a rule, and no record of its request breaks one: it was failed for another client's. Refusals that pass (429, 503) or that the whole topic gets (401, 403, 404) are counted as failed, and not here."},
	{NeighbourRefused, false, "A record that breaks no rule was refused for good beside one of its own request that does. Proxies that promise only whole requests do so; millrace answers each record for itself."},
	{NeverSent, false, "A record that no client sent is in a topic of the run's own, or was given to a consumer: made up, changed on the way, or another's."},
	{PollSkip, true, "A record of the log was given to nobody in a group, though a later one of its partition was."},
	{Unseen, true, "A record of the log was given to nobody in a group, and no later one of its partition either, though the group read on until nothing came."},
	{NonmonotonicPoll, true, "A consumer was given a record that is not behind the last one of its partition: within one page, or in a later page with no reason to go back. A reason is a member that came or went, a request of that consumer without a good answer, or a fault that the history notes."},
	{RepeatedAfterCommit, false, "A record was given by a read that was sent after the group's committed offset, as the brokers say, was past it."},
	{CommitAhead, false, "The group's committed offset, as the brokers say, is past records of the log that nobody in the group had been given by then."},
	{LostCommit, false, "A consumer that is its group's only one was told that all it was given is committed, and the brokers have a lower offset."},
	{NoAnswer, false, "A request had no response within the time that the client gives it."},
	{MalformedAnswer, false, "A response of success does not speak for each record: another number of slots, a slot with neither offset nor error, a page that does not parse."},
}
