package registry

import (
	"strings"

	"millrace/codec/jsonschema"
)

// jsonSchema is a schema that compiles, as the tree of its text.
type jsonSchema struct {
	root node
}

func parseJSONSchema(s source) (parsed, error) {
	if _, err := jsonschema.Compile(s.Schema.Schema, references[jsonschema.Reference](s)); err != nil {
		return nil, err
	}
	all := map[string]*document{}
	for _, ref := range s.refs {
		root, err := readNumbers(ref.text)
		if err != nil {
			return nil, err
		}
		all[strings.TrimPrefix(ref.name, "/")] = newDocument(ref.name, root, all)
	}
	root, err := readNumbers(s.Schema.Schema)
	return jsonSchema{node{value: root, doc: newDocument("", root, all)}}, err
}
