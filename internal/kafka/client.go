package kafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Defaults for the fields of [Settings] that are zero.
const (
	defaultClientID       = "millrace"
	defaultRequestTimeout = 30 * time.Second // request.timeout.ms of the Java clients
	defaultMetadataMaxAge = 5 * time.Minute  // metadata.max.age.ms of the Java clients
	// The client retries a broker that accepts no connection within this time; with Java's 10 s
	// one dead host would be the longest part of many requests.
	defaultDialTimeout = 5 * time.Second
)

const (
	// idleTimeout closes connections that were not used. The library may take twice as long, and
	// brokers close at 10 minutes by default (connections.max.idle.ms). The client must close
	// first: otherwise the broker closes a connection, the client writes a request into it before
	// it notices, and the request fails.
	idleTimeout = 4 * time.Minute

	// lookUpEvery is how soon after a look-up of leaders and brokers another may follow.
	lookUpEvery = 250 * time.Millisecond

	minBackoff, maxBackoff = 100 * time.Millisecond, time.Second // retry.backoff(.max).ms of the Java clients

	// maxAnswerBytes is the library's and Kafka's own default for one frame
	// (socket.request.max.bytes): a larger frame comes from a broken peer.
	maxAnswerBytes = 100 << 20
)

// NewAdmin builds the client for look-ups: metadata, offsets and
// configurations. It holds no records, so that its connections are never
// behind a produce or a fetch. The caller closes it.
func NewAdmin(base Settings, opts ...kgo.Opt) (*kgo.Client, error) {
	all, err := baseOpts(base, "")
	if err != nil {
		return nil, err
	}
	all = append(all,
		// The context of the caller bounds a look-up; this is the bound of one without a
		// deadline.
		kgo.RetryTimeout(orElse(base.RequestTimeout, defaultRequestTimeout)),
		// After a leader moved, offsets are read from the new one this soon.
		kgo.MetadataMinAge(lookUpEvery),
	)
	client, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot build the Kafka client for look-ups: %w", err)
	}
	return client, nil
}

// baseOpts returns the options that all clients share. Topic creation stays off in every one of
// them (the library's default): package metadata decides whether a topic may be created, before a
// record goes to a client.
func baseOpts(s Settings, clientID string) ([]kgo.Opt, error) {
	if len(s.Brokers) == 0 {
		return nil, errors.New("cannot build a Kafka client: no brokers to bootstrap from")
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(s.Brokers...),
		kgo.WithHooks(s.Hooks...),
		kgo.ClientID(orElse(clientID, orElse(s.ClientID, defaultClientID))),
		// It identifies the client in the brokers' metrics.
		kgo.SoftwareNameAndVersion("millrace", softwareVersion()),
		kgo.RequestTimeoutOverhead(orElse(s.RequestTimeout, defaultRequestTimeout)),
		kgo.ConnIdleTimeout(idleTimeout),
		kgo.MetadataMaxAge(orElse(s.MetadataMaxAge, defaultMetadataMaxAge)),
		kgo.RetryBackoffFn(Backoff),
		// The library's default, spelled out: with our backoff that is about the time that a
		// broker needs to restart.
		kgo.RequestRetries(20),
		// A connection that is closed before its first response is a sign of wrong TLS settings,
		// but also of a load balancer in front of a broker that restarts. The library fails
		// records in the first case; without this option it would lose them in the second.
		kgo.AlwaysRetryEOF(),
		// Broker-side client telemetry (KIP-714) means requests of their
		// own from every client, consumer instances included; millrace has
		// metrics.
		kgo.DisableClientMetrics(),
	}
	if s.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(s.TLS))
	}
	if s.Dial != nil {
		opts = append(opts, kgo.Dialer(s.Dial))
	}
	opts = append(opts, kgo.DialTimeout(orElse(s.DialTimeout, defaultDialTimeout)))
	if s.SASL != nil {
		opts = append(opts, kgo.SASL(s.SASL))
	}
	if s.Logger != nil {
		opts = append(opts, kgo.WithLogger(newLogger(s.Logger)))
	}
	return opts, nil
}

// Backoff is the wait before retry number fails: doubling, with a fifth of
// jitter so that many clients do not return in step.
func Backoff(fails int) time.Duration {
	wait := maxBackoff
	if fails <= 4 { // 100, 200, 400, 800 ms
		wait = minBackoff << max(fails-1, 0)
	}
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
}

var notVersion = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

// softwareVersion returns the version of this build in the characters that Kafka accepts
// (KIP-511); with a version that it refuses every connection would fail.
func softwareVersion() string {
	version := "dev"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = notVersion.ReplaceAllString(info.Main.Version, "-")
	}
	return version
}

// orElse returns v, or fallback when v is the zero value.
func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
