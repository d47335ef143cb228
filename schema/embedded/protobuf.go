package embedded

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"millrace/codec/protobuf"
)

// mainFile is the name under which a schema is compiled: references have names
// of their own choice, and none ends so.
const mainFile = "schema.main.proto"

type protobufSchema struct {
	linker.File
}

func parseProtobuf(s source) (parsed, error) {
	texts := map[string]string{mainFile: s.Schema.Schema}
	for _, ref := range s.refs {
		texts[ref.name] = ref.text
	}
	for name, text := range texts {
		if err := protobuf.Bounded(text); err != nil {
			return nil, fmt.Errorf("%s %w", strings.ReplaceAll(name, mainFile, "the schema"), err)
		}
	}
	c := protocompile.Compiler{
		MaxParallelism: 1,
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(texts)}),
	}
	files, err := c.Compile(context.Background(), mainFile)
	if err != nil {
		return nil, fmt.Errorf("%s", strings.ReplaceAll(err.Error(), mainFile, "schema"))
	}
	return protobufSchema{files[0]}, nil
}

// protobufFile parses a text without what it imports.
func protobufFile(text string) (*descriptorpb.FileDescriptorProto, error) {
	if err := protobuf.Bounded(text); err != nil {
		return nil, err
	}
	handler := reporter.NewHandler(nil)
	ast, err := parser.Parse(mainFile, strings.NewReader(text), handler)
	if err != nil {
		return nil, err
	}
	result, err := parser.ResultFromAST(ast, true, handler)
	if err != nil {
		return nil, err
	}
	return result.FileDescriptorProto(), nil
}

// protobufIdentity is without comments and white space; the normal one also
// without the order of imports and of the fields of a message. The order of
// messages means something: they are numbered by it.
func protobufIdentity(text string) (exact, normal string) {
	file, err := protobufFile(text)
	if err != nil {
		return text, text
	}
	exact = marshalProto(file, text)
	slices.Sort(file.Dependency) // public and weak imports are by index; who sorts them by hand is on their own
	for _, m := range file.MessageType {
		sortFields(m)
	}
	return exact, marshalProto(file, text)
}

func sortFields(m *descriptorpb.DescriptorProto) {
	slices.SortStableFunc(m.Field, func(a, b *descriptorpb.FieldDescriptorProto) int { return int(a.GetNumber() - b.GetNumber()) })
	for _, nested := range m.NestedType {
		sortFields(nested)
	}
}

func marshalProto(file *descriptorpb.FileDescriptorProto, orElse string) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(file)
	if err != nil {
		return orElse
	}
	return string(b)
}
