// Package metadata answers what the cluster looks like: its topics,
// partitions, brokers, offsets and configurations, from a cache that asks the
// brokers as rarely as it can.
//
// [Cache] holds one immutable view of the cluster behind an atomic pointer.
// Reading it takes no lock and allocates nothing; lists are encoded as JSON
// once, when the view is built, and answered with a copy. A view older than
// Settings.MaxAge is replaced by the next reader of metadata, who waits for
// it; all readers at that time share one request.
//
// The produce path has its own entry, [Cache.Topic]. It never waits for a
// topic that is known, whatever the age of the view. An unknown name costs one
// request of its own, which may create the topic, and whose negative answer is
// remembered for a moment, so that a client that hammers a wrong name does not
// hammer the brokers. The topics found that way are kept beside the view until
// the next refresh brings them.
//
// health.go watches whether any broker answers; /readyz and the produce path
// ask it ([Cache.Healthy]).
//
// Internal topics (__consumer_offsets and the like) are listed, as the
// Confluent proxy does: the principal's rights in Kafka decide what is seen.
//
// All methods may be called concurrently. What they return is shared and never
// changed: it must not be modified, and may be kept. Errors are rows of
// internal/apierr. The package never changes anything in the cluster but, by
// a produce look-up, lets it create a topic. It borrows its Kafka client; the
// owner closes that after [Cache.Close].
//
// Read next: cache.go for the view, lookup.go for single topics, answers.go
// for the JSON.
package metadata
