package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
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

// listen gives the HTTPS listeners their certificates, and each what it serves. The key store is
// looked at even where no listener uses it, so that a fault in it is found at once.
func (d *draft) listen() {
	first := d.serverTLS()
	certificates, config := newCertificates(d.https, first)
	d.Certificates = certificates
	// To other nodes this one shows the same certificate, and trusts the same.
	d.Peer.TLS = certificates.toPeers
	all := server.AllParts
	for _, own := range d.ownListeners {
		if len(own.listeners) > 0 {
			all &^= own.part
		}
	}
	d.listenOn("listeners", d.listeners, all, config)
	for _, own := range d.ownListeners {
		d.listenOn(own.setting, own.listeners, own.part, config)
	}
}

// ownListeners are listeners that serve one part alone.
type ownListeners struct {
	setting   string
	part      server.Part
	listeners []listener
}

// The listeners of one part, by their place in the draft.
const (
	adminListeners = iota
	dashboardListeners
	metricsListeners
)

// newOwnListeners are those of a draft, of which none is set.
func newOwnListeners() [3]ownListeners {
	return [3]ownListeners{
		adminListeners:     {setting: "listeners.admin", part: server.AdminPart},
		dashboardListeners: {setting: "listeners.dashboard", part: server.DashboardPart},
		metricsListeners:   {setting: "listeners.metrics", part: server.MetricsPart},
	}
}

// listenOn adds listeners that serve the part. One with an address that is known serves it too.
func (d *draft) listenOn(setting string, listeners []listener, part server.Part, config *tls.Config) {
	for _, l := range listeners {
		s := server.Listener{Addr: l.address, Serves: part}
		if l.https {
			s.TLS = config
			if !d.https.hasKey() {
				d.fault("ssl.keystore.location", "is missing, but %s is an https:// listener; allowed: a JKS, PKCS12 or PEM file with a private key", l.address)
			}
		}
		at := slices.IndexFunc(d.Server.Listeners, func(o server.Listener) bool { return o.Addr == l.address && !strings.HasSuffix(l.address, ":0") })
		switch {
		case at < 0:
			d.Server.Listeners = append(d.Server.Listeners, s)
		case (d.Server.Listeners[at].TLS != nil) != l.https:
			d.fault(setting, "has %s as both http:// and https://; allowed: one of them", l.address)
		default:
			d.Server.Listeners[at].Serves |= part
		}
	}
}
