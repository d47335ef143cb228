package javaconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"software.sslmate.com/src/go-pkcs12"
)

// ErrPassword is the error of a wrong password, which the formats cannot distinguish from damage.
var ErrPassword = errors.New("the password is wrong or the store is damaged")

// ErrNoKeyPassword is the error of an encrypted key in PEM for which there is no password.
var ErrNoKeyPassword = errors.New("it is encrypted, and no password of the key is given")

// PEM is the type of a [Store] that is a PEM text.
const PEM = "PEM"

// Store is the content of a key store or trust store.
type Store struct {
	// Type is PEM, or that of one of Java's formats. Among those the content decides, as it does
	// for Java: a JKS store may be called PKCS12, and the other way round.
	Type string
	Data []byte
	// Password is the store's own. Without it the integrity of a JKS store is not checked.
	Password string
	// KeyPassword is the password of the keys inside, in JKS that of the store when it
	// is empty. PKCS#12 has none.
	KeyPassword string
}

// KeyPairs returns all private keys with their certificates; of a PEM text and of
// PKCS#12 at most one.
func (s Store) KeyPairs() ([]tls.Certificate, error) {
	switch {
	case s.Type == PEM:
		return pemKeyPairs(s.Data, s.KeyPassword)
	case isJKS(s.Data):
		return jksKeyPairs(s.Data, s.Password, s.KeyPassword)
	}
	key, leaf, others, err := pkcs12.DecodeChain(s.Data, s.Password)
	if err != nil {
		return nil, pkcs12Error(err)
	}
	pair, err := keyPair(key, append([]*x509.Certificate{leaf}, others...))
	return []tls.Certificate{pair}, err
}

// Trusted returns the certificates that Java trusts: in JKS also the own certificate
// of each key.
func (s Store) Trusted() ([]*x509.Certificate, error) {
	switch {
	case s.Type == PEM:
		_, certs, err := parsePEM(s.Data, "")
		return certs, err
	case isJKS(s.Data):
		return jksTrusted(s.Data, s.Password)
	}
	certs, err := pkcs12.DecodeTrustStore(s.Data, s.Password)
	if err != nil || len(certs) == 0 {
		// Of a key store Java trusts the certificate of each key, and nothing behind it.
		if _, own, _, keyErr := pkcs12.DecodeChain(s.Data, s.Password); keyErr == nil {
			return []*x509.Certificate{own}, nil
		}
	}
	return certs, pkcs12Error(err)
}

func pkcs12Error(err error) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(err, pkcs12.ErrDecryption) {
		return ErrPassword
	}
	return err
}
