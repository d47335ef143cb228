package protobuf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Text returns a schema as the text of a .proto file. Confluent's clients for Python and .NET
// send a serialized FileDescriptorProto in base64 in its place; Confluent's registry converts it
// to text, others return it unchanged. A schema that is no such descriptor is returned as it is.
func Text(schema string) (string, error) {
	file := deserialize(schema)
	if file == nil {
		return schema, nil
	}
	return printFile(file)
}

// printer writes a file descriptor as the text that compiles to it. It leaves out comments, and
// options that are messages or extensions.
type printer struct {
	b      strings.Builder
	depth  int
	syntax string
	err    error // the first part that cannot be written
}

func printFile(file *descriptorpb.FileDescriptorProto) (string, error) {
	p := &printer{syntax: file.GetSyntax()}
	switch p.syntax {
	case "":
		p.syntax = "proto2"
	case "proto2", "proto3":
	default:
		return "", fmt.Errorf("is a descriptor with syntax %q, which cannot be made text: send the text", p.syntax)
	}
	p.line("syntax = %q;", p.syntax)
	if file.GetPackage() != "" {
		p.line("package %s;", file.GetPackage())
	}
	for i, name := range file.Dependency {
		kind := ""
		if slices.Contains(file.PublicDependency, int32(i)) {
			kind = "public "
		} else if slices.Contains(file.WeakDependency, int32(i)) {
			kind = "weak "
		}
		p.line("import %s%q;", kind, name)
	}
	for _, option := range p.options(file.Options) {
		p.line("option %s;", option)
	}
	for _, m := range file.MessageType {
		p.message(m)
	}
	for _, e := range file.EnumType {
		p.enum(e)
	}
	p.extensions(file.Extension)
	for _, s := range file.Service {
		p.service(s)
	}
	return p.b.String(), p.err
}

func (p *printer) line(format string, args ...any) {
	p.b.WriteString(strings.Repeat("  ", p.depth))
	fmt.Fprintf(&p.b, format, args...)
	p.b.WriteByte('\n')
}

// block writes what body writes between braces.
func (p *printer) block(header string, body func()) {
	p.line("%s {", header)
	p.depth++
	body()
	p.depth--
	p.line("}")
}

func (p *printer) message(m *descriptorpb.DescriptorProto) {
	p.block("message "+m.GetName(), func() {
		for _, option := range p.options(m.Options) {
			p.line("option %s;", option)
		}
		for _, e := range m.EnumType {
			p.enum(e)
		}
		p.fields(m)
		p.extensions(m.Extension)
		for _, r := range m.ExtensionRange {
			p.line("extensions %s;", span(r.GetStart(), r.GetEnd()-1, 1<<29-1))
		}
		for _, r := range m.ReservedRange {
			p.line("reserved %s;", span(r.GetStart(), r.GetEnd()-1, 1<<29-1))
		}
		for _, name := range m.ReservedName {
			p.line("reserved %q;", name)
		}
	})
}

// fields writes the fields of a message, those of a oneof where its first is, and the messages in
// it. The position of a message among all identifies it, and the entry of a map is one of them,
// at the position of the map's field: so fields writes the messages that precede an entry before
// its field.
func (p *printer) fields(m *descriptorpb.DescriptorProto) {
	next := 0
	nestedUntil := func(end int) {
		for ; next < end; next++ {
			if !m.NestedType[next].GetOptions().GetMapEntry() {
				p.message(m.NestedType[next])
			}
		}
	}
	written := map[int32]bool{}
	for _, f := range m.Field {
		switch {
		case f.OneofIndex == nil || f.GetProto3Optional():
			entry := entryOf(m, f)
			if entry < 0 {
				p.field(f, nil)
				continue
			}
			nestedUntil(entry)
			p.field(f, m.NestedType[entry])
		case !written[f.GetOneofIndex()] && int(f.GetOneofIndex()) < len(m.OneofDecl):
			index := f.GetOneofIndex()
			written[index] = true
			p.block("oneof "+m.OneofDecl[index].GetName(), func() {
				for _, of := range m.Field {
					if of.OneofIndex != nil && of.GetOneofIndex() == index {
						p.field(of, nil)
					}
				}
			})
		}
	}
	nestedUntil(len(m.NestedType))
}

// entryOf returns the position of the message that makes a field a map, or -1.
func entryOf(m *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) int {
	if f.GetType() != descriptorpb.FieldDescriptorProto_TYPE_MESSAGE || f.GetLabel() != descriptorpb.FieldDescriptorProto_LABEL_REPEATED {
		return -1
	}
	return slices.IndexFunc(m.NestedType, func(n *descriptorpb.DescriptorProto) bool {
		return n.GetOptions().GetMapEntry() && len(n.Field) == 2 && strings.HasSuffix(f.GetTypeName(), "."+m.GetName()+"."+n.GetName())
	})
}

