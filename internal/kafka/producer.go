package kafka

import (
	"math"
	"time"
)

// Defaults for the fields of [Producer], as Kafka's Java producer has them.
const (
	defaultBatchBytes   = 16 << 10
	defaultRequestBytes = 1 << 20
	defaultInFlight     = 5
	defaultDelivery     = 2 * time.Minute
)

// DefaultProducer returns the defaults of Kafka's Java producer.
func DefaultProducer() Producer {
	return Producer{
		Acks:            -1,
		Idempotent:      true,
		MaxInFlight:     defaultInFlight,
		BatchBytes:      defaultBatchBytes,
		MaxRequestBytes: defaultRequestBytes,
		Compression:     None,
		DeliveryTimeout: defaultDelivery,
		RequestTimeout:  defaultRequestTimeout,
		SilenceLimit:    DefaultSilence,
		Retries:         math.MaxInt32,
	}
}

// WithDefaults returns p with the defaults in place of sizes and times that are zero. Zero Acks,
// Idempotent and Retries are values.
func (p Producer) WithDefaults() Producer {
	p.BatchBytes = orElse(p.BatchBytes, defaultBatchBytes)
	p.MaxRequestBytes = orElse(p.MaxRequestBytes, defaultRequestBytes)
	p.MaxInFlight = orElse(p.MaxInFlight, defaultInFlight)
	p.DeliveryTimeout = orElse(p.DeliveryTimeout, defaultDelivery)
	p.RequestTimeout = orElse(p.RequestTimeout, defaultRequestTimeout)
	p.SilenceLimit = orElse(p.SilenceLimit, DefaultSilence)
	if p.Retries < 0 || p.Retries >= math.MaxInt32 {
		p.Retries = math.MaxInt // Java's maximum means "until the delivery timeout"
	}
	return p
}
