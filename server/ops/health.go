package ops

import (
	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/server"
)

// Health serves the health checks of load balancers.
type Health struct {
	edge          *server.Server
	ready, joined func() error
}

// NewHealth returns the resource. ready returns nil while Kafka lets the node serve requests, else
// the reason; joined the same for the other nodes of the service, which it is asked of whatever
// request.
func NewHealth(edge *server.Server, ready, joined func() error) *Health {
	return &Health{edge, ready, joined}
}

// Routes returns the resource's routes.
func (h *Health) Routes() []server.Route {
	return []server.Route{
		{Method: "GET", Path: "/healthz", Action: server.Probe, Handle: h.healthz},
		{Method: "GET", Path: "/readyz", Query: server.Query{Known: []string{"exclude"}}, Action: server.Probe, Handle: h.readyz},
	}
}

// healthz handles GET /healthz: the process responds.
func (h *Health) healthz(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(server.MediaJSON)
	ctx.SetBodyString(`{"status":"ok"}`)
	return nil
}

// readyz handles GET /readyz: 200 while the node can serve requests, else the reason. With
// exclude=kafka it does not look at Kafka: an outage of Kafka then takes no node out of a load
// balancer. Without that an outage takes all of them out at once, and clients get the balancer's
// error, without a reason and a Retry-After.
func (h *Health) readyz(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(server.MediaJSON)
	exclude := string(ctx.QueryArgs().Peek("exclude"))
	if exclude != "" && exclude != "kafka" {
		return apierr.BadRequest.New("exclude can be kafka, not %s.", exclude)
	}
	if h.edge.Draining() {
		return apierr.Draining.Err()
	}
	if err := h.joined(); err != nil {
		return err
	}
	if err := h.ready(); err != nil && exclude == "" {
		why := apierr.From(err)
		if why.Kind.Status != apierr.BrokersAway.Status { // it is the node that is not ready, not the asker that is at fault
			return apierr.BrokersAway.Wrap(err, "%s", why.Message())
		}
		return err
	}
	ctx.SetBodyString(`{"status":"ready"}`)
	return nil
}
