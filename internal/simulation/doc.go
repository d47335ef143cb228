// Package simulation runs the produce side and the consume side on a Kafka cluster in memory, with
// a clock of their own, while everything that a seed can think of fails.
// All of it is in the tests, which hold what clients were told against the log.
//
// A seed decides a world (how many brokers, the latency, the versions of Kafka's requests), what
// each client does, and a schedule of events: broker connections that end, requests and responses
// that are lost or late, error codes, leaders that move, brokers that are gone, topics that are
// deleted and created again.
//
//   - network_test.go, pipe_test.go: connections in memory, with latency, that can be cut, lose
//     a frame or fall silent.
//   - broker_test.go: kfake on that network. screen_test.go gives it what a real broker has and
//     kfake does not: records that break a rule of their topic are refused by name.
//   - schedule_test.go: the events, from a seed.
//   - produce_test.go, consume_test.go: the clients, and what must hold.
//   - run_test.go: seeds, their reports, and how a schedule that fails is made shorter.
//
// The clients' requests and their answers are a history of package millrace/loadtest/check, which
// judges it.
//
// The clock is that of [testing/synctest]: it moves only when everything waits, so that a schedule
// of a minute takes milliseconds. A seed decides all of the above, and not the order in which
// goroutines run that could run at once, nor the jitter of retries; a seed that fails does so most
// of the time, not always.
//
// Groups read by the protocol of KIP-848 alone. With the classic one the client library waits for a
// lock that it holds over JoinGroup, which keeps the clock of a bubble from moving.
//
// MILLRACE_SEED runs one seed, MILLRACE_SEEDS that many of them.
package simulation
