package ops

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"
	"go.yaml.in/yaml/v3"

	"millrace/codec/json"
	"millrace/server"
)

// The description of the API: the document, and what it has of v3.
var (
	//go:embed openapi.yaml
	openapi string
	//go:embed openapi_v3.yaml
	openapiV3 string
)

// The page that shows it, which asks no other host.
var (
	//go:embed docs.html
	docsPage []byte
	//go:embed docs.js
	docsScript []byte
	//go:embed docs.css
	docsStyle []byte
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
	get := func(path string, h server.Handler) server.Route {
		return server.Route{Method: "GET", Path: path, Action: server.Probe, Handle: h}
	}
	return []server.Route{
		get("/openapi.yaml", o.describe),
		get("/openapi.json", o.describeJSON),
		get("/docs", file("text/html; charset=utf-8", docsPage)),
		get("/docs.js", file("text/javascript; charset=utf-8", docsScript)),
		get("/docs.css", file("text/css; charset=utf-8", docsStyle)),
	}
}

// asJSON is the document as JSON, for the page: browsers read no YAML.
var asJSON = sync.OnceValues(func() ([]byte, error) {
	var document any
	if err := yaml.Unmarshal(Document(), &document); err != nil {
		return nil, fmt.Errorf("cannot read the description of the API: %w", err)
	}
	return json.Marshal(document)
})

// describeJSON handles GET /openapi.json.
func (OpenAPI) describeJSON(ctx *fasthttp.RequestCtx) error {
	text, err := asJSON()
	if err != nil {
		return err
	}
	ctx.SetContentType(server.MediaJSON)
	ctx.Response.SetBodyRaw(text)
	return nil
}

// docsPolicy lets the page load from and call only this node, and be in no other page's frame.
const docsPolicy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// file returns the handler of a file of the page.
func file(media string, content []byte) server.Handler {
	return func(ctx *fasthttp.RequestCtx) error {
		ctx.SetContentType(media)
		ctx.Response.Header.Set(fasthttp.HeaderContentSecurityPolicy, docsPolicy)
		ctx.Response.SetBodyRaw(content)
		return nil
	}
}

// describe handles GET /openapi.yaml: this API, in OpenAPI's form.
func (OpenAPI) describe(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaYAML)
	ctx.Response.SetBodyRaw(Document())
	return nil
}
