package javaconf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"millrace/internal/testkit"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

const (
	storePassword = "hunter2-store"
	keyPassword   = "hunter2-key"
)

// identity is a private key with its own certificate.
type identity struct {
	key    *ecdsa.PrivateKey
	keyDER []byte
	cert   *x509.Certificate
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, certErr := x509.ParseCertificate(der)
	keyDER, keyErr := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(certErr, keyErr); err != nil {
		t.Fatal(err)
	}
	return identity{key, keyDER, cert}
}

func (id identity) keyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: id.keyDER})
}

func (id identity) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.cert.Raw})
}

// jks is a store with the key and, as a trusted entry, the certificate.
func (id identity) jks(t *testing.T, keyPassword string) []byte {
	t.Helper()
	store, cert := keystore.New(), keystore.Certificate{Type: "X509", Content: id.cert.Raw}
	entry := keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: id.keyDER, CertificateChain: []keystore.Certificate{cert}}
	var b bytes.Buffer
	err := errors.Join(
		store.SetPrivateKeyEntry("own", entry, []byte(keyPassword)),
		store.SetTrustedCertificateEntry("trusted", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: cert}),
		store.Store(&b, []byte(storePassword)),
	)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wantKey checks that one pair was read, with the identity's key and certificate.
func (id identity) wantKey(t *testing.T, pairs []tls.Certificate, err error) {
	t.Helper()
	if err != nil || len(pairs) != 1 {
		t.Errorf("got %d keys, %v", len(pairs), err)
		return
	}
	if !id.key.Equal(pairs[0].PrivateKey) || !pairs[0].Leaf.Equal(id.cert) {
		t.Error("got another key or certificate")
	}
}

func TestJKS(t *testing.T) {
	id := newIdentity(t)
	data := id.jks(t, keyPassword)
	store := Store{Type: "JKS", Data: data, Password: storePassword, KeyPassword: keyPassword}
	pairs, err := store.KeyPairs()
	id.wantKey(t, pairs, err)
	if certs, err := store.Trusted(); err != nil || len(certs) != 2 {
		t.Errorf("trusted: got %d certificates, %v", len(certs), err)
	}
	pairs, err = Store{Type: "PKCS12", Data: id.jks(t, storePassword), Password: storePassword}.KeyPairs() // its bytes show its type
	id.wantKey(t, pairs, err)

	changed := bytes.Clone(data)
	changed[len(changed)-30]++ // in the last certificate
	for name, c := range map[string]struct {
		store Store
		fails bool
	}{
		"no store password":     {Store{Data: data}, false},
		"wrong store password":  {Store{Data: data, Password: "hunter2"}, true},
		"one changed byte":      {Store{Data: changed, Password: storePassword}, true},
		"cut":                   {Store{Data: data[:len(data)-1], Password: storePassword}, true},
		"cut, no password":      {Store{Data: data[:len(data)-21]}, true},
		"nothing but the magic": {Store{Data: data[:4]}, true},
	} {
		certs, err := c.store.Trusted()
		if (err != nil) != c.fails || !c.fails && len(certs) != 2 {
			t.Errorf("%s: got %d certificates, %v", name, len(certs), err)
		}
		if c.fails && c.store.Password != "" && !errors.Is(err, ErrPassword) {
			t.Errorf("%s: got %v, want %v", name, err, ErrPassword)
		}
	}
	if _, err := (Store{Data: data, Password: storePassword, KeyPassword: "hunter2"}).KeyPairs(); !errors.Is(err, ErrPassword) {
		t.Errorf("wrong key password: got %v", err)
	}
}

