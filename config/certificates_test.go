package config

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"
)

// handshakes loads an https listener with a key store, and shakes hands at the address that it
// returns until t ends.
func handshakes(t *testing.T, store string) (c *Config, addr string) {
	t.Helper()
	c = load(t, "listeners=https://127.0.0.1:0", "ssl.keystore.type=PEM", "ssl.keystore.location="+store)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", c.Server.Listeners[0].TLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_ = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	return c, ln.Addr().String()
}

// A listener shows the renewed certificate to new connections, and keeps the former one while the
// store cannot be used.
func TestCertificatesAreRenewed(t *testing.T) {
	dir := t.TempDir()
	first, second := newAuthority(t, "localhost"), newAuthority(t, "localhost")
	store := writeFile(t, dir, "keys.pem", first.keyPEM(t)+certPEM(first.leaf))
	c, addr := handshakes(t, store)
	shows := func(a authority) bool {
		roots := x509.NewCertPool()
		roots.AddCert(a.root)
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: "localhost"})
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	if !shows(first) || shows(second) {
		t.Fatal("the first certificate is not shown")
	}
	if got := c.Certificates.Expires(); !got.Equal(first.leaf.NotAfter) {
		t.Errorf("it ends %v, want %v", got, first.leaf.NotAfter)
	}
	if changed, err := c.Certificates.Reload(); changed || err != nil {
		t.Errorf("the same store: %v, %v", changed, err)
	}
	replace := func(text string) (bool, error) {
		if err := os.WriteFile(store, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return c.Certificates.Reload()
	}
	if changed, err := replace("half of"); changed || err == nil || !shows(first) {
		t.Errorf("a store that cannot be used: %v, %v", changed, err)
	}
	if changed, err := replace(second.keyPEM(t) + certPEM(second.leaf)); !changed || err != nil || !shows(second) || shows(first) {
		t.Errorf("a renewed store: %v, %v", changed, err)
	}
}

// When the trust store is replaced, a node trusts what it has now in other nodes too, and no longer
// what it had.
func TestPeersAreTrustedByTheStoreOfNow(t *testing.T) {
	dir := t.TempDir()
	own, first, second := newAuthority(t, "localhost"), newAuthority(t, "localhost"), newAuthority(t, "localhost")
	keys := writeFile(t, dir, "keys.pem", own.keyPEM(t)+certPEM(own.leaf))
	trust := writeFile(t, dir, "trust.pem", certPEM(first.root))
	c := load(t, "listeners=https://127.0.0.1:0", "ssl.keystore.type=PEM", "ssl.keystore.location="+keys, "ssl.truststore.type=PEM", "ssl.truststore.location="+trust)
	trusts := func(a authority) bool {
		_, addr := handshakes(t, writeFile(t, t.TempDir(), "keys.pem", a.keyPEM(t)+certPEM(a.leaf)))
		conn, err := tls.Dial("tcp", addr, c.Peer.TLS()) // by its address, as Kubernetes names pods
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	if !trusts(first) || trusts(second) {
		t.Fatal("the first trust store does not hold")
	}
	if err := os.WriteFile(trust, []byte(certPEM(second.root)), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Certificates.Reload(); !changed || err != nil || !trusts(second) || trusts(first) {
		t.Errorf("a replaced trust store: %v, %v", changed, err)
	}
}

// Only the versions of TLS that the settings say are spoken: by default not those before 1.2.
func TestOldVersionsOfTLSAreNotSpoken(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, "localhost")
	store := writeFile(t, dir, "keys.pem", a.keyPEM(t)+certPEM(a.leaf))
	_, addr := handshakes(t, store)
	roots := x509.NewCertPool()
	roots.AddCert(a.root)
	for version, spoken := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{
			RootCAs: roots, ServerName: "localhost", MinVersion: version, MaxVersion: version, Renegotiation: tls.RenegotiateFreelyAsClient,
		})
		if (err == nil) != spoken {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// Each part has the listeners that its setting names, and the others serve the rest.
func TestListenersOfParts(t *testing.T) {
	c := load(t, "listeners=http://0.0.0.0:8082", "listeners.admin=http://127.0.0.1:9000", "listeners.dashboard=http://127.0.0.1:9000", "listeners.metrics=http://10.0.0.1:9001")
	want := map[string]int{"0.0.0.0:8082": 1, "127.0.0.1:9000": 2 + 4, "10.0.0.1:9001": 8}
	for _, l := range c.Server.Listeners {
		if int(l.Serves) != want[l.Addr] {
			t.Errorf("%s serves %b, want %b", l.Addr, l.Serves, want[l.Addr])
		}
		delete(want, l.Addr)
	}
	if len(want) > 0 {
		t.Errorf("these do not listen: %v", want)
	}
}
