package config

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

const storePassword = "hunter2-store"

// authority is a certificate authority of a test, with one certificate that it signed.
type authority struct {
	root, leaf *x509.Certificate
	key        *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, names ...string) authority {
	t.Helper()
	rootKey, leafKey := newKey(t), newKey(t)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of " + t.Name()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signedRoot := sign(t, root, root, rootKey.Public(), rootKey)
	return authority{signedRoot, sign(t, leaf, signedRoot, leafKey.Public(), rootKey), leafKey}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, cert, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func (a authority) keyDER(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (a authority) keyPEM(t *testing.T) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: a.keyDER(t)}))
}

func certPEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// jksStores writes a key store and a trust store in Java's own format.
func (a authority) jksStores(t *testing.T, dir, keyPassword string) (keys, trust string) {
	t.Helper()
	keyStore, trustStore := keystore.New(), keystore.New()
	chain := []keystore.Certificate{{Type: "X509", Content: a.leaf.Raw}, {Type: "X509", Content: a.root.Raw}}
	entry := keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: a.keyDER(t), CertificateChain: chain}
	if err := keyStore.SetPrivateKeyEntry("server", entry, []byte(keyPassword)); err != nil {
		t.Fatal(err)
	}
	if err := trustStore.SetTrustedCertificateEntry("root", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: chain[1]}); err != nil {
		t.Fatal(err)
	}
	var keyBytes, trustBytes bytes.Buffer
	if err := errors.Join(keyStore.Store(&keyBytes, []byte(storePassword)), trustStore.Store(&trustBytes, []byte(storePassword))); err != nil {
		t.Fatal(err)
	}
	return writeFile(t, dir, "keys.jks", keyBytes.String()), writeFile(t, dir, "trust.jks", trustBytes.String())
}

// pkcs12Stores writes the same in PKCS#12.
func (a authority) pkcs12Stores(t *testing.T, dir string) (keys, trust string) {
	t.Helper()
	keyBytes, err := pkcs12.Modern.Encode(a.key, a.leaf, []*x509.Certificate{a.root}, storePassword)
	if err != nil {
		t.Fatal(err)
	}
	trustBytes, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{a.root}, storePassword)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, dir, "keys.p12", string(keyBytes)), writeFile(t, dir, "trust.p12", string(trustBytes))
}

// TestStoreFormats makes the same stores in every format and shakes hands with
// what was read: the server's side from the HTTPS settings, the client's from
// those of Kafka, each showing the other its certificate.
func TestStoreFormats(t *testing.T) {
	a := newAuthority(t, "localhost")
	dir := t.TempDir()
	jksKeys, jksTrust := a.jksStores(t, dir, storePassword)
	otherDir := t.TempDir()
	jksOther, _ := a.jksStores(t, otherDir, "hunter2-key")
	p12Keys, p12Trust := a.pkcs12Stores(t, dir)
	pemKeys := writeFile(t, dir, "keys.pem", a.keyPEM(t)+certPEM(a.leaf)+certPEM(a.root))
	pemTrust := writeFile(t, dir, "trust.pem", certPEM(a.root))

	formats := map[string][]string{
		"JKS": stores(jksKeys, jksTrust, "JKS"),
		"JKS with a key password": append(
			stores(jksOther, jksTrust, "JKS"), "ssl.key.password=hunter2-key",
		),
		"JKS trust store without password": {
			"ssl.keystore.location=" + jksKeys, "ssl.keystore.password=" + storePassword, "ssl.truststore.location=" + jksTrust,
		},
		"PKCS12":            stores(p12Keys, p12Trust, "PKCS12"),
		"PKCS12 called JKS": stores(p12Keys, p12Trust, "JKS"),
		"PEM": {
			"ssl.keystore.type=PEM", "ssl.keystore.location=" + pemKeys, "ssl.truststore.type=pem", "ssl.truststore.location=" + pemTrust,
		},
		"PEM text": {
			"ssl.keystore.type=PEM", "ssl.keystore.key=" + a.keyPEM(t), "ssl.keystore.certificate.chain=" + certPEM(a.leaf) + certPEM(a.root),
			"ssl.truststore.type=PEM", "ssl.truststore.certificates=" + certPEM(a.root),
		},
	}
	for name, settings := range formats {
		t.Run(name, func(t *testing.T) { shakeHands(t, settings) })
	}
}

