package api_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// openAPI is an OpenAPI 3.1 document, whose schemas are JSON Schema 2020-12.
type openAPI struct {
	root    place
	schemas *jsonschema.Compiler
}

// place is a position in a document, by its JSON pointer. The zero place is nowhere.
type place struct {
	pointer string
	value   any
}

const openAPIBase = "mem://openapi"

// parseOpenAPI reads a document and checks it.
func parseOpenAPI(text []byte) (*openAPI, error) {
	root, err := fromYAML(text)
	if err != nil {
		return nil, err
	}
	d := &openAPI{place{"", root}, jsonschema.NewCompiler()}
	shape, err := os.ReadFile("testdata/openapi.schema.yaml")
	if err != nil {
		return nil, err
	}
	s, err := fromYAML(shape)
	if err != nil {
		return nil, err
	}
	const shapeURL = "mem://shape"
	err = errors.Join(d.schemas.AddResource(openAPIBase, root), d.schemas.AddResource(shapeURL, s))
	if err != nil {
		return nil, err
	}
	compiled, err := d.schemas.Compile(shapeURL)
	if err != nil {
		return nil, err
	}
	if err := compiled.Validate(root); err != nil {
		return nil, err
	}
	return d, errors.Join(d.checkRefs(d.root), d.checkOperations())
}

// fromYAML parses YAML that JSON can express, as the schemas take it.
func fromYAML(text []byte) (any, error) {
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	j, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(j))
}

var (
	pointerEscapes   = strings.NewReplacer("~", "~0", "/", "~1")
	pointerUnescapes = strings.NewReplacer("~1", "/", "~0", "~")
)

// at goes from a place down by keys, through each $ref that it meets.
func (d *openAPI) at(p place, keys ...string) place {
	for _, key := range keys {
		var v any
		switch in := p.value.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			if i, err := strconv.Atoi(key); err == nil && 0 <= i && i < len(in) {
				v = in[i]
			}
		}
		if v == nil {
			return place{}
		}
		p = place{p.pointer + "/" + pointerEscapes.Replace(key), v}
		if m, ok := v.(map[string]any); ok {
			if ref, ok := m["$ref"].(string); ok {
				p = d.target(ref)
			}
		}
	}
	return p
}

// target is where a $ref leads.
func (d *openAPI) target(ref string) place {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return place{}
	}
	keys := strings.Split(path, "/")
	for i, k := range keys {
		keys[i] = pointerUnescapes.Replace(k)
	}
	return d.at(d.root, keys...)
}

// keys are those of the object or list at a place, in order.
func keys(p place) []string {
	var all []string
	switch v := p.value.(type) {
	case map[string]any:
		for k := range v {
			all = append(all, k)
		}
		slices.Sort(all)
	case []any:
		for i := range v {
			all = append(all, strconv.Itoa(i))
		}
	}
	return all
}

// checkRefs lists the $refs that lead nowhere.
func (d *openAPI) checkRefs(p place) error {
	var errs []error
	if m, ok := p.value.(map[string]any); ok {
		if ref, ok := m["$ref"].(string); ok && d.target(ref).value == nil {
			errs = append(errs, fmt.Errorf("%s: %s leads nowhere", p.pointer, ref))
		}
		for k, v := range m {
			errs = append(errs, d.checkRefs(place{p.pointer + "/" + k, v}))
		}
	}
	if list, ok := p.value.([]any); ok {
		for i, v := range list {
			errs = append(errs, d.checkRefs(place{p.pointer + "/" + strconv.Itoa(i), v}))
		}
	}
	return errors.Join(errs...)
}

