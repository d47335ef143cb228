package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"millrace/internal/testkit"
	"millrace/server"
)

// authority makes certificates for nodes on this host.
type authority struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.root, a.key = a.sign(t, template)
	a.pool.AddCert(a.root)
	return a
}

// sign signs a certificate, with itself while there is no root.
func (a *authority) sign(t *testing.T, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, by := a.root, a.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed, key
}

// certificate returns one for a node.
func (a *authority) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	leaf, key := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

// secured makes the other nodes reach a node over TLS.
func (a *authority) secured(t *testing.T, auth tls.ClientAuthType, own ...tls.Certificate) func(*stackOptions) {
	return func(o *stackOptions) {
		o.server.Listeners = append(o.server.Listeners, server.Listener{
			Addr: "127.0.0.1:0",
			TLS:  &tls.Config{Certificates: []tls.Certificate{a.certificate(t)}, ClientAuth: auth, ClientCAs: a.pool},
		})
		o.peer.TLS = func() *tls.Config { return &tls.Config{RootCAs: a.pool, Certificates: own} }
	}
}

func TestNodesOverTLS(t *testing.T) {
	t.Parallel()
	for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequireAndVerifyClientCert} {
		t.Run(fmt.Sprint(auth), func(t *testing.T) {
			t.Parallel()
			b := testkit.Fake(t).Broker
			a := newAuthority(t)
			var own []tls.Certificate
			if auth == tls.RequireAndVerifyClientCert {
				own = append(own, a.certificate(t))
			}
			var all []*stack
			for _, id := range []string{"a", "b", "c"} {
				all = append(all, start(t, b, asNode("node-"+id), a.secured(t, auth, own...)))
			}
			i, topic := prepare(t, all, "subscription", `,"auto.commit.enable":"false"`, 1000)
			got := tally{}
			got.readAll(t, all, i, 1000)
			all[2].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
			if n := got.repeated(); n != 0 {
				t.Errorf("%d records came again though nothing went wrong", n)
			}

			// The death of a node with an undelivered response is detected here as well.
			produceNumbers(t, b, topic, 1000, 10)
			conn, err := tls.Dial("tcp", all[0].addrs[1].String(), &tls.Config{RootCAs: a.pool, Certificates: own})
			if err != nil {
				t.Fatal(err)
			}
			readOver(t, conn, all[0], i).Close()
			all[2].do(t, "POST", i+"/offsets", "", plainV2).want(t, 503, "50308")
			got.readAll(t, all[2:], i, 1010)

			// An orderly end leaves no response unconfirmed.
			produceNumbers(t, b, topic, 1010, 10)
			got.readAll(t, all[1:2], i, 1020)
			all[1].drain(t)
			all[2].doMoved(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
			all[2].do(t, "GET", i+"/offsets?topic="+topic+"&partition=0", "").want(t, 200, `"offset":510`)

			all[0].drain(t)
			produceNumbers(t, b, topic, 1020, 10)
			got.readAll(t, all[2:], i, 1030)
			if n := got.repeated(); n != 0 {
				t.Errorf("%d records came again", n)
			}
		})
	}
}

// The secret alone is not enough where certificates are required, nor is a certificate of another
// authority.
func TestNodeWithoutACertificate(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	a, another := newAuthority(t), newAuthority(t)
	const auth = tls.RequireAndVerifyClientCert
	owner := start(t, b, asNode("node-a"), a.secured(t, auth, a.certificate(t)))
	i, _ := prepare(t, []*stack{owner}, "assignments", "", 10)
	for id, own := range map[string][]tls.Certificate{"bare": nil, "foreign": {another.certificate(t)}} {
		other := start(t, b, asNode(id), a.secured(t, auth, own...))
		other.do(t, "GET", i+"/assignments", "").want(t, 503, "50307")
	}
	good := start(t, b, asNode("node-b"), a.secured(t, auth, a.certificate(t)))
	good.do(t, "GET", i+"/assignments", "").want(t, 200, "partitions")
}
