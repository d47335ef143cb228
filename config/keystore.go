package config

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// storeFault is what is wrong with a key or trust store, and the setting that
// it is about, without a prefix.
type storeFault struct{ setting, problem string }

// errPassword stands for what the libraries say of a bad password, which they
// cannot tell from damage.
var errPassword = errors.New("the password is wrong or the store is damaged")

// keyPairs reads the key store: all its private keys with their certificates.
// It returns nothing where none is configured.
func (s *tlsSource) keyPairs() ([]tls.Certificate, *storeFault) {
	inline := s.keyPEM != "" || s.chainPEM != ""
	if !inline && s.keyLocation == "" {
		return nil, nil
	}
	switch {
	case inline && s.keyLocation != "":
		return nil, &storeFault{"ssl.keystore.location", "is given beside a key in PEM text; allowed: one of the two"}
	case inline && s.keyType != "PEM":
		return nil, &storeFault{"ssl.keystore.type", s.keyType + " does not go with a key in PEM text; allowed: PEM"}
	case inline && s.keyPEM == "":
		return nil, &storeFault{"ssl.keystore.key", "is missing, but ssl.keystore.certificate.chain is given; allowed: both or neither"}
	case inline && s.chainPEM == "":
		return nil, &storeFault{"ssl.keystore.certificate.chain", "is missing, but ssl.keystore.key is given; allowed: both or neither"}
	case s.keyType == "PEM" && s.keyStorePassword != "":
		return nil, &storeFault{"ssl.keystore.password", "does not go with type PEM; allowed: ssl.key.password, for an encrypted key"}
	}
	setting, data := "ssl.keystore.key", []byte(s.keyPEM+"\n"+s.chainPEM)
	if !inline {
		var fault *storeFault
		setting = "ssl.keystore.location"
		if data, fault = readStore(setting, s.keyLocation, s.keyType); fault != nil {
			return nil, fault
		}
	}
	pairs, err := s.parseKeyPairs(data)
	if err == nil && len(pairs) == 0 {
		err = errors.New("it holds no private key")
	}
	if err != nil {
		return nil, &storeFault{setting, fmt.Sprintf("cannot be used as %s key store: %v", s.keyType, err)}
	}
	return pairs, nil
}

// trusted reads the trust store; nil means the system's.
func (s *tlsSource) trusted() (*x509.CertPool, *storeFault) {
	if s.trustPEM == "" && s.trustLocation == "" {
		return nil, nil
	}
	switch {
	case s.trustPEM != "" && s.trustLocation != "":
		return nil, &storeFault{"ssl.truststore.location", "is given beside certificates in PEM text; allowed: one of the two"}
	case s.trustPEM != "" && s.trustType != "PEM":
		return nil, &storeFault{"ssl.truststore.type", s.trustType + " does not go with certificates in PEM text; allowed: PEM"}
	case s.trustType == "PEM" && s.trustPassword != "":
		return nil, &storeFault{"ssl.truststore.password", "does not go with type PEM; allowed: leave it out"}
	}
	setting, data := "ssl.truststore.certificates", []byte(s.trustPEM)
	if s.trustPEM == "" {
		var fault *storeFault
		setting = "ssl.truststore.location"
		if data, fault = readStore(setting, s.trustLocation, s.trustType); fault != nil {
			return nil, fault
		}
	}
	certs, err := s.parseTrusted(data)
	if err == nil && len(certs) == 0 {
		err = errors.New("it holds no certificate to trust")
	}
	if err != nil {
		return nil, &storeFault{setting, fmt.Sprintf("cannot be used as %s trust store: %v", s.trustType, err)}
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

func readStore(setting, location, storeType string) ([]byte, *storeFault) {
	data, err := os.ReadFile(location)
	if err != nil {
		return nil, &storeFault{setting, fmt.Sprintf("cannot be read: %v; allowed: the path of a file", err)}
	}
	if storeType != "PEM" && bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) {
		return nil, &storeFault{setting, fmt.Sprintf("is a PEM file, and the type says %s; allowed: type PEM", storeType)}
	}
	return data, nil
}

func (s *tlsSource) parseKeyPairs(data []byte) ([]tls.Certificate, error) {
	switch {
	case s.keyType == "PEM":
		return pemKeyPairs(data, s.keyPassword)
	case isJKS(data):
		return jksKeyPairs(data, s.keyStorePassword, s.keyPassword)
	}
	key, leaf, others, err := pkcs12.DecodeChain(data, s.keyStorePassword)
	if err != nil {
		return nil, pkcs12Error(err)
	}
	pair, err := keyPair(key, append([]*x509.Certificate{leaf}, others...))
	return []tls.Certificate{pair}, err
}

func (s *tlsSource) parseTrusted(data []byte) ([]*x509.Certificate, error) {
	switch {
	case s.trustType == "PEM":
		_, certs, err := parsePEM(data, "")
		return certs, err
	case isJKS(data):
		return jksTrusted(data, s.trustPassword)
	}
	certs, err := pkcs12.DecodeTrustStore(data, s.trustPassword)
	return certs, pkcs12Error(err)
}

// isJKS tells Java's own format from PKCS#12 by its first bytes, as Java does.
func isJKS(data []byte) bool { return bytes.HasPrefix(data, []byte{0xFE, 0xED, 0xFE, 0xED}) }

func pkcs12Error(err error) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(err, pkcs12.ErrDecryption) {
		return errPassword
	}
	return err
}

