// Package config turns what an operator wrote into the typed settings of each
// package: a Java properties file, the environment (KAFKA_REST_…) and
// --set name=value, the later one winning.
//
// It is for a drop-in: a kafka-rest.properties that served the Confluent proxy
// must work here, or the operator must be told exactly what does not. So every
// name is one of four things: a setting of ours (a row of the table), a name
// that only means something to Java (accepted, listed in [Config.NotUsed]), a
// name that would be dangerous to ignore (refused with the reason), or a
// mistake (refused with the nearest known name). The middle two stand in
// foreign.go. All faults of a configuration are found and reported together,
// each with its place.
//
// The table (table_*.go) drives everything: names, parsers, defaults, where a
// value is stored, docs/settings.md and what check-config prints. To add a
// setting, add a row and run the tests with -update.
//
// The way of a value: sources.go collects the entries of all sources and
// resolves their names; kinds.go parses a text; the row's store function puts
// it into the draft (draft.go); checks.go, listeners.go and security.go look at
// several settings together and build listeners, TLS and SASL.
//
// Settings whose row says runtime can change in a running program: runtime.go makes a new
// Config out of the old one and what an operator changed, all of it or nothing. The owner of
// the parts applies it.
//
// The package never opens a connection, never logs, and keeps no secret: what
// it holds for printing is masked when it is stored, and no fault quotes a
// value that may be a password. It opens the properties file and key stores;
// internal/javaconf parses them.
//
// [Load] may be called any number of times, also at once; a [Config] is the
// caller's and is not touched again.
package config
