// Package v3 holds the resources of the v3 API: the cluster, its brokers, topics, partitions,
// configurations, consumer groups and access control lists, and what millrace has beside them.
//
// [Routes] returns all routes. Each resource is a struct of the parts that it uses. [shared.route]
// makes a [call] of each request before its handler runs: the media types are negotiated, the
// cluster that the path names is this one, and the time is bounded.
//
//   - urls.go makes the URLs and resource names of answers, page.go cuts long lists, body.go reads
//     bodies.
//   - clusters.go, brokers.go, topics.go, partitions.go, offsets.go, configs.go, groups.go, lags.go
//     and reassignments.go are resources of the Confluent proxy.
//   - Those of the files that begin with ours are millrace's own.
//
// The files that begin with produce write records. They are hot: package codec reads the records,
// nothing is allocated for one, and [Produce] is a resource of its own. A stream of records is read
// on the goroutine of its connection, which makes flights of them, and answered on another.
//
// Other bodies and answers are structs with tags, read and written by package codec/json. The tag
// max of a member of a body bounds its value, or the elements of its list; without one the member
// is a number or a truth value. A body is bounded by [maxBody], a list of an answer by page_size.
//
// Handlers hold no Kafka logic: packages metadata (cached, for lists of all topics and brokers) and
// admin (asked each time, for everything else) do. A change is logged by one line, "audit", whoever
// asked for it and whatever became of it; no value of a setting and no password is in it.
//
// A handler must not keep the RequestCtx, or a view of the request, after it returns.
package v3
