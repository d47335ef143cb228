package schema

import (
	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/codec/avro"
	"millrace/codec/jsonschema"
	"millrace/codec/protobuf"
	"millrace/internal/apierr"
)

// compiled is a schema that is ready for use.
type compiled interface {
	codec.Schema
	// Name is the full name of the record or message, empty when it has none.
	Name() string
}

// reference is a schema that another one refers to, and by which name.
type reference struct{ Name, Text string }

// compiler makes a schema of its text and of what it refers to, which comes in
// such an order that each needs only those before it.
type compiler func(text string, references []reference) (compiled, error)

// formats are those with schemas: their type at the registry and their compiler.
type formats [codec.Protobuf + 1]struct {
	kind    sr.SchemaType
	compile compiler
}

// builtIn are the formats of this program.
var builtIn = formats{
	codec.Avro:       {kind: sr.TypeAvro, compile: adapt(avro.Compile)},
	codec.JSONSchema: {kind: sr.TypeJSON, compile: adapt(jsonschema.Compile)},
	codec.Protobuf:   {kind: sr.TypeProtobuf, compile: adapt(protobuf.Compile)},
}

// adapt makes a compiler of a format's Compile.
func adapt[R ~struct{ Name, Text string }, S compiled](compile func(string, []R) (S, error)) compiler {
	return func(text string, references []reference) (compiled, error) {
		own := make([]R, len(references))
		for i, r := range references {
			own[i] = R(r)
		}
		s, err := compile(text, own)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

// compile compiles a text of a request or of the registry; its errors are
// InvalidSchema.
func (f *formats) compile(format codec.Format, text string, references []reference) (compiled, error) {
	if len(text) > maxSchemaText {
		return nil, apierr.InvalidSchema.New("The schema has %d bytes; at most %d are allowed.", len(text), maxSchemaText)
	}
	s, err := f[format].compile(text, references)
	if err != nil {
		return nil, apierr.InvalidSchema.Wrap(err, "The %s schema is invalid: %s", format, sentence(err.Error()))
	}
	return s, nil
}

// maxSchemaText bounds one schema text.
const maxSchemaText = 1 << 20

// of returns the format of a schema type.
func (f *formats) of(kind sr.SchemaType) codec.Format {
	for format := codec.Avro; int(format) < len(f); format++ {
		if f[format].kind == kind {
			return format
		}
	}
	return codec.Avro
}
