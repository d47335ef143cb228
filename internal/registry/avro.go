package registry

import (
	"regexp"

	compat "github.com/twmb/avro"

	"millrace/codec/avro"
)

// avroSchema is a schema that the codec takes. It is compared by another library;
// odd is why that one does not take it.
type avroSchema struct {
	*compat.Schema
	odd     error
	misfits []string // fields with a default that is none
}

// parseAvro has references by the full name of a type, so that the names under
// which they stand do not count.
func parseAvro(s source) (parsed, error) {
	judged, err := avro.Compile(s.Schema.Schema, references[avro.Reference](s))
	if err != nil {
		return nil, err
	}
	out := avroSchema{misfits: judged.Misfits()}
	var cache compat.SchemaCache
	names := compat.WithLaxNames(func(string) error { return nil }) // they are judged
	for _, ref := range s.refs {
		if _, err := cache.Parse(ref.text, names); err != nil {
			out.odd = err
			return out, nil
		}
	}
	out.Schema, out.odd = cache.Parse(s.Schema.Schema, names)
	return out, nil
}

func (r avroSchema) canRead(writer parsed) []string {
	w := writer.(avroSchema)
	for _, s := range []avroSchema{r, w} {
		if s.odd != nil {
			return []string{"cannot be compared: " + s.odd.Error()}
		}
	}
	if err := compat.CheckCompatibility(w.Schema, r.Schema); err != nil {
		return []string{err.Error()}
	}
	return nil
}

var avroName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// isAvroName says whether a text is a bare type name, which Java's parser takes
// without quotes: curl users write {"schema":"string"}.
func isAvroName(text string) bool { return avroName.MatchString(text) }

// avroIdentity is a text with what Java's parser does not keep taken out: the
// order of attributes, and the object around a bare type.
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
			if name != "default" { // is a value and no schema
				v[name] = bareTypes(v[name])
			}
		}
		if name, ok := v["type"].(string); ok && len(v) == 1 {
			return name
		}
	}
	return v
}
