package ops

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"millrace/server"
)

// The description of the API: the document, and what it has of v3.
var (
	//go:embed openapi.yaml
	openapi string
	//go:embed openapi_v3.yaml
	openapiV3 string
)

// Document returns the description of every route of the API; a test compares them.
var Document = sync.OnceValue(func() []byte { return []byte(join(openapi, openapiV3)) })

// join adds each section of an OpenAPI document to that of the same name in another: the paths,
// and the kinds of components. A section is the lines below its name.
func join(document, more string) string {
	added := sections(more)
	var b strings.Builder
	for line := range strings.Lines(document) {
		b.WriteString(line)
		b.WriteString(added[heading(line)])
	}
	return b.String()
}

// sections returns the lines below each heading.
func sections(document string) map[string]string {
	all, now := map[string]string{}, ""
	for line := range strings.Lines(document) {
		if name := heading(line); name != "" {
			now = name
		} else if !strings.HasPrefix(line, "#") {
			all[now] += line
		}
	}
	return all
}

// heading returns the name of the section that a line begins, empty for other lines.
func heading(line string) string {
	name, rest, _ := strings.Cut(line, ":")
	indent := len(name) - len(strings.TrimLeft(name, " "))
	if strings.TrimSpace(rest) != "" || indent > 2 || indent == 2 && strings.HasPrefix(name, "  /") {
		return ""
	}
	return strings.TrimSpace(name)
}

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
	ctx.Response.SetBodyRaw(Document())
	return nil
}
