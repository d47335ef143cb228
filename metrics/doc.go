// Package metrics holds every figure that the process shows to Prometheus: the names
// (catalog.go), the instruments that requests write to, and the figures of other parts that are
// read at a scrape.
//
// There are two kinds of figures:
//
//   - pushed: a request adds to counters that were resolved at start, a [Route], a [Format], a
//     [Failure]. That is a handful of atomic additions, no look-up by a string and no allocation,
//     and it happens once a request, never once a record. Per topic ([Topics]) it happens once a
//     record batch.
//   - pulled: the parts have these figures anyway, and [Metrics.Watch] sets the functions that
//     read them ([Sources]). They cost nothing between two scrapes.
//
// Labels are bounded. Routes are templates, statuses and error codes are of fixed tables; of
// topics and of consumer groups the busiest N have a series of their own and [Other] stands for
// the rest.
//
// hooks.go attaches the Kafka clients: franz-go's kprom for connections and requests, and the
// record batches. reference.go writes the documentation.
//
// The package imports nothing of ours, opens no connection and runs no goroutine. There is no
// global registry: a process may have several [Metrics]. Everything may be used from any
// goroutine.
package metrics
