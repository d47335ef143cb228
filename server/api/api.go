// Package api builds the HTTP edge with all its resources: everything that one node serves. It
// selects the routes, and knows no detail of them.
package api

import (
	"bytes"
	"log/slog"

	"github.com/valyala/fasthttp"

	"millrace/admin"
	"millrace/auth"
	"millrace/batch"
	"millrace/cluster"
	"millrace/consumer"
	"millrace/ingest"
	"millrace/ingest/otlp"
	"millrace/internal/apierr"
	"millrace/internal/tracing"
	"millrace/metadata"
	"millrace/metrics"
	"millrace/reader"
	"millrace/schema"
	"millrace/server"
	"millrace/server/ops"
	"millrace/server/peer"
	"millrace/server/rest"
	"millrace/server/ui"
	v3 "millrace/server/v3"
	"millrace/spool"
)

// Settings of the API of a node.
type Settings struct {
	// Edge is of HTTP itself, REST of the v1 and v2 API, Produce of the records of v3, Peer of the
	// requests between nodes.
	Edge    server.Settings
	REST    rest.Settings
	Produce v3.ProduceSettings
	Peer    peer.Settings
	// Ingest is of the routes for events without an envelope.
	Ingest ingest.Settings
	// Endpoints are those that are served.
	Endpoints Endpoints
	// Admin serves /admin/config (admin.enable).
	Admin bool
	// UI serves the dashboard at /ui (ui.enable).
	UI bool
}

// Parts are the packages that the resources use. They are borrowed; close them after
// [server.Server.Shutdown].
type Parts struct {
	Producer  *batch.Producer
	Metadata  *metadata.Cache
	Admin     *admin.Admin
	Consumers *consumer.Manager
	Reader    *reader.Reader
	// Schemas is nil where there is no schema registry.
	Schemas *schema.Registry
	// Spool keeps events until Kafka has them, Dead those that Kafka will never take; nil where
	// there is none.
	Spool, Dead *spool.Spool
	// Cluster is this node of the service, nil for a single node.
	Cluster *cluster.Node
	// Config serves /admin; it is required when the settings turn that on. The dashboard shows
	// its settings.
	Config ops.Config
	// Metrics are written to by requests and shown on /metrics; nil: New makes its own, without
	// the figures of other parts.
	Metrics *metrics.Metrics
	// Access decides about callers; nil: nobody is asked who they are.
	Access *auth.Access
	// Tracing reports requests to a collector; nil: tracing is off.
	Tracing *tracing.Tracing
	// Logger gets the program's log and, when turned on, the request log.
	Logger *slog.Logger
}

// API is the edge with all routes. Its dashboard samples while it serves.
type API struct {
	*server.Server
	// Forwarder is nil without a cluster.
	Forwarder *peer.Forwarder
	dashboard *ui.Dashboard // nil without the dashboard
	ingest    *ingest.Ingest
	endpoints Endpoints
	// stopForwarding ends what New has begun.
	stopForwarding func()
}