func stores(keys, trust, storeType string) []string {
	return []string{
		"ssl.keystore.type=" + storeType, "ssl.keystore.location=" + keys, "ssl.keystore.password=" + storePassword,
		"ssl.truststore.type=" + storeType, "ssl.truststore.location=" + trust, "ssl.truststore.password=" + storePassword,
	}
}

// shakeHands loads ssl.* settings for both ends and connects them, each asking
// for the other's certificate.
func shakeHands(t *testing.T, settings []string) {
	t.Helper()
	set := []string{"listeners=https://127.0.0.1:0", "ssl.client.authentication=REQUIRED", "client.security.protocol=SSL"}
	for _, s := range settings {
		set = append(set, s, "client."+s)
	}
	c := load(t, set...)
	client := c.KafkaProduce.TLS.Clone()
	client.ServerName = "localhost"
	state, err := connect(t, c.Server.Listeners[0].TLS, client)
	if err != nil {
		t.Fatal(err)
	}
	if state.Version != tls.VersionTLS13 || len(state.PeerCertificates) != 2 {
		t.Errorf("got version %x and %d certificates", state.Version, len(state.PeerCertificates))
	}
}

// connect runs a handshake over loopback and returns the client's view of it,
// or the first error of either end.
func connect(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		// The byte makes the client read, and so see whether its certificate was taken.
		_, err = tls.Server(conn, server).Write([]byte{1})
		served <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), client)
	if err != nil {
		return tls.ConnectionState{}, errors.Join(err, <-served)
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	return conn.ConnectionState(), errors.Join(err, <-served)
}

func TestStoreFaults(t *testing.T) {
	a, b := newAuthority(t, "localhost"), newAuthority(t, "localhost")
	dir := t.TempDir()
	jksKeys, jksTrust := a.jksStores(t, dir, "hunter2-key")
	p12Keys, _ := a.pkcs12Stores(t, dir)
	pemKeys := writeFile(t, dir, "keys.pem", a.keyPEM(t)+certPEM(a.leaf))
	mixed := writeFile(t, dir, "mixed.pem", a.keyPEM(t)+certPEM(b.leaf))
	encrypted := writeFile(t, dir, "encrypted.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for _, f := range []struct {
		set  []string
		want string
	}{
		{[]string{"ssl.keystore.location=" + dir + "/none"}, "ssl.keystore.location: cannot be read: open "},
		{[]string{"ssl.keystore.location=" + jksKeys, "ssl.keystore.password=hunter2-wrong"}, "the password is wrong or the store is damaged"},
		{[]string{"ssl.keystore.location=" + jksKeys, "ssl.keystore.password=" + storePassword}, `the key "server" cannot be decrypted`},
		{[]string{"ssl.keystore.location=" + p12Keys, "ssl.keystore.password=hunter2-wrong"}, "the password is wrong or the store is damaged"},
		{[]string{"ssl.keystore.location=" + jksTrust, "ssl.keystore.password=" + storePassword}, "it holds no private key"},
		{[]string{"ssl.keystore.location=" + pemKeys}, "is a PEM file, and the type says JKS; allowed: type PEM"},
		{[]string{"ssl.keystore.location=" + pemKeys, "ssl.keystore.type=PEM", "ssl.keystore.password=hunter2"}, "ssl.keystore.password: does not go with type PEM"},
		{[]string{"ssl.keystore.location=" + encrypted, "ssl.keystore.type=PEM"}, "its key is encrypted, and ssl.key.password is missing"},
		{[]string{"ssl.keystore.location=" + mixed, "ssl.keystore.type=PEM"}, "there is no certificate of the private key"},
		{[]string{"ssl.keystore.key=" + a.keyPEM(t), "ssl.keystore.certificate.chain=" + certPEM(a.leaf)}, "ssl.keystore.type: JKS does not go with"},
		{[]string{"ssl.keystore.key=" + a.keyPEM(t), "ssl.keystore.type=PEM"}, "ssl.keystore.certificate.chain: is missing"},
		{[]string{"ssl.truststore.location=" + pemKeys, "ssl.truststore.type=PEM", "ssl.truststore.password=hunter2"}, "ssl.truststore.password: does not go with type PEM"},
		{[]string{"ssl.truststore.certificates=nothing", "ssl.truststore.type=PEM"}, "it holds no certificate to trust"},
		{[]string{"ssl.keystore.type=JCEKS"}, `"JCEKS" is not supported; allowed: JKS, PKCS12, PEM`},
		{[]string{"client.ssl.truststore.location=" + dir + "/none"}, "client.ssl.truststore.location: cannot be read"}, // once, not for each side
		{[]string{"producer.ssl.truststore.location=" + dir + "/none"}, "producer.ssl.truststore.location: cannot be read"},
		{[]string{"ssl.client.authentication=REQUIRED"}, "asks for certificates, but nothing says which to trust"},
		{[]string{"ssl.enabled.protocols=SSLv3"}, `"SSLv3" is not supported`},
		{[]string{"ssl.enabled.protocols=TLSv1.1,TLSv1.3"}, "leaves out a version between others"},
		{[]string{"client.ssl.cipher.suites=TLS_NONE"}, `"TLS_NONE" is not supported`},
		{[]string{"client.ssl.endpoint.identification.algorithm=ldaps"}, "https, or empty for no check"},
	} {
		if got := loadFault(t, f.set...); !strings.Contains(got, f.want) || strings.Contains(got, "hunter2") || strings.Contains(got, "BEGIN") {
			t.Errorf("got  %s\nwant %s and no secret", got, f.want)
		}
	}
}

