// Package metadata caches the state of the cluster: its topics, partitions, brokers, offsets and
// configurations. It asks the brokers as rarely as it can.
//
// [Cache] holds one immutable view of the cluster behind an atomic pointer. Reading it takes no
// lock and allocates nothing: [Cache.Answer] returns JSON that was encoded for the first query,
// with its ETag, and both survive a refresh that finds the resource unchanged. While readers
// query the cache, the view is refreshed in the background. A reader waits only for a view that
// is older than Settings.MaxAge, or than the reader demands, or that was found wrong
// ([Cache.Invalidate]); leaders.go invalidates it when the Kafka clients of the process find that
// a leader moved. However many read, the brokers are asked for the view once a second in the long
// run, and once a second for each other kind of resource: ratelimit.go and gather.go ensure that.
// [Cache.Await] and [Watcher] wait for changes.
//
// The produce path has its own entry, [Cache.Topic]. It never waits for a cached topic, whatever
// the age of the view. An unknown name costs one request of its own, which may create the topic.
// Its negative result is cached for a moment, so that a client that repeats a wrong name does not
// load the brokers. The topics found that way are held beside the view until the next refresh
// includes them.
//
// health.go watches whether any broker responds; /readyz and the produce path call
// [Cache.Healthy]. While none responds, cached answers are returned as stale, for
// Settings.StaleFor.
//
// Internal topics (__consumer_offsets and the like) are found by name and not listed, as in the
// Confluent proxy: the principal's rights in Kafka decide what is seen of them.
// Settings.Reserved are never in the view, and so in no answer.
//
// All methods may be called concurrently. Their results are shared and immutable: a caller must
// not modify them, and may hold them. Errors are rows of internal/apierr. The package never
// changes anything in the cluster, except that a produce look-up lets it create a topic. It
// borrows its Kafka client; the owner closes that after [Cache.Close].
//
// Read next: refresh.go for the view, answers.go for the answers from it, lookup.go for single
// topics, changes.go for waiting.
package metadata
