// Package metadata answers what the cluster looks like: its topics,
// partitions, brokers, offsets and configurations, from a cache that asks the
// brokers as rarely as it can.
//
// [Cache] holds one immutable view of the cluster behind an atomic pointer.
// Reading it takes no lock and allocates nothing: [Cache.Answer] hands out
// JSON that was encoded when it was first asked for, with its ETag, and what a
// refresh finds unchanged keeps both. While anybody reads, the view is renewed
// in the background; a reader waits only for one that is older than
// Settings.MaxAge, or than it demands, or that somebody found to be wrong
// ([Cache.Invalidate]): leaders.go has the Kafka clients of the process tell
// when a leader moved. However many read, the brokers are asked for the view
// once a second in the long run, and once for all else of one kind: pace.go
// and gather.go see to it. [Cache.Await] and [Watcher] wait for changes.
//
// The produce path has its own entry, [Cache.Topic]. It never waits for a
// topic that is known, whatever the age of the view. An unknown name costs one
// request of its own, which may create the topic, and whose negative answer is
// remembered for a moment, so that a client that hammers a wrong name does not
// hammer the brokers. The topics found that way are kept beside the view until
// the next refresh brings them.
//
// health.go watches whether any broker answers; /readyz and the produce path
// ask it ([Cache.Healthy]). While none does, what was known is answered as
// stale, for Settings.StaleFor.
//
// Internal topics (__consumer_offsets and the like) are listed, as the
// Confluent proxy does: the principal's rights in Kafka decide what is seen.
// Settings.Reserved are never in the view, and so in no answer.
//
// All methods may be called concurrently. What they return is shared and never
// changed: it must not be modified, and may be kept. Errors are rows of
// internal/apierr. The package never changes anything in the cluster but, by
// a produce look-up, lets it create a topic. It borrows its Kafka client; the
// owner closes that after [Cache.Close].
//
// Read next: refresh.go for the view, answers.go for what is read from it,
// lookup.go for single topics, changes.go for waiting.
package metadata
