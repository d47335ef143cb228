package ops

import (
	_ "embed"

	"millrace/server"

	"github.com/valyala/fasthttp"
)

// openapi describes every route of the API; a test compares them.
//
//go:embed openapi.yaml
var openapi []byte

// mediaYAML is the type of a YAML document (RFC 9512).
const mediaYAML = "application/yaml"

// OpenAPI serves the description of the API.
type OpenAPI struct{}

// Routes returns the resource's routes.
func (o OpenAPI) Routes() []server.Route {
	return []server.Route{{Method: "GET", Path: "/openapi.yaml", Action: server.Probe, Handle: o.describe}}
}

// describe handles GET /openapi.yaml: this API, in OpenAPI's form.
func (OpenAPI) describe(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaYAML)
	ctx.Response.SetBodyRaw(openapi)
	return nil
}
