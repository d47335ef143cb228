// Package faults tries to break the promise of the program: acknowledged means stored, once and
// in order, and the trouble of one client is not that of another.
//
// A run starts three real brokers once (every partition has three replicas and takes writes while
// two of them are in sync), and for each schedule one or more millrace processes of the built
// program, with a topic of their own. Clients produce and read over sockets. Then something
// breaks, for a while; what became of each record is checked afterwards against the log itself.
//
// The parts, each of which knows little of the others:
//
//   - schedules.go: the table of what is done, in what order. Begin there.
//   - fault.go, fault_*.go: what can break, by [Fault]: how it begins, and how it ends.
//   - proxy.go, pipe.go: the network between nodes and brokers, which can be made slow, deaf or
//     dead in one direction. Brokers talk to each other past it.
//   - cluster.go: the brokers. node.go: the processes, with their memory.
//   - traffic.go: what clients do meanwhile, and were told.
//   - probe.go: when the service answered again, and when the Kafka cluster itself did, which is
//     measured by a bare client that takes no way through the program.
//   - logs.go: what the brokers logged that a broken peer does not explain.
//   - run.go: one schedule from beginning to end. report.go: its row of docs/reliability.md.
//
// `make faults` runs all and writes the table; `make faults-short` runs those that CI has time
// for. Nothing but tests imports this package.
package faults