// field writes a field; entry is the message that makes it a map, or nil.
func (p *printer) field(f *descriptorpb.FieldDescriptorProto, entry *descriptorpb.DescriptorProto) {
	label, kind := "", p.typeName(f)
	switch {
	case entry != nil:
		kind = fmt.Sprintf("map<%s, %s>", p.typeName(entry.Field[0]), p.typeName(entry.Field[1]))
	case f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED:
		label = "repeated "
	case f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED:
		label = "required "
	case f.GetProto3Optional() || p.syntax == "proto2" && f.OneofIndex == nil:
		label = "optional "
	}
	options := p.options(f.Options)
	if f.DefaultValue != nil {
		value := f.GetDefaultValue()
		switch f.GetType() {
		case descriptorpb.FieldDescriptorProto_TYPE_STRING:
			value = quote(value)
		case descriptorpb.FieldDescriptorProto_TYPE_BYTES:
			value = `"` + value + `"` // is escaped as C does
		}
		options = append(options, "default = "+value)
	}
	if f.JsonName != nil && f.GetJsonName() != jsonName(f.GetName()) && f.Extendee == nil {
		options = append(options, "json_name = "+quote(f.GetJsonName()))
	}
	end := ""
	if len(options) > 0 {
		end = " [" + strings.Join(options, ", ") + "]"
	}
	p.line("%s%s %s = %d%s;", label, kind, f.GetName(), f.GetNumber(), end)
}

func (p *printer) typeName(f *descriptorpb.FieldDescriptorProto) string {
	switch f.GetType() {
	case descriptorpb.FieldDescriptorProto_TYPE_GROUP:
		if p.err == nil {
			p.err = fmt.Errorf("is a descriptor with the group %s, which cannot be made text: send the text", f.GetName())
		}
		return "group"
	case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, descriptorpb.FieldDescriptorProto_TYPE_ENUM:
		return f.GetTypeName() // with the dot in front: found whatever the names around it
	}
	return strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
}

func (p *printer) enum(e *descriptorpb.EnumDescriptorProto) {
	p.block("enum "+e.GetName(), func() {
		for _, option := range p.options(e.Options) {
			p.line("option %s;", option)
		}
		for _, v := range e.Value {
			end := ""
			if options := p.options(v.Options); len(options) > 0 {
				end = " [" + strings.Join(options, ", ") + "]"
			}
			p.line("%s = %d%s;", v.GetName(), v.GetNumber(), end)
		}
		for _, r := range e.ReservedRange {
			p.line("reserved %s;", span(r.GetStart(), r.GetEnd(), 1<<31-1))
		}
		for _, name := range e.ReservedName {
			p.line("reserved %q;", name)
		}
	})
}

// extensions writes each in a block of its own, which means the same.
func (p *printer) extensions(fields []*descriptorpb.FieldDescriptorProto) {
	for _, f := range fields {
		p.block("extend "+f.GetExtendee(), func() { p.field(f, nil) })
	}
}

func (p *printer) service(s *descriptorpb.ServiceDescriptorProto) {
	stream := map[bool]string{true: "stream "}
	p.block("service "+s.GetName(), func() {
		for _, option := range p.options(s.Options) {
			p.line("option %s;", option)
		}
		for _, m := range s.Method {
			header := fmt.Sprintf("rpc %s (%s%s) returns (%s%s)", m.GetName(), stream[m.GetClientStreaming()], m.GetInputType(),
				stream[m.GetServerStreaming()], m.GetOutputType())
			options := p.options(m.Options)
			if len(options) == 0 {
				p.line("%s;", header)
				continue
			}
			p.block(header, func() {
				for _, option := range options {
					p.line("option %s;", option)
				}
			})
		}
	})
}

// options are those that are set, as NAME = VALUE, by number.
func (p *printer) options(m proto.Message) []string {
	var out []string
	if m == nil || !m.ProtoReflect().IsValid() {
		return nil
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.ProtoReflect().Has(f) || f.IsList() || f.Message() != nil || f.Name() == "map_entry" {
			continue
		}
		value := m.ProtoReflect().Get(f)
		text := value.String()
		switch f.Kind() {
		case protoreflect.StringKind:
			text = quote(text)
		case protoreflect.EnumKind:
			v := f.Enum().Values().ByNumber(value.Enum())
			if v == nil {
				continue
			}
			text = string(v.Name())
		}
		out = append(out, fmt.Sprintf("%s = %s", f.Name(), text))
	}
	return out
}

func span(from, to, highest int32) string {
	switch {
	case from == to:
		return strconv.Itoa(int(from))
	case to >= highest:
		return fmt.Sprintf("%d to max", from)
	}
	return fmt.Sprintf("%d to %d", from, to)
}

// quote writes a string of proto: what is not printable ASCII as bytes in octal.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// jsonName returns the name that protoc gives a field that has none of its own.
func jsonName(name string) string {
	var b strings.Builder
	upper := false
	for _, c := range name {
		if c == '_' {
			upper = true
			continue
		}
		if upper {
			b.WriteString(strings.ToUpper(string(c)))
		} else {
			b.WriteRune(c)
		}
		upper = false
	}
	return b.String()
}