// New returns an API that does not listen yet.
func New(s Settings, p Parts) *API {
	media := rest.NewMedia(s.REST, p.Schemas != nil)
	a := &API{endpoints: s.Endpoints}
	policy := func(ctx *fasthttp.RequestCtx) *server.CORS { return a.ingest.CORS(ctx) }
	d := server.Deps{Metrics: p.Metrics, Tracing: p.Tracing, Logger: p.Logger, ErrorType: errorType(media), Ready: a.ready(p.Producer), AppendError: appendError, CORS: policy, Access: p.Access}
	var peers rest.Peers // a nil interface without a cluster
	if p.Cluster != nil {
		a.Forwarder = peer.New(p.Cluster, p.Consumers, p.Access, s.Peer)
		d.Peers, peers = a.Forwarder, a.Forwarder
	}
	a.Server = server.New(s.Edge, d)
	edge := a.Server
	a.handle(rest.NewProduce(edge, media, p.Producer, p.Schemas).Routes()...)
	a.handle(v3.NewProduce(edge, p.Metadata, p.Producer, p.Schemas, v3.ProduceSettings{MaxRecordBytes: s.Edge.MaxBodyBytes, MaxEntries: s.Produce.MaxEntries, Dialect: s.REST.Avro}).Routes()...)
	a.ingest = ingest.New(edge, s.Ingest, ingest.Deps{Producer: p.Producer, Spool: p.Spool, Dead: p.Dead, Logger: p.Logger})
	a.handle(a.ingest.Routes()...)
	a.handle(otlp.New(edge, s.Ingest.OTLP, p.Producer).Routes()...)
	a.stopForwarding = a.ingest.Start()
	a.handle(leadToDashboard(s, rest.NewMetadata(edge, media, p.Metadata).Routes())...)
	a.handle(rest.NewConsumers(edge, media, p.Consumers, peers).Routes()...)
	a.handle(rest.NewDirect(media, p.Metadata, p.Reader).Routes()...)
	a.handle(rest.NewStreams(edge, media, p.Metadata, p.Reader).Routes()...)
	a.handle(v3.Routes(v3.Parts{Edge: edge, Metadata: p.Metadata, Admin: p.Admin, Strict: s.REST.Strict})...)
	a.handle(ops.NewHealth(edge, p.Metadata.Healthy).Routes()...)
	a.handle(ops.NewMetrics(edge).Routes()...)
	a.handle(ops.OpenAPI{}.Routes()...)
	if s.Admin {
		a.handle(ops.NewAdmin(p.Config).Routes()...)
	}
	if s.UI {
		a.dashboard = ui.New(edge, ui.Deps{Metadata: p.Metadata, Consumers: p.Consumers, Settings: settings(p.Config), Logger: p.Logger})
		a.handle(a.dashboard.Routes()...)
	}
	if a.Forwarder != nil {
		a.handle(a.Forwarder.Routes()...)
	}
	return a
}

// SetIngestRoutes makes t the routes of /ingest, beside those of topics, from the next request on.
func (a *API) SetIngestRoutes(t *ingest.Table) { a.ingest.SetRoutes(t) }

// StopForwarding ends the forwarding of the spool's events. It waits for those that are on their
// way; call it before the producer is closed.
func (a *API) StopForwarding() { a.stopForwarding() }

// errorType returns [server.Deps.ErrorType]: errors of v3 and of the front door are plain JSON.
func errorType(media *rest.Media) func(ctx *fasthttp.RequestCtx) string {
	return func(ctx *fasthttp.RequestCtx) string {
		if ctx != nil && (bytes.HasPrefix(ctx.Path(), []byte("/v3/")) || ingest.Owns(ctx)) {
			return server.MediaJSON
		}
		return media.ErrorType(ctx)
	}
}

// appendError is [server.Deps.AppendError]: OTLP has a form of its own.
func appendError(ctx *fasthttp.RequestCtx) func(*fasthttp.RequestCtx, []byte, *apierr.Error) []byte {
	if otlp.Owns(ctx) {
		return otlp.AppendError
	}
	return nil
}

// ready returns [server.Deps.Ready] of all resources that produce.
func (a *API) ready(p *batch.Producer) func(ctx *fasthttp.RequestCtx, size int) error {
	records := rest.Ready(p)
	return func(ctx *fasthttp.RequestCtx, size int) error {
		if ctx.IsPost() && ingest.Owns(ctx) {
			return a.ingest.Ready(ctx, size)
		}
		if otlp.Owns(ctx) {
			return p.Ready(max(size, 0))
		}
		return records(ctx, size)
	}
}

// leadToDashboard has / lead browsers to the dashboard, where every listener serves it.
func leadToDashboard(s Settings, routes []server.Route) []server.Route {
	for _, l := range s.Edge.Listeners {
		if l.Serves != 0 && l.Serves&server.DashboardPart == 0 {
			return routes
		}
	}
	for i := range routes {
		if s.UI && routes[i].Path == "/" && routes[i].Method == "GET" {
			routes[i] = ui.LeadFrom(routes[i])
		}
	}
	return routes
}

// Serve is [server.Server.Serve], with the dashboard.
func (a *API) Serve() error {
	if a.dashboard != nil {
		defer a.dashboard.Start()()
	}
	return a.Server.Serve()
}

// settings converts the settings for the dashboard.
func settings(c ops.Config) func() []ui.Setting {
	if c.Settings == nil {
		return nil
	}
	return func() []ui.Setting {
		all := []ui.Setting{}
		for _, s := range c.Settings() {
			all = append(all, ui.Setting(s))
		}
		return all
	}
}
