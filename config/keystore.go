package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"millrace/internal/javaconf"
)

// storeFault is what is wrong with a key or trust store, and the setting that
// it is about, without a prefix.
type storeFault struct{ setting, problem string }

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
	case inline && s.keyType != javaconf.PEM:
		return nil, &storeFault{"ssl.keystore.type", s.keyType + " does not go with a key in PEM text; allowed: PEM"}
	case inline && s.keyPEM == "":
		return nil, &storeFault{"ssl.keystore.key", "is missing, but ssl.keystore.certificate.chain is given; allowed: both or neither"}
	case inline && s.chainPEM == "":
		return nil, &storeFault{"ssl.keystore.certificate.chain", "is missing, but ssl.keystore.key is given; allowed: both or neither"}
	case s.keyType == javaconf.PEM && s.keyStorePassword != "":
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
	pairs, err := javaconf.Store{Type: s.keyType, Data: data, Password: s.keyStorePassword, KeyPassword: s.keyPassword}.KeyPairs()
	if errors.Is(err, javaconf.ErrNoKeyPassword) {
		err = errors.New("its key is encrypted, and ssl.key.password is missing")
	}
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
	case s.trustPEM != "" && s.trustType != javaconf.PEM:
		return nil, &storeFault{"ssl.truststore.type", s.trustType + " does not go with certificates in PEM text; allowed: PEM"}
	case s.trustType == javaconf.PEM && s.trustPassword != "":
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
	certs, err := javaconf.Store{Type: s.trustType, Data: data, Password: s.trustPassword}.Trusted()
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
	if storeType != javaconf.PEM && javaconf.IsPEM(data) {
		return nil, &storeFault{setting, fmt.Sprintf("is a PEM file, and the type says %s; allowed: type PEM", storeType)}
	}
	return data, nil
}
