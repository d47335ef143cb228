package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/internal/kafka"
)

// side is one of the uses of Kafka that may be secured differently.
type side int

const (
	admin side = iota
	produce
	consume
	sideCount
)

var (
	sidePrefixes = [sideCount]string{"admin.", "producer.", "consumer."}
	sideNames    = [sideCount]string{"metadata", "producing", "consuming"}
)

// link is how one side reaches Kafka, as it was written.
type link struct {
	brokers                             []bootstrap
	clientID                            string
	requestTimeout, dialTimeout, maxAge time.Duration
	protocol, mechanism, jaas           string
	tokenURL, service                   string
	tls                                 tlsSource
}

// clientID is bounded as the Kafka client library bounds it.
var clientID = kind[string]{allowed: "text of at most 256 bytes", parse: func(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) > 256 {
		return "", fmt.Errorf("has %d bytes", len(s))
	}
	return s, nil
}}

// connect builds the settings of the three sides.
func (d *draft) connect() {
	if !d.isGiven("bootstrap.servers") {
		d.fault("bootstrap.servers", "is missing; allowed: %s", bootstraps.allowed)
	}
	for s, target := range [sideCount]*kafka.Settings{&d.Kafka, &d.KafkaProduce, &d.KafkaConsume} {
		d.connectSide(side(s), target)
	}
	if d.isGiven("producer.client.id") {
		d.Producer.ClientID = d.KafkaProduce.ClientID
	}
	if d.isGiven("consumer.client.id") {
		d.KafkaConsumer.ClientID = d.KafkaConsume.ClientID
	}
}

func (d *draft) connectSide(s side, target *kafka.Settings) {
	l := &d.links[s]
	target.ClientID = l.clientID
	target.RequestTimeout, target.DialTimeout, target.MetadataMaxAge = l.requestTimeout, l.dialTimeout, l.maxAge
	for _, b := range l.brokers {
		target.Brokers = append(target.Brokers, b.address)
	}
	protocol := d.protocolOf(s)
	// Key stores are looked at even where the protocol does not use them, so
	// that a fault in them is found before the protocol is switched.
	config := d.clientTLS(&l.tls, func(name string) string { return d.sideName(s, name) })
	if protocol == "SSL" || protocol == "SASL_SSL" {
		target.TLS = config
	}
	if protocol == "SASL_PLAINTEXT" || protocol == "SASL_SSL" {
		target.SASL = d.mechanismOf(s)
	} else if jaas := d.sideName(s, "sasl.jaas.config"); l.jaas != "" {
		d.tell(d.given[jaas], "the security protocol is "+protocol+", so that nobody logs in and these credentials are not sent")
	}
}

// tell is notUsed for what several sides may meet.
func (d *draft) tell(e entry, why string) {
	before := slices.Clone(d.NotUsed)
	if d.notUsed(e, why); slices.Contains(before, d.NotUsed[len(before)]) {
		d.NotUsed = before
	}
}

// sideName is the name under which the setting of a side was given, or would be.
func (d *draft) sideName(s side, name string) string {
	if d.isGiven(sidePrefixes[s] + name) {
		return sidePrefixes[s] + name
	}
	if name == "bootstrap.servers" {
		return name
	}
	return "client." + name
}

// protocolOf returns the security protocol of a side: the setting, else what
// the prefixes of its brokers agree on, else PLAINTEXT.
func (d *draft) protocolOf(s side) string {
	l := &d.links[s]
	if l.protocol != "" || d.isFaulty(d.sideName(s, "security.protocol")) {
		return l.protocol
	}
	prefixes := map[string]bool{}
	protocol := ""
	for _, b := range l.brokers {
		if b.protocol != "" { // else it has that of the others
			prefixes[b.protocol] = true
			protocol = b.protocol
		}
	}
	if len(prefixes) > 1 {
		d.fault(d.sideName(s, "bootstrap.servers"), "has brokers with different prefixes; allowed: the same prefix for all, or client.security.protocol")
	}
	return cmp.Or(protocol, "PLAINTEXT")
}
