package registry

import (
	"regexp"

	"millrace/codec/avro"
)

// avroSchema is a schema that the codec accepts.
type avroSchema struct{ *avro.Schema }

// parseAvro resolves references by the full name of a type, so that the names under which they
// stand do not count.
func parseAvro(s source) (parsed, error) {
	schema, err := avro.Compile(s.Schema.Schema, references[avro.Reference](s))
	if err != nil {
		return nil, err
	}
	return avroSchema{schema}, nil
}

func (r avroSchema) canRead(writer parsed) []string {
	if err := r.Reads(writer.(avroSchema).Schema); err != nil {
		return []string{err.Error()}
	}
	return nil
}

var avroName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// isAvroName reports whether a text is a bare type name, which Java's parser takes without
// quotes: curl users write {"schema":"string"}.
func isAvroName(text string) bool { return avroName.MatchString(text) }

// avroIdentity returns a text without the parts that Java's parser ignores: the order of
// attributes, and the object around a bare type.
func avroIdentity(text string) string {
	v, err := readNumbers(text)
	if err != nil {
		return text
	}
	return writeSorted(bareTypes(v), text)
}

func bareTypes(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = bareTypes(v[i])
		}
	case map[string]any:
		for name := range v {
			if name != "default" { // it is a value and no schema
				v[name] = bareTypes(v[name])
			}
		}
		if name, ok := v["type"].(string); ok && len(v) == 1 {
			return name
		}
	}
	return v
}