func TestPKCS12(t *testing.T) {
	id := newIdentity(t)
	keys, err := pkcs12.Modern.Encode(id.key, id.cert, nil, storePassword)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{id.cert}, storePassword)
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := Store{Type: "JKS", Data: keys, Password: storePassword}.KeyPairs()
	id.wantKey(t, pairs, err)
	if certs, err := (Store{Data: trust, Password: storePassword}).Trusted(); err != nil || len(certs) != 1 || !certs[0].Equal(id.cert) {
		t.Errorf("trusted: got %v, %v", certs, err)
	}
	if _, err := (Store{Data: keys, Password: "hunter2"}).KeyPairs(); !errors.Is(err, ErrPassword) {
		t.Errorf("wrong password of keys: got %v", err)
	}
	if _, err := (Store{Data: trust, Password: "hunter2"}).Trusted(); !errors.Is(err, ErrPassword) {
		t.Errorf("wrong password of trust: got %v", err)
	}
}

// Java trusts the certificates of the keys in a key store that it is given as trust store.
func TestKeyStoreAsTrustStore(t *testing.T) {
	id := newIdentity(t)
	keys, err := pkcs12.Modern.Encode(id.key, id.cert, nil, storePassword)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := Store{Type: "PKCS12", Data: keys, Password: storePassword}.Trusted()
	if err != nil || len(trusted) != 1 || !trusted[0].Equal(id.cert) {
		t.Errorf("%d certificates, %v", len(trusted), err)
	}
	if _, err := (Store{Type: "PKCS12", Data: keys, Password: "other"}).Trusted(); err == nil {
		t.Error("a wrong password opens it")
	}
}

func TestPEM(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	text := append(id.keyPEM(), append(other.certPEM(), id.certPEM()...)...)
	pairs, err := Store{Type: PEM, Data: text}.KeyPairs()
	id.wantKey(t, pairs, err)
	if certs, err := (Store{Type: PEM, Data: text}).Trusted(); err != nil || len(certs) != 2 {
		t.Errorf("trusted: got %d certificates, %v", len(certs), err)
	}
	if pairs, err := (Store{Type: PEM, Data: id.certPEM()}).KeyPairs(); err != nil || pairs != nil {
		t.Errorf("no key: got %v, %v", pairs, err)
	}
	if _, err := (Store{Type: PEM, Data: append(id.keyPEM(), other.certPEM()...)}).KeyPairs(); err == nil {
		t.Error("a key was taken without its certificate")
	}
	if !IsPEM(append([]byte("\n "), text...)) || IsPEM(id.keyDER) || IsPEM(nil) {
		t.Error("PEM is told wrongly")
	}
}

// TestKeytoolStores reads stores written by Java's own tool.
func TestKeytoolStores(t *testing.T) {
	testkit.Long(t)
	keytool := tool(t, "keytool")
	for _, storeType := range []string{"JKS", "PKCS12"} {
		t.Run(storeType, func(t *testing.T) {
			dir := t.TempDir()
			keys, trust, cert := filepath.Join(dir, "keys"), filepath.Join(dir, "trust"), filepath.Join(dir, "cert.pem")
			run := func(args ...string) {
				args = append(args, "-storetype", storeType, "-storepass", storePassword, "-alias", "server")
				if out, err := exec.Command(keytool, args...).CombinedOutput(); err != nil {
					t.Fatalf("cannot run keytool: %v\n%s", err, out)
				}
			}
			run("-genkeypair", "-keystore", keys, "-keyalg", "RSA", "-dname", "CN=localhost", "-ext", "san=dns:localhost,ip:127.0.0.1", "-keypass", storePassword)
			run("-exportcert", "-keystore", keys, "-rfc", "-file", cert)
			run("-importcert", "-keystore", trust, "-noprompt", "-file", cert)
			pairs, err := Store{Type: storeType, Data: readFile(t, keys), Password: storePassword}.KeyPairs()
			if err != nil || len(pairs) != 1 {
				t.Fatalf("keys: got %d, %v", len(pairs), err)
			}
			certs, err := Store{Type: storeType, Data: readFile(t, trust), Password: storePassword}.Trusted()
			if err != nil || len(certs) != 1 || !certs[0].Equal(pairs[0].Leaf) || certs[0].VerifyHostname("localhost") != nil {
				t.Errorf("trusted: got %d certificates, %v, not that of the key", len(certs), err)
			}
		})
	}
}

