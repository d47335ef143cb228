// Package loadtest puts load on a Kafka REST proxy, measures what its clients
// would see, and proves by reading Kafka back that nothing acknowledged was
// lost, doubled or reordered. It drives any proxy that speaks the Confluent v2
// API; the requests are fired by the vegeta library.
//
// The way of a run, [Run] in run.go:
//
//  1. scenario.go, yaml.go: what to do, from a small YAML file or built in.
//  2. flow.go: each flow (produce, metadata, consume) makes its requests:
//     produce.go with values from payload.go, metadata.go, consume.go.
//  3. schedule.go says when each request is due; attack.go fires it at that
//     time whatever became of the earlier ones, and takes its latency from
//     there. vegeta's own latency begins when one of its workers picks the
//     request up, so a proxy that stalls would hide its stall by keeping the
//     workers busy ("coordinated omission"); both figures are kept, and the
//     report shows the difference.
//  4. ledger.go notes what was sent and what was acknowledged; tally.go and
//     histogram.go hold the figures; usage.go samples CPU and memory;
//     progress.go prints one line a second.
//  5. verify.go reads the topics back and compares them with the ledger.
//  6. result.go is the outcome, as JSON for machines; checks.go judges it;
//     summary.go prints it; report.go, plot.go and compare.go make the page.
//
// targets.go writes a scenario as a target file for the vegeta command.
//
// What may run at once: every flow is one vegeta attack with many workers, and
// several collectors read its results. Ledger and tally have a lock each; all
// else belongs to the goroutine of Run. Nothing here is part of the product's
// serving path, and headers, which may hold secrets, are never printed, logged
// or written to a file.
package loadtest
