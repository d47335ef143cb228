package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is a certificate authority of a test, with one certificate for 127.0.0.1 and localhost.
type Authority struct {
	// Root is the certificate of the authority, Leaf the one that it has signed, with the key Key.
	Root, Leaf *x509.Certificate
	Key        *ecdsa.PrivateKey
	// Pool holds the authority alone.
	Pool *x509.CertPool
	// File is the authority as PEM, as ssl.truststore.location takes it. KeyFile is the private key
	// of the certificate for 127.0.0.1 with its chain, as ssl.keystore.location takes it.
	File, KeyFile string
}

// NewAuthority makes an authority, whose files are in dir.
func NewAuthority(dir string) (*Authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make the key of an authority: %w", err)
	}
	begin, end := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "testkit"}, NotBefore: begin, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, fmt.Errorf("cannot make the certificate of an authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make the key of a certificate: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotBefore: begin, NotAfter: end,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot write a private key: %w", err)
	}
	a := &Authority{Key: key, Pool: x509.NewCertPool(), File: filepath.Join(dir, "authority.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	if a.Root, err = x509.ParseCertificate(rootDER); err == nil {
		a.Leaf, err = x509.ParseCertificate(leafDER)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read a certificate: %w", err)
	}
	a.Pool.AddCert(a.Root)
	rootPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	chain := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER})...)
	for file, text := range map[string][]byte{a.File: rootPEM, a.KeyFile: append(chain, rootPEM...)} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, fmt.Errorf("cannot write a certificate: %w", err)
		}
	}
	return a, nil
}
