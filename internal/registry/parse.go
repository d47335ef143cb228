package registry

import (
	"crypto/sha256"
	"fmt"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec/json"
	"millrace/codec/protobuf"
)

// parsed is a schema parsed by a library, with its references.
type parsed interface {
	// canRead lists the reasons why a reader with this schema cannot read records written with
	// another one of the same type; an empty list means that it can.
	canRead(writer parsed) []string
}

// source is a schema with all its references, direct or not; a reference precedes the schemas
// that refer to it.
type source struct {
	sr.Schema
	refs   []referred
	parsed parsed // the parsed schema, once parsed
}

// referred is a schema under the name that the reference gives it.
type referred struct {
	name, subject, text string
}

// references are those of s as a codec wants them.
func references[R ~struct{ Name, Text string }](s source) []R {
	out := make([]R, len(s.refs))
	for i, ref := range s.refs {
		out[i] = R{Name: ref.name, Text: ref.text}
	}
	return out
}

// parse parses the schema with the codec of its type, so that this registry accepts the schemas
// that millrace accepts.
func (s source) parse() (parsed, error) {
	switch s.Type {
	case sr.TypeAvro:
		return parseAvro(s)
	case sr.TypeJSON:
		return parseJSONSchema(s)
	case sr.TypeProtobuf:
		return parseProtobuf(s)
	}
	return nil, fmt.Errorf("unsupported schema type %d", s.Type)
}

// tidy converts a text to the form in which it is stored.
func tidy(s sr.Schema) (sr.Schema, error) {
	switch s.Type {
	case sr.TypeAvro, sr.TypeJSON:
		if s.Type == sr.TypeAvro && isAvroName(s.Schema) {
			s.Schema = `"` + s.Schema + `"`
		}
		text, err := json.AppendCompact(nil, []byte(s.Schema))
		if err != nil {
			return s, fmt.Errorf("cannot read the schema as JSON: %w", err)
		}
		s.Schema = string(text)
	case sr.TypeProtobuf:
		text, err := protobuf.Text(s.Schema)
		if err != nil {
			return s, fmt.Errorf("the schema %w", err)
		}
		s.Schema = text
	}
	return s, nil
}

// identify computes the identity of a tidy schema.
func identify(s sr.Schema) identity {
	id := identity{exact: s.Schema, normal: s.Schema}
	switch s.Type {
	case sr.TypeAvro:
		id.normal = avroIdentity(s.Schema)
		id.exact = id.normal
	case sr.TypeJSON:
		id.normal = sortedJSON(s.Schema)
	case sr.TypeProtobuf:
		id.exact, id.normal = protobufIdentity(s.Schema)
	}
	extra, _ := json.Marshal([]any{s.Type, s.References, s.SchemaMetadata, s.SchemaRuleSet}) // of plain structs: does not fail
	id.exact += string(extra)
	id.normal += string(extra)
	return id
}

// same reports whether two texts are one schema.
func (id identity) same(other identity, normalize bool) bool {
	return id.exact == other.exact || normalize && id.normal == other.normal
}

// guid is equal for equal schemas, in every registry.
func (id identity) guid() string {
	sum := sha256.Sum256([]byte(id.exact))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80 // version 8 of RFC 9562: by own rules
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// normalized returns a tidy schema in the form that normalize=true stores.
func normalized(s sr.Schema) sr.Schema {
	if s.Type == sr.TypeJSON {
		s.Schema = sortedJSON(s.Schema)
	}
	return s
}

// sortedJSON writes a JSON text with the members of its objects in order. Other text is returned
// unchanged.
func sortedJSON(text string) string {
	v, err := readNumbers(text)
	if err != nil {
		return text
	}
	return writeSorted(v, text)
}

// readNumbers reads JSON with its numbers as written: two defaults that differ in the last of 19
// digits are two schemas.
func readNumbers(text string) (v any, err error) {
	return v, json.Unmarshal([]byte(text), &v)
}

func writeSorted(v any, orElse string) string {
	b, err := json.Marshal(v)
	if err != nil {
		return orElse
	}
	return string(b)
}
