// Command bench measures millrace beside its limits, on one Kafka, in one run:
//
//	go run ./bench                       everything, on a Kafka that it starts
//	go run ./bench -only produce -records 1,100 -compression none,zstd
//	go run ./bench -peer Confluent=http://127.0.0.1:8082,4711 -brokers 127.0.0.1:9092
//	go run ./bench -quick                does it all work?
//
// It prints Markdown tables, and writes every figure with machine, Go version,
// commit and settings to bench/results/DATE.json, with plots in DATE.svg.
//
// # How to read the tables
//
// The limits are the HTTP floor, a fasthttp server that reads the body and
// answers a constant, and the Kafka floor, a bare producer of the Kafka client
// that millrace uses, fed with finished records out of memory, as many at a time
// as the HTTP load has on its way. A proxy cannot do with less CPU than
// both together, except where it makes larger batches than the floor did; the
// second table shows how close it comes. The HTTP floor is measured with the
// JSON bodies, and stands beside the binary ones too.
//
// CPU is the process's own user and system time, to a hundredth of a second
// over the window, and carries over to other machines of a kind. Requests per
// second do not: clients, Kafka and server share the machine. The load is a
// closed loop, so latency is that of a saturated server; the latency suite has
// an open one, at half of the rate. "±" is how far the rounds are apart; a
// difference between rows that is smaller than that is none.
//
// Every server is a process of its own and runs alone: started, warmed up,
// measured, stopped. Rounds alternate in order (A B C, C B A), so that what
// drifts on the machine meets all alike. After each run the topic is read back
// and compared with what was acknowledged, by number and by a sum of hashes of
// the values: a run that lost, doubled or changed a record has no figures, and
// the program exits with 1. (Of a peer, which may write JSON in its own way, and
// of Avro the records are only counted.) Fetch runs check that they read every
// offset once.
//
// Allocations are counted by the server itself, as its metrics say.
//
// # Where things are
//
// main.go and options.go: the program. produce.go, fetch.go, metadata.go,
// latency.go, growth.go, memory.go, avro.go, instances.go: the suites. child.go: this program as its own parts, in processes of their
// own; load.go, fetch_children.go: the load generators; floors.go: the limits.
// window.go, histogram.go, procstat.go: how one run is measured. records.go: the
// input, from real records; content.go: how it is read back. report.go, ratio.go,
// goals.go, table.go, plot.go: what comes out.
//
// alloc_test.go holds the budget of allocations a request for the whole program
// with all its libraries, and a benchmark to profile it with.
package main
