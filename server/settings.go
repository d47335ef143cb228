package server

import (
	"crypto/tls"
	"net/netip"
	"time"

	"millrace/server/idempotency"
	"millrace/server/intake"
)

// Settings of the HTTP edge.
type Settings struct {
	// Listeners are the addresses to serve on; at least one.
	Listeners []Listener
	// HostName and Advertised name this node in the base_uri of a consumer instance: Advertised
	// ("http://host:port") wins, then HostName with the listener's port, then the host of the
	// request.
	HostName   string
	Advertised string

	// OwnHosts are further names of this node, beside those above, the machine's,
	// localhost and IP addresses. /admin and /ui answer only requests for one of
	// them, and with OwnHostsOnly everything does (hosts.own, hosts.own.only).
	OwnHosts     []string
	OwnHostsOnly bool
	// ForwardedTrusted are the addresses of proxies whose Forwarded and
	// X-Forwarded-* headers are believed (forwarded.trusted).
	ForwardedTrusted []netip.Prefix
	// ForwardedNamed are those of ForwardedTrusted that the operator has named. Limits of addresses
	// believe no others: a neighbour in a private network could else invent an address for each
	// request.
	ForwardedNamed []netip.Prefix

	// MaxBodyBytes bounds a request body, before and after decompression.
	MaxBodyBytes int
	// Bodies bounds the memory of all request bodies together.
	Bodies intake.Settings
	// OverloadDelay is how long requests may wait for a processor before further ones that produce
	// are refused (0: any time).
	OverloadDelay time.Duration
	// Idempotency bounds what is remembered of requests with an Idempotency-Key.
	Idempotency idempotency.Settings
	// MaxHeaderBytes bounds the request line and header together.
	MaxHeaderBytes int
	// MaxConnections bounds open connections, MaxConnectionsPerIP those of one address (0: no bound).
	MaxConnections      int
	MaxConnectionsPerIP int
	// MaxStreams bounds the open streams (0: no bound).
	MaxStreams int
	// ReadTimeout bounds the arrival of one whole request, WriteTimeout the sending of its
	// response, IdleTimeout the wait for the next request.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// StreamTime bounds how long the body of a request may arrive whose records are answered while it
	// does (0: no bound).
	StreamTime time.Duration
	// GracefulTimeout bounds a drain (shutdown.graceful.ms).
	GracefulTimeout time.Duration

	// AllowOrigin, AllowMethods, AllowHeaders and ExposeHeaders are the access.control.*
	// settings: comma-separated lists; an empty AllowOrigin turns CORS off.
	AllowOrigin, AllowMethods, AllowHeaders, ExposeHeaders string
	// AllowCredentials lets those pages send credentials; AllowOrigin must not be * then.
	AllowCredentials bool

	// RequestLog writes one structured line a request; [Server.SetRequestLog]
	// changes it later.
	RequestLog bool
}

// Listener is one address to serve on.
type Listener struct {
	// Addr is host:port; an empty host means all interfaces.
	Addr string
	// TLS makes it HTTPS when not nil.
	TLS *tls.Config
	// Serves are the parts that it serves; 0: all of them.
	Serves Part
}

// Part is a part of what a node serves, or several of them.
type Part uint8

// The parts. Probes belong to all of them.
const (
	// DataPart is the API.
	DataPart Part = 1 << iota
	// AdminPart is what runs the node.
	AdminPart
	// DashboardPart is the dashboard.
	DashboardPart
	// MetricsPart is the scrape of metrics.
	MetricsPart

	// AllParts are all of them.
	AllParts = DataPart | AdminPart | DashboardPart | MetricsPart
)
