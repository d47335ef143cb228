package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// tlsSource is one set of ssl.* settings, as written. A PEM text stands in
// place of a location.
type tlsSource struct {
	keyLocation, keyStorePassword, keyPassword, keyType, keyPEM, chainPEM string
	trustLocation, trustPassword, trustType, trustPEM                     string

	versions             versions
	suites               []uint16
	identification       string
	clientAuthentication string
	clientAuth           bool
}

// hasKey reports whether a private key is configured at all.
func (s *tlsSource) hasKey() bool { return s.keyLocation != "" || s.keyPEM != "" }

// versions are the least and the greatest version of TLS.
type versions struct{ least, greatest uint16 }

var versionNames = []string{"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}

var tlsVersions = kind[versions]{
	allowed: "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3, separated by commas and without a gap",
	parse: func(s string) (versions, error) {
		var chosen [4]bool
		for _, word := range commaList(s) {
			i := slices.IndexFunc(versionNames, func(n string) bool { return strings.EqualFold(n, word) })
			if i < 0 {
				return versions{}, fmt.Errorf("%q is not supported", word)
			}
			chosen[i] = true
		}
		least, greatest := slices.Index(chosen[:], true), len(chosen)-1
		if least < 0 {
			return versions{}, errors.New("is empty")
		}
		for !chosen[greatest] {
			greatest--
		}
		if slices.Contains(chosen[least:greatest], false) {
			return versions{}, errors.New("leaves out a version between others")
		}
		// The numbers of the versions follow one another.
		return versions{tls.VersionTLS10 + uint16(least), tls.VersionTLS10 + uint16(greatest)}, nil
	},
}

// cipherSuites are ids for [tls.Config]; the suites of TLS 1.3 are left out, as
// they cannot be chosen. An empty result means the default.
var cipherSuites = kind[[]uint16]{
	allowed: "IANA names like TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, separated by commas",
	parse: func(s string) ([]uint16, error) {
		known := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
		var ids []uint16
		for _, name := range commaList(s) {
			i := slices.IndexFunc(known, func(c *tls.CipherSuite) bool { return c.Name == name })
			if i < 0 {
				return nil, fmt.Errorf("%q is not supported", name)
			}
			if known[i].SupportedVersions[0] < tls.VersionTLS13 {
				ids = append(ids, known[i].ID)
			}
		}
		return ids, nil
	},
}

var identification = kind[string]{allowed: "https, or empty for no check", parse: func(s string) (string, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "https":
		return "https", nil
	case "":
		return "", nil
	}
	return "", fmt.Errorf("%q is not supported", s)
}}

// load reads the stores of a source; name gives the full name of one of its
// settings, for a fault.
func (d *draft) load(s *tlsSource, name func(string) string) *tls.Config {
	config := &tls.Config{
		MinVersion:   s.versions.least,
		MaxVersion:   s.versions.greatest,
		CipherSuites: s.suites,
	}
	if d.isFaulty(name("ssl.keystore.type"), name("ssl.truststore.type")) {
		return config
	}
	var fault *storeFault
	if config.Certificates, fault = s.keyPairs(); fault != nil {
		d.fault(name(fault.setting), "%s", fault.problem)
	}
	if config.RootCAs, fault = s.trusted(); fault != nil {
		d.fault(name(fault.setting), "%s", fault.problem)
	}
	return config
}

// serverTLS is the configuration of the HTTPS listeners.
func (d *draft) serverTLS() *tls.Config {
	config := d.load(&d.https, func(name string) string { return name })
	config.ClientCAs, config.RootCAs = config.RootCAs, nil
	config.NextProtos = []string{"http/1.1"}

	setting, wanted := "ssl.client.authentication", d.https.clientAuthentication
	if d.https.clientAuth && !d.isGiven(setting) {
		setting, wanted = "ssl.client.auth", "REQUIRED"
	}
	switch wanted {
	case "REQUESTED":
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case "REQUIRED":
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	// Without a trust store Go would let in whom any public authority vouches for.
	if config.ClientAuth != tls.NoClientCert && d.https.trustLocation == "" && d.https.trustPEM == "" {
		d.fault(setting, "asks for certificates, but nothing says which to trust; allowed: with ssl.truststore.location or ssl.truststore.certificates")
	}
	return config
}

// clientTLS is the configuration of connections to brokers or to the schema
// registry; name is as for load.
func (d *draft) clientTLS(source *tlsSource, name func(string) string) *tls.Config {
	config := d.load(source, name)
	if source.identification == "" {
		// The chain is still verified, only not against the host's name.
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyChain(state, config.RootCAs)
		}
	}
	return config
}

func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("cannot verify the server: it showed no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return fmt.Errorf("cannot verify the server's certificate: %w", err)
	}
	return nil
}
