package registry

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"millrace/codec/protobuf"
)

type protobufSchema struct {
	protoreflect.FileDescriptor
}

func parseProtobuf(s source) (parsed, error) {
	file, err := protobuf.Link(s.Schema.Schema, references[protobuf.Reference](s))
	if err != nil {
		return nil, err
	}
	return protobufSchema{file}, nil
}

// protobufIdentity returns the text without comments and white space; the normal one also without
// the order of imports and of the fields of a message. The order of messages matters: they are
// numbered by it.
func protobufIdentity(text string) (exact, normal string) {
	file, err := protobuf.Parse(text)
	if err != nil {
		return text, text
	}
	exact = marshalProto(file, text)
	sortImports(file)
	for _, m := range file.MessageType {
		sortFields(m)
	}
	return exact, marshalProto(file, text)
}

// sortImports sorts the imports; which of them are public or weak is told by their indexes. Nobody
// has checked those of a serialized descriptor: one that leads nowhere stays.
func sortImports(file *descriptorpb.FileDescriptorProto) {
	before := slices.Clone(file.Dependency)
	slices.Sort(file.Dependency)
	for _, marked := range [][]int32{file.PublicDependency, file.WeakDependency} {
		for i, at := range marked {
			if at >= 0 && int(at) < len(before) {
				marked[i] = int32(slices.Index(file.Dependency, before[at]))
			}
		}
		slices.Sort(marked)
	}
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
