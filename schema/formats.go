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

// reference is a schema that another one refers to, with the name in the reference.
type reference struct{ Name, Text string }

// compiler compiles the text of a schema with its references, which are ordered so that each
// needs only those before it.
type compiler func(text string, references []reference) (compiled, error)

// formats are the formats with schemas: their type at the registry, their compiler, the text that
// Java would register in place of one that compiles, and about how many bytes the compiled schema
// of a text of so many bytes takes.
type formats [codec.Protobuf + 1]struct {
	kind      sr.SchemaType
	compile   compiler
	canonical func(text string) string
	size      func(s compiled, text int) int
}

// builtIn are the formats of this program. The sizes are measured upper bounds, which TestSizes
// measures again: of Avro for unions of arrays of unions, of Protobuf for nothing but empty
// messages.
var builtIn = formats{
	codec.Avro:       {kind: sr.TypeAvro, compile: adapt(avro.Compile), canonical: avro.Canonical, size: linear(4<<10, 30)},
	codec.JSONSchema: {kind: sr.TypeJSON, compile: adapt(jsonschema.Compile), canonical: jsonschema.Canonical, size: func(s compiled, _ int) int { return s.(*jsonschema.Schema).Size() }},
	codec.Protobuf:   {kind: sr.TypeProtobuf, compile: adapt(protobuf.Compile), canonical: protobuf.Canonical, size: linear(32<<10, 65)},
}

func linear(base, perByte int) func(compiled, int) int {
	return func(_ compiled, text int) int { return base + perByte*text }
}

// adapt turns a format's Compile into a compiler.
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

// compile compiles a text of a request or of the registry; its errors are InvalidSchema.
func (f *formats) compile(format codec.Format, text string, references []reference) (stored, error) {
	size := len(text)
	for _, r := range references {
		size += len(r.Text)
	}
	if err := checkSize(size); err != nil {
		return stored{}, err
	}
	end, err := compiling.acquire()
	if err != nil {
		return stored{}, err
	}
	defer end()
	s, err := f[format].compile(text, references)
	if err != nil {
		return stored{}, apierr.InvalidSchema.Wrap(err, "The %s schema is invalid: %s", format, sentence(err.Error()))
	}
	return stored{format: format, schema: s, size: f[format].size(s, size)}, nil
}

// maxSchemaText bounds a schema text with all its references.
const maxSchemaText = 1 << 20

func checkSize(bytes int) error {
	if bytes > maxSchemaText {
		return apierr.InvalidSchema.New("The schema has %d bytes with all that it refers to; at most %d are allowed.", bytes, maxSchemaText)
	}
	return nil
}

// of returns the format of a schema type.
func (f *formats) of(kind sr.SchemaType) codec.Format {
	for format := codec.Avro; int(format) < len(f); format++ {
		if f[format].kind == kind {
			return format
		}
	}
	return codec.Avro
}