func TestTLSSettings(t *testing.T) {
	a := newAuthority(t, "elsewhere.example")
	stranger := newAuthority(t, "elsewhere.example")
	dir := t.TempDir()
	keys := writeFile(t, dir, "keys.pem", a.keyPEM(t)+certPEM(a.leaf))
	trust := writeFile(t, dir, "trust.pem", certPEM(a.root))
	strange := writeFile(t, dir, "strange.pem", certPEM(stranger.root))
	base := []string{"listeners=https://:0", "client.security.protocol=SSL", "ssl.keystore.type=PEM", "ssl.keystore.location=" + keys, "client.ssl.truststore.type=PEM"}
	for _, c := range []struct {
		name string
		set  []string
		want string
	}{
		{"trusted, another host's name", []string{"client.ssl.truststore.location=" + trust}, "not localhost"},
		{"trusted, name not checked", []string{"client.ssl.truststore.location=" + trust, "client.ssl.endpoint.identification.algorithm="}, ""},
		{"not trusted, name not checked", []string{"client.ssl.truststore.location=" + strange, "client.ssl.endpoint.identification.algorithm="}, "cannot verify the server's certificate"},
		{"a client certificate wanted and none shown", []string{
			"client.ssl.truststore.location=" + trust, "client.ssl.endpoint.identification.algorithm=",
			"ssl.client.authentication=REQUIRED", "ssl.truststore.type=PEM", "ssl.truststore.location=" + trust,
		}, "didn't provide a certificate"},
		{"a client certificate welcome and none shown", []string{
			"client.ssl.truststore.location=" + trust, "client.ssl.endpoint.identification.algorithm=", "ssl.client.auth=true",
			"ssl.client.authentication=REQUESTED", "ssl.truststore.type=PEM", "ssl.truststore.location=" + trust,
		}, ""},
		{"no version in common", []string{
			"client.ssl.truststore.location=" + trust, "client.ssl.endpoint.identification.algorithm=",
			"ssl.enabled.protocols=TLSv1.3", "client.ssl.enabled.protocols=TLSv1.2",
		}, "protocol version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			loaded := load(t, append(base[:len(base):len(base)], c.set...)...)
			client := loaded.Kafka.TLS.Clone()
			client.ServerName = "localhost"
			_, err := connect(t, loaded.Server.Listeners[0].TLS, client)
			if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	loaded := load(t, append(base, "client.ssl.truststore.location="+trust, "ssl.cipher.suites=TLS_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ssl.enabled.protocols=TLSv1.2")...)
	client := loaded.Kafka.TLS.Clone()
	client.ServerName = "elsewhere.example"
	state, err := connect(t, loaded.Server.Listeners[0].TLS, client)
	if err != nil || state.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 || state.Version != tls.VersionTLS12 {
		t.Errorf("got suite %x of version %x, %v", state.CipherSuite, state.Version, err)
	}
}
