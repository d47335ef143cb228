package v3

import (
	"context"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/server"
)

// Parts are what the resources use. They are borrowed.
type Parts struct {
	Edge     *server.Server
	Metadata *metadata.Cache
	Admin    *admin.Admin
	// Strict answers as today's Confluent proxy where millrace is kinder or follows the
	// documentation.
	Strict bool
}

// clusterPath begins the paths of all resources but the list of clusters.
const clusterPath = "/v3/clusters/{cluster_id}"

// Routes returns the routes of all resources.
func Routes(p Parts) []server.Route {
	s := &shared{p}
	return slices.Concat(
		(&clusters{s}).routes(),
		(&brokers{s}).routes(),
		(&topics{s}).routes(),
		s.configRoutes(),
		(&reassignments{s}).routes(),
		(&groups{s}).routes(),
		(&lags{s}).routes(),
		(&acls{s}).routes(),
		(&records{s}).routes(),
		(&groupChanges{s}).routes(),
		(&users{s}).routes(),
		(&quotas{s}).routes(),
		(&features{s}).routes(),
		(&transactions{s}).routes(),
		(&partitions{s}).routes(),
	)
}

// shared is what all resources use.
type shared struct{ Parts }

// call is one request.
type call struct {
	*fasthttp.RequestCtx
	*shared
	// life bounds what the request may wait for.
	life context.Context
	urls urls
}

// handler does the work of one route.
type handler func(c *call) error

// get returns a route that describes something below the cluster.
func (s *shared) get(path, name string, of server.Resource, h handler) server.Route {
	return s.route(server.Route{Method: "GET", Path: path, Name: name, Action: server.Describe, Resource: of}, h)
}

// pages returns a route that describes many things below the cluster, page by page.
func (s *shared) pages(path, name string, of server.Resource, h handler) server.Route {
	return with(s.get(path, name, of, h), pageWords...)
}

// with adds query parameters to a route.
func with(rt server.Route, names ...string) server.Route {
	rt.Query.Known = append(rt.Query.Known, names...)
	return rt
}

// change returns a route that changes something below the cluster. line is the method and the path.
func (s *shared) change(line, name string, of server.Resource, body server.Fields, h handler) server.Route {
	method, path, _ := strings.Cut(line, " ")
	rt := server.Route{Method: method, Path: path, Name: name, Body: body, Action: server.Administer, Resource: of}
	if body != nil {
		rt.Content = maybeJSON
	}
	return s.route(rt, h)
}

// maybeJSON is the content of a change, which need not name its type.
var maybeJSON = []string{server.MediaJSON, ""}

// route completes a route below a cluster; its path lacks [clusterPath].
func (s *shared) route(rt server.Route, h handler) server.Route {
	rt.Path = clusterPath + rt.Path
	return s.complete(rt, func(c *call) error {
		id, err := server.PathParam(c.RequestCtx, "cluster_id")
		if err != nil {
			return err
		}
		own, err := c.clusterID()
		if err != nil {
			return err
		}
		if id != own {
			return apierr.NotFound.New("Cluster %s cannot be found.", id)
		}
		c.urls.cluster = own
		return h(c)
	})
}

// complete completes a route.
func (s *shared) complete(rt server.Route, h handler) server.Route {
	rt.Admit = admit
	rt.Guarded = strings.HasPrefix(rt.Name, "millrace.") // not in the Confluent proxy
	rt.Handle = func(ctx *fasthttp.RequestCtx) error {
		// Fasthttp's context ends with a drain, which completes the requests in flight.
		life, cancel := context.WithTimeout(context.Background(), s.Admin.Timeout())
		defer cancel()
		c := &call{RequestCtx: ctx, shared: s, life: life, urls: urls{base: s.Edge.BaseURL(ctx)}}
		if err := s.Metadata.Healthy(); err != nil {
			return err
		}
		return h(c)
	}
	return rt
}

// clusterID returns the id of the Kafka cluster, which never changes.
func (c *call) clusterID() (string, error) {
	if id := c.Metadata.Known().ClusterID; id != "" {
		return id, nil
	}
	view, err := c.Metadata.Snapshot(c.life)
	if err != nil {
		return "", err
	}
	return view.ClusterID, nil
}

// note adds an attribute to the audit line of the request.
func (c *call) note(name string, value any) { server.Note(c.RequestCtx, name, value) }

// answers are the media types of answers.
var answers = []string{server.MediaJSON}

// admit negotiates the media types: JSON both ways.
func admit(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(server.MediaJSON) // of an error, too
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if len(accept) > 0 && server.PickAccepted(string(accept), answers) == "" {
		return apierr.NotAcceptable.New("This answers with %s, which Accept does not admit.", server.MediaJSON)
	}
	return nil
}

// respond answers with v.
func (c *call) respond(v any) error { return server.RespondJSON(c.RequestCtx, v) }

// done answers without a body.
func (c *call) done() error {
	c.SetStatusCode(fasthttp.StatusNoContent)
	c.Response.Header.SetContentType("")
	return nil
}
