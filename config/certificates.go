package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// Certificates are the key store and the trust store of the HTTPS listeners, which may be renewed
// while the program runs. Connections that stand keep what they began with.
type Certificates struct {
	source  tlsSource
	loading sync.Mutex
	current atomic.Pointer[tls.Config]
}

// newCertificates makes the certificates whose first state is first, and returns the configuration
// of listeners, which follows them.
func newCertificates(source tlsSource, first *tls.Config) (*Certificates, *tls.Config) {
	c := &Certificates{source: source}
	c.current.Store(first)
	listen := first.Clone()
	listen.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil }
	return c, listen
}

// Reload reads the stores again. changed is false where they hold the same. A store that cannot be
// used changes nothing.
func (c *Certificates) Reload() (changed bool, err error) {
	if c == nil || !c.source.hasKey() {
		return false, nil
	}
	c.loading.Lock()
	defer c.loading.Unlock()
	pairs, fault := c.source.keyPairs()
	var trusted *x509.CertPool
	if fault == nil {
		trusted, fault = c.source.trusted()
	}
	if fault != nil {
		return false, fmt.Errorf("%s %s", fault.setting, fault.problem)
	}
	was := c.current.Load()
	if samePairs(was.Certificates, pairs) && trusted.Equal(was.ClientCAs) {
		return false, nil
	}
	next := was.Clone()
	next.Certificates, next.ClientCAs = pairs, trusted
	c.current.Store(next)
	return true, nil
}

func samePairs(a, b []tls.Certificate) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !reflect.DeepEqual(a[i].Certificate, b[i].Certificate) {
			return false
		}
	}
	return true
}

// toPeers returns what new connections to other nodes have.
func (c *Certificates) toPeers() *tls.Config {
	now := c.current.Load()
	return &tls.Config{
		MinVersion: now.MinVersion, MaxVersion: now.MaxVersion, Certificates: now.Certificates, RootCAs: now.ClientCAs,
		GetClientCertificate: c.own,
	}
}

// own returns the certificate that the node shows to other nodes.
func (c *Certificates) own(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if pairs := c.current.Load().Certificates; len(pairs) > 0 {
		return &pairs[0], nil
	}
	return &tls.Certificate{}, nil
}

// Expires returns when the first of the certificates of the key store ends, the zero time where
// there is none.
func (c *Certificates) Expires() (first time.Time) {
	if c == nil {
		return first
	}
	for _, pair := range c.current.Load().Certificates {
		if len(pair.Certificate) == 0 {
			continue
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err == nil && (first.IsZero() || leaf.NotAfter.Before(first)) {
			first = leaf.NotAfter
		}
	}
	return first
}