// foreignStore is a JKS store that Java's own tool wrote, with letters outside of ASCII in its
// passwords: päßwort, and schlüssel for the key.
const foreignStore = "" +
	"/u3+7QAAAAIAAAABAAAAAQADb3duAAABoi/18awAAAB/MH0wDgYKKwYBBAEqAhEBAQUABGtv1QWAB/8ZWVSY8T/TeU" +
	"WXBGV6TgXuXrOf5VIv0oZxZqcfdlEEBtzGSP3jMrsvYGB2ErqLm+bPqf+CCt5xnaaF7uYWTIc9kWJ2ZY9LD/UIefR9" +
	"6XdsMk9P1OTFX0lVVIweJYB+J0V65tjEWQAAAAEABVguNTA5AAABMjCCAS4wgdWgAwIBAgIIZWNVjODaIlEwCgYIKo" +
	"ZIzj0EAwIwDDEKMAgGA1UEAxMBeDAeFw0yNjEyMDEwNDU2MTZaFw0yNzAzMDEwNDU2MTZaMAwxCjAIBgNVBAMTAXgw" +
	"WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT74o6dEetv3aCyPQR7bzGl8G2/EdQ9oelxYLZJfV2OQzisOHVNAAMSN5" +
	"Sh/sxbhY6V9fPWVyz12xb8eTLpF0waoyEwHzAdBgNVHQ4EFgQU7KiDWwT/2Nic9/hAky8NL6DxD8AwCgYIKoZIzj0E" +
	"AwIDSAAwRQIhAMj/XwcfUtN7hthD2xAfpDY7DVYS70OUk5L/trO4MfKJAiB5W3t+4WSUXTAx2H4eq+ZZH5Kk/B0hNK" +
	"3FuasKBoVnQFMyUAN+PGKvrYm8vJmYEq2gXDsa"

// TestPasswordsInJava reads a store whose passwords take more than a byte a letter here, and two in
// Java.
func TestPasswordsInJava(t *testing.T) {
	data, err := base64.StdEncoding.DecodeString(foreignStore)
	if err != nil {
		t.Fatal(err)
	}
	store := Store{Type: "JKS", Data: data, Password: "päßwort", KeyPassword: "schlüssel"}
	if pairs, err := store.KeyPairs(); err != nil || len(pairs) != 1 {
		t.Errorf("keys: got %d, %v", len(pairs), err)
	}
	if certs, err := store.Trusted(); err != nil || len(certs) != 1 {
		t.Errorf("trusted: got %d certificates, %v", len(certs), err)
	}
	store.KeyPassword = "schlussel"
	if _, err := store.KeyPairs(); !errors.Is(err, ErrPassword) {
		t.Errorf("another password of the key: %v", err)
	}
	store.Password = "passwort"
	if _, err := store.Trusted(); !errors.Is(err, ErrPassword) {
		t.Errorf("another password of the store: %v", err)
	}
}

// TestEncryptedPEM reads keys that openssl encrypted, each in another way.
func TestEncryptedPEM(t *testing.T) {
	openssl := tool(t, "openssl")
	id := newIdentity(t)
	plain := writeFile(t, t.TempDir(), "plain.pem", string(id.keyPEM()))
	for _, args := range [][]string{
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"},
		{"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"},
		{"-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA1"},
		{"-v2", "des3"},
	} {
		out, err := exec.Command(openssl, append([]string{"pkcs8", "-topk8", "-in", plain, "-passout", "pass:" + keyPassword}, args...)...).Output()
		if err != nil {
			t.Fatalf("cannot run openssl: %v", err)
		}
		store := Store{Type: PEM, Data: append(out, id.certPEM()...), KeyPassword: keyPassword}
		pairs, err := store.KeyPairs()
		id.wantKey(t, pairs, err)
		store.KeyPassword = "hunter3"
		if _, err := store.KeyPairs(); !errors.Is(err, ErrPassword) {
			t.Errorf("%q: wrong password: got %v", args, err)
		}
		store.KeyPassword = ""
		if _, err := store.KeyPairs(); !errors.Is(err, ErrNoKeyPassword) {
			t.Errorf("%q: no password: got %v", args, err)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
