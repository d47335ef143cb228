// Package loadtest puts load on a Kafka REST proxy, measures what its clients
// would see, and proves by reading Kafka back that nothing acknowledged was
// lost, doubled or reordered, and that consumers were given all of it. It
// drives any proxy that speaks the Confluent v2 API; the requests are fired by
// the vegeta library.
//
// The way of a run, [Run] in run.go:
//
//  1. scenario.go, parse.go, yaml.go: what to do, from a small YAML file or
//     built in.
//  2. The [Flow]s, each of which makes its requests: produce.go with values from
//     payload.go and avro.go, metadata.go, consume.go.
//  3. attack.go has vegeta follow lab's pacer, which knows when each request of
//     an open loop is due, fires it at that time whatever became of the earlier
//     ones, and takes its latency from there. vegeta's own latency begins when one of its workers
//     picks the request up, so a proxy that stalls would hide its stall by
//     keeping the workers busy ("coordinated omission"); both figures are kept,
//     and the report shows the difference. A closed loop sends as soon as it is
//     answered. wire.go carries the requests, at little cost to a machine that
//     proxy and generator share.
//  4. produce.go notes what was sent and what was acknowledged, delivery.go what
//     consumers were given; tally.go holds the figures;
//     usage.go samples CPU and memory; progress.go prints one line a second.
//  5. readback.go lets the consumers read on to the end, verify.go reads the
//     topics back, and comparison.go holds both against the records.
//  6. result.go is the outcome, as JSON for machines; checks.go judges it;
//     summary.go prints it; report.go, charts.go and compare.go make the page.
//
// targets.go writes a scenario as a target file for the vegeta command.
//
// Concurrency: every flow is one vegeta attack with many workers, and several collectors read
// its results. Ledger, deliveries and tally have a lock each; all else belongs to the goroutine
// of Run. Nothing here is part of the product's serving path, and headers, which may hold
// secrets, are never printed, logged or written to a file.
package loadtest
