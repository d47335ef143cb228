package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"millrace/server"
)

// listener is an address to serve on, before its certificates are loaded.
type listener struct {
	address string
	https   bool
}

var listenerList = kind[[]listener]{
	allowed: "http://host:port or https://host:port, separated by commas; no host means all interfaces, port 0 a free one",
	parse: func(s string) ([]listener, error) {
		var listeners []listener
		seen := map[string]bool{}
		for _, part := range commaList(s) {
			scheme, address, ok := strings.Cut(part, "://")
			scheme = strings.ToLower(scheme)
			if !ok || scheme != "http" && scheme != "https" {
				return nil, fmt.Errorf("%q is neither http:// nor https://", part)
			}
			address = strings.TrimSuffix(address, "/")
			_, port, err := net.SplitHostPort(address)
			if err != nil || !validPort(port, 0) {
				return nil, fmt.Errorf("%q does not say host:port", part)
			}
			if seen[address] && port != "0" {
				return nil, fmt.Errorf("%s occurs twice", address)
			}
			seen[address] = true
			listeners = append(listeners, listener{address, scheme == "https"})
		}
		if len(listeners) == 0 {
			return nil, errors.New("is empty")
		}
		return listeners, nil
	},
}

// listen gives the HTTPS listeners their certificates. The key store is looked
// at even where no listener uses it, so that a fault in it is found at once.
func (d *draft) listen() {
	config := d.serverTLS()
	// To other nodes this one shows the same certificate, and trusts the same.
	d.Peer.TLS = &tls.Config{MinVersion: config.MinVersion, MaxVersion: config.MaxVersion, Certificates: config.Certificates, RootCAs: config.ClientCAs}
	for _, l := range d.listeners {
		s := server.Listener{Addr: l.address}
		if l.https {
			s.TLS = config
			if !d.https.hasKey() {
				d.fault("ssl.keystore.location", "is missing, but %s is an https:// listener; allowed: a JKS, PKCS12 or PEM file with a private key", l.address)
			}
		}
		d.Server.Listeners = append(d.Server.Listeners, s)
	}
}
