// Command bench measures millrace beside its limits, on one Kafka, in one run:
//
//	go run ./bench                       everything, on a Kafka that it starts
//	go run ./bench -only produce -records 1,100 -formats json,avro -compression none,zstd
//	go run ./bench -peer Confluent=http://127.0.0.1:8082,4711 -brokers 127.0.0.1:9092
//	go run ./bench -quick                does it all work?
//
// It prints Markdown tables, and writes every figure with machine, Go version,
// commit and settings to bench/results/DATE.json, with plots in DATE.svg.
//
// # What is measured
//
// Produce requests come in the cases of matrix.go, which have each dimension
// without the product of all: 200-byte JSON at 1, 10, 100 and 1000 records,
// binary and Avro at 1 and 100, every codec at 100 and 1000, and 1 KiB at 1 and
// 100. Any of -records, -compression, -value-bytes and -formats replaces them by
// the product of all four. Avro's values are the same JSON objects, as maps of
// strings; the avro suite has a record with a schema of 19 fields.
//
// # How to read the tables
//
// The limits are the HTTP floor, a fasthttp server that reads the body and
// answers a constant, and the Kafka floor, a bare producer of the Kafka client
// that millrace uses, fed with finished records out of memory, as many at a time
// as the HTTP load has on its way. A node cannot do with less CPU than
// both together, except where it makes larger batches than the floor did; the
// second table shows how close it comes. Each row is divided by limits of its
// own: bodies of its format, the bytes that Kafka holds of them, its codec. A
// look-up's limit gives the same answer, a page's has pages as large.
//
// Other proxies stand in a table of their own, with their CPU over ours: peers
// that were measured in this run, and, marked, figures of another day and
// machine (peers.go). A peer compresses as it is set, whatever its row's codec
// says; it takes the produce requests that need no registry, and the look-ups
// that every REST proxy has.
//
// CPU is the process's own user and system time, to a hundredth of a second
// over the window, and carries over to other machines of a kind. Requests per
// second do not: clients, Kafka and server share the machine. The load is a
// closed loop, so latency is that of a saturated server; the latency suite has
// an open one, at half of the rate. CPU and rates are of the best round, and "±"
// is how much more CPU the worst one took; a difference between rows that is
// smaller than that is none.
//
// Every server is a process of its own and runs alone: started, warmed up,
// measured, stopped. Rounds alternate in order (A B C, C B A), so that what
// drifts on the machine meets all alike. After each run the topic is read back
// and compared with what was acknowledged, by number and by a sum of hashes of
// the values: a run that lost, doubled or changed a record has no figures, and
// the program exits with 1. (The JSON of a peer, which may write it in its own
// way, is only counted.) Fetch runs check that they read every offset once.
//
// Allocations are counted by the server itself, as its metrics say.
//
// # Where things are
//
// main.go and options.go: the program. produce.go, fetch.go, metadata.go,
// latency.go, growth.go, memory.go, avro.go, ingest.go, instances.go: the suites; matrix.go:
// the cases of produce requests; peers.go: other proxies. child.go: this program
// as its own parts, in processes of their own; load.go, fetch_children.go,
// stream_children.go: the load generators; floors.go: the limits.
// window.go: how one run is measured. records.go and payload.go: the input, from
// real records; content.go: how it is read back. report.go, ratio.go, goals.go,
// table.go, plot.go: what comes out. The instruments are those of internal/lab.
//
// alloc_test.go holds the budget of allocations a request for the whole program
// with all its libraries, and a benchmark to profile it with.
package main
