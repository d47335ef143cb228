package config

import (
	"log/slog"
	"time"

	"millrace/auth"
	"millrace/batch"
	"millrace/cluster"
	"millrace/consumer"
	"millrace/ingest"
	"millrace/internal/kafka"
	"millrace/internal/tracing"
	"millrace/metadata"
	"millrace/metrics"
	"millrace/schema"
	"millrace/server"
	"millrace/server/api"
	"millrace/server/peer"
	"millrace/server/rest"
	v3 "millrace/server/v3"
)

// Sources are the places that settings come from, in rising order of weight.
type Sources struct {
	// Preset holds name=value pairs that the program brings itself, such as
	// what dev mode needs; everything else outweighs them.
	Preset []string
	// File is the path of a Java properties file; empty means none.
	File string
	// Environ is an environment as [os.Environ] gives it; only variables that
	// begin with KAFKA_REST_ are looked at.
	Environ []string
	// Set holds name=value pairs of the command line.
	Set []string
}

// Config holds the settings of every package. Durations, sizes and counts are
// within the ranges that docs/settings.md states.
type Config struct {
	// ID names this node among others.
	ID string
	// LogLevel and LogFormat ("text" or "json") shape the program's log.
	LogLevel  slog.Level
	LogFormat string

	// Certificates are those of the HTTPS listeners.
	Certificates *Certificates

	// Server is of the HTTP edge, REST of the v1 and v2 API, Produce of the records of v3, Peer of
	// requests between nodes.
	Server  server.Settings
	REST    rest.Settings
	Produce v3.ProduceSettings
	Peer    peer.Settings
	// Endpoints are those that are served.
	Endpoints api.Endpoints
	// Ingest is of the routes for events without an envelope.
	Ingest ingest.Settings
	// Access is who callers can be and what they may do; AccessInterval is how often its files are
	// looked at.
	Access         auth.Settings
	AccessInterval time.Duration
	// MaxPrincipals bounds the logins of callers that have connections to Kafka, PrincipalIdle is
	// how long they are kept unused.
	MaxPrincipals int
	PrincipalIdle time.Duration
	// AuditTopic gets refused requests and changes; empty: none does.
	AuditTopic string
	// Admin serves /admin/config (admin.enable), UI the dashboard (ui.enable).
	Admin, UI bool

	Batch    batch.Settings
	Consumer consumer.Settings
	Metadata metadata.Settings
	Metrics  metrics.Settings
	// Cluster is for a node that is one of several; its Logger is nil.
	Cluster Cluster
	Schema  schema.Settings
	Tracing tracing.Settings

	// Kafka is how to reach the cluster for metadata and administration;
	// KafkaProduce and KafkaConsume are the same for the two sides, with
	// producer.* and consumer.* in place of client.* where given. Their Logger and Hooks are nil.
	Kafka, KafkaProduce, KafkaConsume kafka.Settings
	// Producer and KafkaConsumer are the Java clients' own settings.
	Producer      kafka.Producer
	KafkaConsumer kafka.Consumer

	// NotUsed lists the settings that were given and do nothing here, each
	// with its place and the reason, in the order of the sources.
	NotUsed []string

	effective []Effective
	// runtime are the entries that were given for settings which can change
	// at run time, by name; none of those is a secret.
	runtime map[string]entry
}

// Cluster is how the node is one of several.
type Cluster struct {
	cluster.Settings
	// Enabled says whether it is.
	Enabled bool
	// URL is where other nodes reach this one; empty is for the program to find out.
	URL string
}

// Load reads the sources, checks every setting and returns the result. The
// error is a [Faults] with everything that is wrong, or says why the file
// cannot be read.
func Load(src Sources) (*Config, error) {
	d := &draft{given: map[string]entry{}, shown: map[string]string{}, ownListeners: newOwnListeners()}
	if err := d.read(src); err != nil {
		return nil, err
	}
	d.apply()
	d.check()
	d.connect()
	d.schemas()
	d.listen()
	if len(d.faults) > 0 {
		d.faults.sort()
		return nil, d.faults
	}
	d.record()
	return &d.Config, nil
}
