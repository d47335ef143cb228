package embedded

import (
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// jsonSchema is a schema that compiles, as the tree of its text.
type jsonSchema struct {
	root node
}

// baseURL is what relative references of a JSON Schema are relative to.
const baseURL = "registry:///"

// parseJSONSchema compiles a JSON Schema; $ref finds what the registry's
// references name, by that name, and nothing else: no file and no network.
func parseJSONSchema(s source) (parsed, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.DefaultDraft(jsonschema.Draft7) // what Confluent's registry takes a text without $schema for
	for _, ref := range s.refs {
		if err := addResource(c, ref.name, ref.text); err != nil {
			return nil, fmt.Errorf("cannot parse the reference %s: %w", ref.name, err)
		}
	}
	const main = baseURL + "schema.main.json"
	if err := addResource(c, main, s.Schema.Schema); err != nil {
		return nil, err
	}
	if _, err := c.Compile(main); err != nil {
		return nil, fmt.Errorf("%s", strings.ReplaceAll(err.Error(), main, "schema"))
	}
	all := map[string]*document{}
	for _, ref := range s.refs {
		root, err := readNumbers(ref.text)
		if err != nil {
			return nil, err
		}
		all[strings.TrimPrefix(ref.name, "/")] = &document{ref.name, root, all}
	}
	root, err := readNumbers(s.Schema.Schema)
	return jsonSchema{node{value: root, doc: &document{"", root, all}}}, err
}

func addResource(c *jsonschema.Compiler, name, text string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	if !strings.Contains(name, ":") {
		name = baseURL + strings.TrimPrefix(name, "/")
	}
	return c.AddResource(name, doc)
}

// noLoader keeps a schema from naming files and addresses of the machine that
// the registry runs on.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not among the references", strings.TrimPrefix(url, baseURL))
}
