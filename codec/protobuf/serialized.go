package protobuf

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Registries hold two forms besides Protobuf as people write it. Confluent's clients for Python,
// Go and .NET register a FileDescriptorProto in base64, which some registries return unchanged.
// And until the end of 2024 Confluent's own registry and Java serializers wrote descriptors as
// text with each map written out as a repeated message with the option map_entry, which no
// compiler takes.

// open checks a file before it is compiled and returns how many statements it has. Its errors
// continue the file's title.
func (f *file) open(path string) (statements int, err error) {
	if descriptor := deserialize(f.text); descriptor != nil {
		descriptor.Name = &path
		nameFields(descriptor.MessageType, descriptor.Extension)
		f.descriptor = descriptor
		return measure(descriptor)
	}
	if statements, err = count(f.text); err != nil {
		return 0, err
	}
	if strings.Contains(f.text, "map_entry") {
		f.descriptor = parseSpelled(path, f.text)
	}
	return statements, nil
}

// Parse returns a file's declarations without reading its imports; its options and the names in
// it are as the file has them.
func Parse(text string) (*descriptorpb.FileDescriptorProto, error) {
	src, err := read(text, nil)
	if err != nil {
		return nil, err
	}
	if f := src[rootPath]; f.spelled() {
		f.descriptor.Name = nil
		return f.descriptor, nil
	}
	handler := reporter.NewHandler(nil)
	tree, err := parser.Parse(rootPath, strings.NewReader(text), handler)
	if err != nil {
		return nil, src.complaint(err)
	}
	result, err := parser.ResultFromAST(tree, true, handler)
	if err != nil {
		return nil, src.complaint(err)
	}
	descriptor := result.FileDescriptorProto()
	descriptor.Name = nil
	return descriptor, nil
}

// deserialize decodes the base64 of a descriptor, and returns nil for other text.
func deserialize(text string) *descriptorpb.FileDescriptorProto {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) == 0 {
		return nil
	}
	var descriptor descriptorpb.FileDescriptorProto
	if (proto.UnmarshalOptions{RecursionLimit: 2 * maxNesting}).Unmarshal(b, &descriptor) != nil {
		return nil
	}
	return &descriptor
}

// nameFields gives each field the JSON name that descriptor.proto deduces where there is none: the
// descriptors within the code that protoc generates for Python, Java and C# have none, and neither
// the compiler nor the runtime deduces it.
func nameFields(messages []*descriptorpb.DescriptorProto, fields []*descriptorpb.FieldDescriptorProto) {
	for _, f := range fields {
		if f.JsonName == nil {
			f.JsonName = proto.String(jsonName(f.GetName()))
		}
	}
	for _, m := range messages {
		nameFields(m.NestedType, m.Field)
		nameFields(nil, m.Extension)
	}
}

// measure is count for descriptors.
func measure(f *descriptorpb.FileDescriptorProto) (declarations int, err error) {
	names := 0
	var visit func(messages []*descriptorpb.DescriptorProto, enums []*descriptorpb.EnumDescriptorProto, outer, depth int)
	visit = func(messages []*descriptorpb.DescriptorProto, enums []*descriptorpb.EnumDescriptorProto, outer, depth int) {
		if depth > maxNesting {
			err = fmt.Errorf("is nested deeper than %d levels", maxNesting)
			return
		}
		for _, e := range enums {
			declarations += 1 + len(e.Value)
			names += (1 + len(e.Value)) * (outer + len(e.GetName()))
		}
		for _, m := range messages {
			inner := outer + 1 + len(m.GetName())
			declarations += 1 + len(m.Field) + len(m.Extension) + len(m.OneofDecl)
			names += inner * (1 + len(m.Field) + len(m.Extension) + len(m.OneofDecl))
			visit(m.NestedType, m.EnumType, inner, depth+1)
		}
	}
	visit(f.MessageType, f.EnumType, len(f.GetPackage()), 1)
	if err == nil && names > maxNames {
		err = errors.New("has names that are too long, so many and so nested")
	}
	return declarations, err
}

// parseSpelled parses a text with maps written out; nil when it has other faults, which the
// compiler reports, or no such maps.
func parseSpelled(path, text string) *descriptorpb.FileDescriptorProto {
	var faults []ast.SourcePos
	handler := reporter.NewHandler(reporter.NewReporter(func(err reporter.ErrorWithPos) error {
		faults = append(faults, err.GetPosition())
		return nil
	}, nil))
	tree, err := parser.Parse(path, strings.NewReader(text), handler)
	if err != nil {
		return nil
	}
	// The error for faults that were tolerated is ErrInvalidSource.
	result, err := parser.ResultFromAST(tree, true, handler)
	if !errors.Is(err, reporter.ErrInvalidSource) {
		return nil
	}
	messages := result.FileDescriptorProto().GetMessageType()
	entries := map[ast.SourcePos]bool{}
	findEntries(result, messages, entries)
	if slices.ContainsFunc(faults, func(at ast.SourcePos) bool { return !entries[at] }) || !markEntries(messages) {
		return nil
	}
	return result.FileDescriptorProto()
}

// findEntries adds to at the positions of the option map_entry, the first one of each message.
// The parser reports its fault at that position; its errors have no types.
func findEntries(result parser.Result, messages []*descriptorpb.DescriptorProto, at map[ast.SourcePos]bool) {
	for _, m := range messages {
		options := m.GetOptions().GetUninterpretedOption()
		if i := slices.IndexFunc(options, isMapEntry); i >= 0 {
			name := result.OptionNode(options[i]).GetName()
			at[result.FileNode().NodeInfo(name).Start()] = true
		}
		findEntries(result, m.NestedType, at)
	}
}

func isMapEntry(o *descriptorpb.UninterpretedOption) bool {
	return len(o.Name) == 1 && !o.Name[0].GetIsExtension() && o.Name[0].GetNamePart() == "map_entry"
}

// markEntries marks the messages with the option map_entry as entries of maps. It is false when
// one does not look like an entry.
func markEntries(messages []*descriptorpb.DescriptorProto) bool {
	for _, m := range messages {
		options := m.GetOptions().GetUninterpretedOption()
		for i, o := range options {
			if !isMapEntry(o) || o.GetIdentifierValue() != "true" {
				continue
			}
			if len(m.Field) != 2 || m.Field[0].GetName() != "key" || m.Field[1].GetName() != "value" || len(m.NestedType) > 0 {
				return false
			}
			m.Options.UninterpretedOption = append(options[:i:i], options[i+1:]...)
			m.Options.MapEntry = proto.Bool(true)
			break
		}
		if !markEntries(m.NestedType) {
			return false
		}
	}
	return true
}
