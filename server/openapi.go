package server

import (
	_ "embed"

	"github.com/valyala/fasthttp"
)

// openapi describes every route of this package; a test compares them.
//
//go:embed openapi.yaml
var openapi []byte

// mediaYAML is the type of a YAML document (RFC 9512).
const mediaYAML = "application/yaml"

var openapiRoutes = []route{
	{"GET", "/openapi.yaml", ownAnswer, (*Server).describe},
}

// GET /openapi.yaml: this API, for machines.
func (s *Server) describe(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaYAML)
	ctx.Response.SetBodyRaw(openapi)
	return nil
}
