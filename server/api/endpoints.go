package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/server"
)

// Endpoints are the settings api.endpoints.allowlist and api.endpoints.blocklist: names of routes,
// or of all routes of a resource as in api.v3.topics.*.
type Endpoints struct {
	// Allow, if not empty, are the only routes that are served.
	Allow []string
	// Block are routes that are not served.
	Block []string
}

// names are the names of the routes of v1 and v2, and of those that write records: those that the
// Confluent proxy has for them, and our own. It has names for each format of a produce and of a
// read, which are one route here. The other routes of v3 have their names themselves, and those of
// operations have none: the settings do not reach them.
var names = map[string]string{
	"GET /":                                     "api.v2.root.get",
	"GET /topics":                               "api.v2.topics.list",
	"GET /topics/{topic}":                       "api.v2.topics.get",
	"GET /topics/{topic}/partitions":            "api.v2.partitions.list",
	"GET " + partition:                          "api.v2.partitions.get",
	"GET " + partition + "/offsets":             "api.v2.partitions.get-offsets",
	"POST " + records:                           "api.v3.produce.produce-to-topic",
	"POST " + records + ":batch":                "api.v3.batch-produce.produce-to-topic",
	"POST /ingest/{topic}":                      "millrace.ingest.post",
	"GET /ingest/{topic}/pixel.gif":             "millrace.ingest.pixel",
	"POST /v1/traces":                           "millrace.otlp.traces",
	"POST /v1/logs":                             "millrace.otlp.logs",
	"POST /v1/metrics":                          "millrace.otlp.metrics",
	"GET /brokers":                              "api.v2.brokers.list",
	"GET /metadata/changes":                     "millrace.metadata.changes",
	"POST /topics":                              "millrace.produce-to-topics.all",
	"POST /topics/{topic}":                      "api.v2.produce-to-topic.all",
	"POST " + partition:                         "api.v2.produce-to-partition.all",
	"GET " + partition + "/records":             "millrace.records.read",
	"GET " + partition + "/messages":            "millrace.records.messages",
	"GET /topics/{topic}/stream":                "millrace.streams.topic",
	"GET " + partition + "/stream":              "millrace.streams.partition",
	"POST /consumers/{group}":                   "api.v2.consumers.create",
	"DELETE " + instance:                        "api.v2.consumers.delete",
	"POST " + instance + "/subscription":        "api.v2.consumers.subscribe",
	"GET " + instance + "/subscription":         "api.v2.consumers.get-subscription",
	"DELETE " + instance + "/subscription":      "api.v2.consumers.unsubscribe",
	"POST " + instance + "/assignments":         "api.v2.consumers.assign",
	"GET " + instance + "/assignments":          "api.v2.consumers.get-assignments",
	"POST " + instance + "/positions":           "api.v2.consumers.seek-to-offset",
	"POST " + instance + "/positions/beginning": "api.v2.consumers.seek-to-beginning",
	"POST " + instance + "/positions/end":       "api.v2.consumers.seek-to-end",
	"POST " + instance + "/offsets":             "api.v2.consumers.commit-offsets",
	"GET " + instance + "/offsets":              "api.v2.consumers.get-committed-offsets",
	"GET " + instance + "/records":              "api.v2.consumers.consume",
	"GET " + instance + "/topics/{topic}":       "api.v2.consumers.consume-topic",
	"GET " + instance + "/stream":               "api.v2.consumers.stream",
}

const (
	records   = "/v3/clusters/{cluster_id}/topics/{topic}/records"
	partition = "/topics/{topic}/partitions/{partition}"
	instance  = "/consumers/{group}/instances/{instance}"
)

// handle registers routes, those that are not to be served as refusals.
func (a *API) handle(routes ...server.Route) {
	for _, rt := range routes {
		if rt.Name == "" {
			rt.Name = names[rt.Method+" "+rt.Path]
		}
		if rt.Name != "" && !a.endpoints.serves(rt.Name) {
			rt.Instance, rt.Streamed, rt.Admit, rt.Handle = false, false, nil, blocked
		}
		a.Handle(rt)
	}
}

// serves reports whether the route of that name is served.
func (e *Endpoints) serves(name string) bool {
	resource := name[:strings.LastIndexByte(name, '.')] + ".*"
	has := func(list []string) bool { return slices.Contains(list, name) || slices.Contains(list, resource) }
	return (len(e.Allow) == 0 || has(e.Allow)) && !has(e.Block)
}

// blocked answers as the Confluent proxy does for a route that is not served.
func blocked(ctx *fasthttp.RequestCtx) error {
	if ctx.IsGet() || ctx.IsHead() {
		return apierr.NotFound.New("%s is not served here (api.endpoints.allowlist, api.endpoints.blocklist).", server.SentPath(ctx))
	}
	return apierr.MethodNotAllowed.New("%s does not support this method here (api.endpoints.allowlist, api.endpoints.blocklist).", server.SentPath(ctx))
}

// CheckEndpoints returns an error for a name in the settings of endpoints that no route has: a
// protection that is spelt wrong protects nothing.
func (a *API) CheckEndpoints() error {
	known := map[string]bool{}
	for rt := range a.Routes() {
		if rt.Name != "" {
			known[rt.Name] = true
			known[rt.Name[:strings.LastIndexByte(rt.Name, '.')]+".*"] = true
		}
	}
	var unknown []string
	for _, name := range slices.Concat(a.endpoints.Allow, a.endpoints.Block) {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("api.endpoints.allowlist and api.endpoints.blocklist name what no route is called: %s", strings.Join(unknown, ", "))
	}
	return nil
}
