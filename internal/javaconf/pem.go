package javaconf

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// IsPEM reports whether data begins as a PEM text does.
func IsPEM(data []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) }

func pemKeyPairs(data []byte, keyPassword string) ([]tls.Certificate, error) {
	key, certs, err := parsePEM(data, keyPassword)
	if err != nil || key == nil {
		return nil, err
	}
	pair, err := keyPair(key, certs)
	return []tls.Certificate{pair}, err
}

// parsePEM returns the first private key of a PEM text, or nil, and all its certificates.
func parsePEM(data []byte, keyPassword string) (key crypto.PrivateKey, certs []*x509.Certificate, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		var found crypto.PrivateKey
		switch block.Type {
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("cannot parse certificate %d: %w", len(certs)+1, err)
			}
			certs = append(certs, cert)
		case "PRIVATE KEY":
			found, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			found, err = decryptPKCS8(block.Bytes, keyPassword)
		case "RSA PRIVATE KEY":
			found, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			found, err = x509.ParseECPrivateKey(block.Bytes)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read the private key: %w", err)
		}
		if key == nil {
			key = found
		}
	}
	return key, certs, nil
}

// keyPair joins a key with its certificates, the key's own first.
func keyPair(key crypto.PrivateKey, certs []*x509.Certificate) (tls.Certificate, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return tls.Certificate{}, fmt.Errorf("the key is of a kind that TLS does not use")
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return tls.Certificate{}, fmt.Errorf("the key is of a kind that TLS does not use")
	}
	own := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return public.Equal(c.PublicKey) })
	if own < 0 {
		return tls.Certificate{}, errors.New("there is no certificate of the private key")
	}
	pair := tls.Certificate{PrivateKey: key, Leaf: certs[own], Certificate: [][]byte{certs[own].Raw}}
	for i, c := range certs {
		if i != own {
			pair.Certificate = append(pair.Certificate, c.Raw)
		}
	}
	return pair, nil
}