// openJKS reads a store whose password may be left out, as in Java: then its
// integrity is not checked. The library has read all entries when it compares
// the digest, the last thing that it does.
func openJKS(data []byte, password string) (keystore.KeyStore, error) {
	store := keystore.New(keystore.WithOrderedAliases())
	err := store.Load(bytes.NewReader(data), []byte(password))
	if err == nil {
		return store, nil
	}
	if err.Error() != "got invalid digest" {
		return store, fmt.Errorf("cannot read the JKS store: %w", err)
	}
	if password != "" {
		return store, errPassword
	}
	return store, nil
}

func jksKeyPairs(data []byte, storePassword, keyPassword string) ([]tls.Certificate, error) {
	store, err := openJKS(data, storePassword)
	if err != nil {
		return nil, err
	}
	if keyPassword == "" {
		keyPassword = storePassword
	}
	var pairs []tls.Certificate
	for _, alias := range store.Aliases() {
		if !store.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := store.GetPrivateKeyEntry(alias, []byte(keyPassword))
		if err != nil {
			return nil, fmt.Errorf("the key %q cannot be decrypted: %w", alias, errPassword)
		}
		key, err := x509.ParsePKCS8PrivateKey(entry.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("cannot parse key %q: %w", alias, err)
		}
		var chain []*x509.Certificate
		for _, c := range entry.CertificateChain {
			cert, err := x509.ParseCertificate(c.Content)
			if err != nil {
				return nil, fmt.Errorf("cannot parse a certificate of key %q: %w", alias, err)
			}
			chain = append(chain, cert)
		}
		pair, err := keyPair(key, chain)
		if err != nil {
			return nil, fmt.Errorf("cannot use key %q: %w", alias, err)
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// jksTrusted returns what Java trusts: the trusted entries, and the own
// certificate of each key entry.
func jksTrusted(data []byte, password string) ([]*x509.Certificate, error) {
	store, err := openJKS(data, password)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for _, alias := range store.Aliases() {
		var der []byte
		if entry, err := store.GetTrustedCertificateEntry(alias); err == nil {
			der = entry.Certificate.Content
		} else if chain, err := store.GetPrivateKeyEntryCertificateChain(alias); err == nil && len(chain) > 0 {
			der = chain[0].Content
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("cannot parse certificate %q: %w", alias, err)
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

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

// keyPair joins a key with its certificates, the one that is of the key first.
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
