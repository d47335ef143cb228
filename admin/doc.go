// Package admin describes and changes what the Kafka cluster holds: topics, configurations,
// consumer groups, access control lists, replicas, quotas and users.
//
// It is beside package metadata, which is a cache and read-only: admin asks the brokers each time,
// because whoever changes a thing must see the change, and metadata hears of each change by
// [Deps].Changed, so that the next reader there waits for a new view.
//
// [Admin] uses a Kafka client of its own. A broker that throttles changes (KIP-599) holds up all
// that the client asks, and a request that is given up ends its connection: neither must reach the
// look-ups of the produce path.
//
// All methods may be called concurrently. Each ends with its context, which the caller bounds.
// Requests go through package kadm, and through kmsg where kadm has nothing or leaves out what a
// client is shown. Errors are rows of internal/apierr, in the broker's own words where it has any.
// A change that Kafka applies to many things at once returns an error for each. Topics that are
// reserved for the nodes of the service ([kafka.Reserved]) are neither described nor changed.
//
// Read next: topics.go, configs.go, groups.go and lags.go for reading groups, offsets.go for moving
// them.
package admin
