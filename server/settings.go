package server

import (
	"crypto/tls"
	"time"

	"millrace/codec"
	"millrace/server/intake"
)

// Settings of the HTTP edge.
type Settings struct {
	// Listeners are the addresses to serve on; at least one.
	Listeners []Listener
	// HostName and Advertised name this server in the base_uri of a consumer
	// instance: Advertised ("http://host:port") wins, then HostName with the
	// listener's port, then what the request said.
	HostName   string
	Advertised string

	// Peering is how to talk to the other nodes of a cluster, where there is one.
	Peering Peering

	// MaxBodyBytes bounds a request body, before and after decompression.
	MaxBodyBytes int
	// Bodies bounds the memory of all request bodies together.
	Bodies intake.Settings
	// MaxHeaderBytes bounds the request line and header together.
	MaxHeaderBytes int
	// MaxRecords bounds the records of one produce request.
	MaxRecords int
	// MaxConnections bounds open connections, MaxConnectionsPerIP those of one address (0: no bound).
	MaxConnections      int
	MaxConnectionsPerIP int
	// MaxStreams bounds the answers that are being streamed (0: no bound).
	MaxStreams int
	// StreamHeartbeat is how long a stream may be silent (0: for ever).
	StreamHeartbeat time.Duration
	// ReadTimeout bounds the arrival of one whole request, WriteTimeout the
	// sending of its answer, IdleTimeout the wait for the next one.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// GracefulTimeout bounds a drain (shutdown.graceful.ms).
	GracefulTimeout time.Duration

	// AllowOrigin, AllowMethods and AllowHeaders are the access.control.*
	// settings: comma-separated lists; an empty AllowOrigin turns CORS off.
	AllowOrigin, AllowMethods, AllowHeaders string

	// Avro is the dialect of Avro's JSON that holds where a media type does not
	// say, as in application/vnd.kafka.avro.v2+json; avro=plain (avro.dialect).
	Avro codec.Dialect

	// Strict answers as today's Confluent proxy where millrace is kinder (api.compatibility.strict).
	Strict bool
	// RequestLog writes one structured line a request; [Server.SetRequestLog]
	// changes it later.
	RequestLog bool
	// Admin serves /admin/config (admin.enable).
	Admin bool
	// UI serves the dashboard at /ui (ui.enable).
	UI bool
}

// Listener is one address to serve on.
type Listener struct {
	// Addr is host:port; an empty host means all interfaces.
	Addr string
	// TLS makes it HTTPS when not nil.
	TLS *tls.Config
}
