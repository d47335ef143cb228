package javaconf

import (
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"unicode/utf16"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
)

// isJKS distinguishes Java's own format from PKCS#12 by its first bytes, as Java does.
func isJKS(data []byte) bool { return bytes.HasPrefix(data, []byte{0xFE, 0xED, 0xFE, 0xED}) }

// jksWhitener is the constant that Java's own key store digests between the password and the
// store.
const jksWhitener = "Mighty Aphrodite"

// openJKS reads a store whose password may be missing, as in Java: then its integrity is not
// checked. The check is made here and not by the library, which always makes it and has no typed
// error for it. The library gets the digest that the store has without a password.
func openJKS(data []byte, password string) (keystore.KeyStore, error) {
	store := keystore.New(keystore.WithOrderedAliases())
	if len(data) < sha1.Size {
		return store, ErrPassword
	}
	body, digest := data[:len(data)-sha1.Size], data[len(data)-sha1.Size:]
	if password != "" && !bytes.Equal(jksDigest(body, password), digest) {
		return store, ErrPassword
	}
	whole := io.MultiReader(bytes.NewReader(body), bytes.NewReader(jksDigest(body, "")))
	if err := store.Load(whole, nil); err != nil {
		return store, fmt.Errorf("cannot read the JKS store: %w", err)
	}
	return store, nil
}

// jksDigest returns the digest of a store under a password.
func jksDigest(body []byte, password string) []byte {
	h := sha1.New()
	for _, unit := range utf16.Encode([]rune(password)) {
		h.Write([]byte{byte(unit >> 8), byte(unit)})
	}
	h.Write([]byte(jksWhitener))
	h.Write(body)
	return h.Sum(nil)
}

// keyPasswordBytes returns the password of a key for the library, which makes a character of Java's
// of each byte. So it has those of ISO-8859-1, and a key under any other cannot be read.
func keyPasswordBytes(password string) []byte {
	var latin []byte
	for _, r := range password {
		if r > 0xFF {
			return []byte(password)
		}
		latin = append(latin, byte(r))
	}
	return latin
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
		entry, err := store.GetPrivateKeyEntry(alias, keyPasswordBytes(keyPassword))
		if err != nil {
			return nil, fmt.Errorf("the key %q cannot be decrypted: %w", alias, ErrPassword)
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

// jksTrusted returns the certificates that Java trusts: the trusted entries, and the own
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