// checkOperations checks the rules beyond the shape: ids and tags, and that an operation declares
// its path's parameters.
func (d *openAPI) checkOperations() error {
	var errs []error
	var tags []any
	for _, i := range keys(d.at(d.root, "tags")) {
		tags = append(tags, d.at(d.root, "tags", i, "name").value)
	}
	ids := map[any]bool{}
	for _, path := range keys(d.at(d.root, "paths")) {
		var want []string
		for part := range strings.SplitSeq(path, "/") {
			if name, ok := variable(part); ok {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		for _, method := range keys(d.at(d.root, "paths", path)) {
			op := d.at(d.root, "paths", path, method)
			var have []string
			for _, i := range keys(d.at(op, "parameters")) {
				if p := d.at(op, "parameters", i); d.at(p, "in").value == "path" {
					have = append(have, d.at(p, "name").value.(string))
				}
			}
			slices.Sort(have)
			if !slices.Equal(have, want) {
				errs = append(errs, fmt.Errorf("%s %s declares %q", method, path, have))
			}
			id := d.at(op, "operationId").value
			if ids[id] {
				errs = append(errs, fmt.Errorf("%s %s: there is another operation %s", method, path, id))
			}
			ids[id] = true
			for _, i := range keys(d.at(op, "tags")) {
				if tag := d.at(op, "tags", i).value; !slices.Contains(tags, tag) {
					errs = append(errs, fmt.Errorf("%s %s: there is no tag %s", method, path, tag))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// variable is the name in a part of a path that is a variable.
func variable(part string) (string, bool) {
	if !strings.HasPrefix(part, "{") || !strings.HasSuffix(part, "}") {
		return "", false
	}
	return part[1 : len(part)-1], true
}

// operation is that of a request, with the values of its path's variables. A
// path with fewer of them comes first.
func (d *openAPI) operation(r *http.Request) (place, url.Values, error) {
	var found string
	var values url.Values
	for _, path := range keys(d.at(d.root, "paths")) {
		if v, ok := match(path, r.URL.EscapedPath()); ok && (found == "" || len(v) < len(values)) {
			found, values = path, v
		}
	}
	op := d.at(d.root, "paths", found, strings.ToLower(r.Method))
	if op.value == nil {
		return op, nil, fmt.Errorf("there is no %s %s", r.Method, r.URL.Path)
	}
	return op, values, nil
}

func match(template, path string) (url.Values, bool) {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	values := url.Values{}
	for i, part := range want {
		text, err := url.PathUnescape(have[i])
		if err != nil {
			return nil, false
		}
		if name, ok := variable(part); ok {
			values.Set(name, text)
		} else if text != part {
			return nil, false
		}
	}
	return values, true
}

// checkRequest lists the deviations of a request from the document.
func (d *openAPI) checkRequest(r *http.Request, body string) error {
	op, inPath, err := d.operation(r)
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range keys(d.at(op, "parameters")) {
		p := d.at(op, "parameters", i)
		name := d.at(p, "name").value.(string)
		var texts []string
		switch d.at(p, "in").value {
		case "path":
			texts = inPath[name]
		case "query":
			texts = r.URL.Query()[name]
		case "header":
			texts = r.Header.Values(name)
		}
		if err := d.checkParameter(p, texts); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	b := d.at(op, "requestBody")
	if body != "" || d.at(b, "required").value == true {
		errs = append(errs, d.checkBody(d.at(b, "content"), r.Header.Get("Content-Type"), body))
	}
	return errors.Join(errs...)
}

func (d *openAPI) checkParameter(p place, texts []string) error {
	if len(texts) == 0 {
		if d.at(p, "required").value == true {
			return errors.New("it is required")
		}
		return nil
	}
	schema := d.at(p, "schema")
	if d.at(schema, "type").value != "array" {
		if len(texts) > 1 {
			return fmt.Errorf("it is there %d times", len(texts))
		}
		return d.check(schema, plain(d.at(schema, "type").value, texts[0]))
	}
	var list []any
	for _, t := range texts {
		list = append(list, plain(d.at(schema, "items", "type").value, t))
	}
	return d.check(schema, list)
}

// plain is the value that a text stands for outside of JSON.
func plain(kind any, text string) any {
	if kind != "string" {
		if v, err := jsonschema.UnmarshalJSON(strings.NewReader(text)); err == nil {
			return v
		}
	}
	return text
}

// checkResponse lists the deviations of a response from the document.
func (d *openAPI) checkResponse(r *http.Request, resp *http.Response, body string) error {
	op, _, err := d.operation(r)
	if err != nil {
		return err
	}
	responses := d.at(op, "responses")
	answer := cmp.Or(d.at(responses, strconv.Itoa(resp.StatusCode)), d.at(responses, "default"))
	return d.checkBody(d.at(answer, "content"), resp.Header.Get("Content-Type"), body)
}

// checkBody checks a body against the content of a request or a response.
func (d *openAPI) checkBody(content place, contentType, body string) error {
	if content.value == nil {
		if body != "" {
			return errors.New("there is a body")
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("Content-Type %q: %w", contentType, err)
	}
	schema := d.at(content, media, "schema")
	if schema.value == nil {
		schema = d.at(content, "*/*", "schema")
	}
	if schema.value == nil {
		return fmt.Errorf("no body of %s is declared", media)
	}
	if !strings.HasSuffix(media, "json") || strings.HasSuffix(media, "ndjson") {
		return d.check(schema, body)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return err
	}
	return d.check(schema, v)
}

// check checks a value against the schema at a place.
func (d *openAPI) check(schema place, v any) error {
	compiled, err := d.schemas.Compile(openAPIBase + (&url.URL{Fragment: schema.pointer}).String())
	if err != nil {
		return err
	}
	return compiled.Validate(v)
}
