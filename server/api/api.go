// Package api builds the HTTP edge with all its resources: everything that one node serves. It
// selects the routes, and knows no detail of them.
package api

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	// Delegation opens the parts by which callers use Kafka with rights of their own; it is required
	// when Access delegates.
	Delegation Delegation
	// Audit gets refusals and changes, beside the log; nil: only the log does.
	Audit *slog.Logger
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
	log       *slog.Logger
	// principals is nil where all use Kafka with the rights of the node.
	principals *principals
	routes     atomic.Pointer[ingest.Table] // of the front door
	// stopForwarding ends what New has begun.
	stopForwarding func(context.Context) error
}

// New returns an API that does not listen yet.
func New(s Settings, p Parts) *API {
	media := rest.NewMedia(s.REST, p.Schemas != nil)
	a := &API{endpoints: s.Endpoints, log: p.Logger}
	policy := func(ctx *fasthttp.RequestCtx) *server.CORS { return a.ingest.CORS(ctx) }
	d := server.Deps{Metrics: p.Metrics, Tracing: p.Tracing, Logger: p.Logger, ErrorType: errorType(media), AppendError: appendError, CORS: policy, Access: p.Access, Audit: p.Audit}
	var peers rest.Peers // a nil interface without a cluster
	if p.Cluster != nil {
		a.Forwarder = peer.New(p.Cluster, p.Consumers, p.Access, s.Peer)
		d.Peers, peers = a.Forwarder, a.Forwarder
	}
	a.Server = server.New(s.Edge, d)
	edge := a.Server
	a.routes.Store(s.Ingest.Routes)
	withRights := func(r *Rights) ([]server.Route, *ingest.Ingest) { return a.withRights(s, p, media, r) }
	routes, door := withRights(&Rights{Producer: p.Producer, Metadata: p.Metadata, Admin: p.Admin, Reader: p.Reader})
	a.ingest = door
	a.stopForwarding = door.Start()
	if p.Access.Delegates() {
		a.principals = newPrincipals(p.Delegation, withRights)
		routes = a.principals.delegated(edge, routes)
	}
	a.handle(routes...)
	a.handle(rest.NewConsumers(edge, media, p.Consumers, peers).Routes()...)
	a.handle(ops.NewHealth(edge, p.Metadata.Healthy, a.joined).Routes()...)
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
		a.Forwarder.TakeKeys(edge.Answers())
		a.handle(a.Forwarder.Routes()...)
	}
	return a
}

// withRights returns the routes whose work needs rights in Kafka, with those of r. Their order is
// always the same.
func (a *API) withRights(s Settings, p Parts, media *rest.Media, r *Rights) (routes []server.Route, door *ingest.Ingest) {
	edge := a.Server
	entry := s.Ingest
	entry.Routes = a.routes.Load()
	door = ingest.New(edge, entry, ingest.Deps{Producer: r.Producer, Schemas: p.Schemas, Spool: p.Spool, Dead: p.Dead, Logger: p.Logger, Beside: a.ingest})
	return slices.Concat(
		rest.NewProduce(edge, media, r.Producer, p.Schemas).Routes(),
		v3.NewProduce(edge, r.Metadata, r.Producer, p.Schemas, v3.ProduceSettings{
			MaxRecordBytes: s.Edge.MaxBodyBytes, MaxEntries: s.Produce.MaxEntries, Dialect: s.REST.Avro, NullsAreTombstones: s.REST.NullsAreTombstones,
		}).Routes(),
		door.Routes(),
		otlp.New(edge, s.Ingest.OTLP, r.Producer).Routes(),
		leadToDashboard(s, rest.NewMetadata(edge, media, r.Metadata).Routes()),
		rest.NewDirect(media, r.Metadata, r.Reader).Routes(),
		rest.NewStreams(edge, media, r.Metadata, r.Reader).Routes(),
		v3.Routes(v3.Parts{Edge: edge, Metadata: r.Metadata, Admin: r.Admin, Strict: s.REST.Strict}),
	), door
}

// SetIngestRoutes makes t the routes of /ingest, beside those of topics, from the next request on.
func (a *API) SetIngestRoutes(t *ingest.Table) {
	a.routes.Store(t)
	a.ingest.SetRoutes(t)
	if a.principals != nil {
		a.principals.setIngestRoutes(t)
	}
}

// CloseDelegation ends what was opened for callers that use Kafka with rights of their own. Call
// it after [server.Server.Shutdown].
func (a *API) CloseDelegation() {
	if a.principals != nil {
		a.principals.closeAll()
	}
}

// Principals returns how many logins of callers have connections to Kafka of their own.
func (a *API) Principals() int {
	if a.principals == nil {
		return 0
	}
	return a.principals.count()
}

// Spooled returns the state of the spool, and how many topics are set aside in it. It must have
// one.
func (a *API) Spooled() (spool.Stats, int) { return a.ingest.Spooled() }

// StopForwarding ends the forwarding of the spool's events. It waits for those that are on their
// way, but no longer than ctx; call it before the producer is closed.
func (a *API) StopForwarding(ctx context.Context) error { return a.stopForwarding(ctx) }

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
	if a.Forwarder != nil {
		defer a.takeOver()()
	}
	if a.dashboard != nil {
		defer a.dashboard.Start()()
	}
	return a.Server.Serve()
}

// takeOver has the node remember, in the background, what the others remember of requests with an
// Idempotency-Key. The function that it returns ends that.
func (a *API) takeOver() (end func()) {
	ctx, cancel := context.WithTimeout(context.Background(), takeOverTime)
	var done sync.WaitGroup
	done.Go(func() {
		defer cancel()
		if err := a.Forwarder.TakeOver(ctx); err != nil {
			a.log.Warn("the keys that other nodes remember are not all taken over", "err", err)
		}
	})
	return func() { cancel(); done.Wait() }
}

// takeOverTime bounds how long a node that has started is not ready for the sake of keys: it is for
// as long at least as a node that was killed counts as alive by default.
const takeOverTime = 15 * time.Second

// joined returns why this node does not take part in its service yet.
func (a *API) joined() error {
	if a.Forwarder == nil || a.Forwarder.TookOver() {
		return nil
	}
	return apierr.KeyUnsettled.New("The node has just started, and learns the Idempotency-Keys that the other nodes remember.")
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
