// Package deadletter is the form of the records in the dead-letter topics of ingest routes, and
// what reads and replays them.
//
// A record's value is the event as it came; headers name its route, its topic and the reason.
// [Read] selects events of a topic, [Replayer] posts one to its route again, as a request of one
// event with what the rules of the route read of the first request. A record that Kafka refused
// when the spool sent it is made already, and [Writer] writes it to its topic. Neither deletes
// anything.
package deadletter
