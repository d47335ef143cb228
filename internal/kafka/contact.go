package kafka

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lostContact is how long a client that cannot connect may have heard nothing, from any broker,
// before it counts as cut off. A member of a group hears from Kafka every three seconds at least,
// by its heartbeats.
const lostContact = 4 * time.Second

// Contact knows whether a client hears from Kafka, and if not, why. It is a hook of that client.
// Unlike [Liveness] it knows nothing of single brokers: a client that hears from one is in
// contact. The zero value is ready for use.
type Contact struct {
	heard atomic.Int64          // time of the last answer that was not part of a handshake, Unix ns
	cause atomic.Pointer[error] // of the first attempt to connect that failed since; nil: none did
}

// Lost returns why the client hears nothing from Kafka: the error of an attempt to connect. It is
// nil while the client does, or tries for the first time. It costs one load then.
func (c *Contact) Lost() error {
	cause := c.cause.Load()
	if cause == nil || time.Since(time.Unix(0, c.heard.Load())) < lostContact {
		return nil
	}
	return *cause
}

// OnBrokerConnect implements [kgo.HookBrokerConnect]. A failed handshake of TLS or SASL is an
// error here too.
func (c *Contact) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	c.cause.CompareAndSwap(nil, &err)
}

// OnBrokerRead implements [kgo.HookBrokerRead].
func (c *Contact) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err != nil || isHandshake(key) {
		return
	}
	c.heard.Store(time.Now().UnixNano())
	if c.cause.Load() != nil {
		c.cause.Store(nil)
	}
}

// isHandshake reports whether a request of that key is part of opening a connection:
// SaslHandshake, ApiVersions, SaslAuthenticate.
func isHandshake(key int16) bool { return key == 17 || key == 18 || key == 36 }
