package ops

import (
	"github.com/valyala/fasthttp"

	"millrace/server"
)

// Metrics serves /metrics.
type Metrics struct{ edge *server.Server }

// NewMetrics returns the resource; it shows the metrics of the edge.
func NewMetrics(edge *server.Server) *Metrics { return &Metrics{edge} }

// Routes returns the resource's routes.
func (m *Metrics) Routes() []server.Route {
	return []server.Route{{Method: "GET", Path: "/metrics", Action: server.Describe, Handle: m.scrape}}
}

// scrape handles GET /metrics in the form that Prometheus asks for. A scrape does not count
// itself among the requests in flight.
func (m *Metrics) scrape(ctx *fasthttp.RequestCtx) error {
	figures := m.edge.Metrics()
	figures.InFlight.Add(-1)
	defer figures.InFlight.Add(1)
	contentType, err := figures.Write(ctx, string(ctx.Request.Header.Peek(fasthttp.HeaderAccept)))
	if err != nil {
		return err
	}
	ctx.SetContentType(contentType)
	return nil
}
