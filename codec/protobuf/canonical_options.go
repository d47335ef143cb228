package protobuf

import (
	"slices"
	"strings"

	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

func (c *canon) statement(n *ast.OptionNode) string { return "option " + c.option(n) + ";\n" }

// lastOptions are printed behind the others.
var lastOptions = []string{"default", "json_name"}

// compact prints the options of a field of that type: default and json_name are the last.
func (c *canon) compact(n *ast.CompactOptionsNode, kind string) string {
	if n == nil {
		return ""
	}
	rank := func(o *ast.OptionNode) int { return slices.Index(lastOptions, optionName(o.Name)) }
	options := slices.Clone(n.Options)
	slices.SortStableFunc(options, func(a, b *ast.OptionNode) int { return rank(a) - rank(b) })
	all := make([]string, len(options))
	for i, o := range options {
		all[i] = c.option(o)
		if text, ok := o.Val.(ast.StringValueNode); ok && rank(o) == 0 && kind != "string" {
			all[i] = "default = " + text.AsString() // as Java's clients print one of bytes
		}
	}
	return " " + listed(all)
}

// listed returns a list in brackets, on lines of their own if there are several.
func listed(all []string) string {
	if len(all) == 1 {
		return "[" + all[0] + "]"
	}
	return "[\n" + indented(strings.Join(all, ",\n")) + "]"
}

func optionName(n *ast.OptionNameNode) string {
	parts := make([]string, len(n.Parts))
	for i, p := range n.Parts {
		parts[i] = ident(p.Name)
		if p.Open != nil {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, ".")
}

func (c *canon) option(n *ast.OptionNode) string {
	return optionName(n.Name) + " = " + c.value(n.Val)
}

func (c *canon) value(n ast.ValueNode) string {
	switch n := n.(type) {
	case ast.StringValueNode:
		return `"` + escape.Replace(n.AsString()) + `"`
	case *ast.MessageLiteralNode:
		return c.members(n)
	case *ast.ArrayLiteralNode:
		all := make([]string, len(n.Elements))
		for i, e := range n.Elements {
			all[i] = c.value(e)
		}
		return "[\n" + indented(strings.Join(all, ",\n")) + "]"
	}
	return c.raw(n)
}

// members prints a message. A member that comes twice would be a list to Java's clients.
func (c *canon) members(n *ast.MessageLiteralNode) string {
	var all []string
	seen := map[string]bool{}
	for _, e := range n.Elements {
		name := ident(e.Name.Name)
		if e.Name.Open != nil {
			name = "[" + name + "]"
		}
		c.unknown = c.unknown || seen[name] || e.Name.URLPrefix != nil
		seen[name] = true
		all = append(all, name+": "+c.value(e.Val))
	}
	if len(all) == 0 {
		return "{\n}"
	}
	return "{\n" + indented(strings.Join(all, ",\n")) + "}"
}

// escape replaces as ProtobufSchemaUtils.escapeChars does.
var escape = strings.NewReplacer("\a", `\a`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`, `\`, `\\`, `'`, `\'`, `"`, `\"`)

// declareTheSame reports whether two files declare the same, in whatever order where that has no
// meaning. The order of messages has one: records name theirs by its position. Values of options
// that are messages are not compared: they have many spellings.
func declareTheSame(a, b *ast.FileNode) bool {
	first, second := declared(a), declared(b)
	return first != nil && second != nil && proto.Equal(first, second)
}

// declared returns the descriptor of a file with lists in an order of their own.
func declared(file *ast.FileNode) *descriptorpb.FileDescriptorProto {
	r, err := parser.ResultFromAST(file, false, reporter.NewHandler(nil))
	if err != nil {
		return nil
	}
	d := r.FileDescriptorProto()
	d.SourceCodeInfo = nil
	for _, i := range d.PublicDependency {
		d.Dependency[i] = "public " + d.Dependency[i]
	}
	d.PublicDependency = nil
	slices.Sort(d.Dependency)
	clearMessages(d.GetOptions().GetUninterpretedOption())
	for _, m := range d.MessageType {
		arrange(m)
	}
	byField(d.Extension)
	return d
}

func arrange(m *descriptorpb.DescriptorProto) {
	clearMessages(m.GetOptions().GetUninterpretedOption())
	for _, r := range m.ExtensionRange {
		clearMessages(r.GetOptions().GetUninterpretedOption())
	}
	byField(m.Field)
	byField(m.Extension)
	slices.SortStableFunc(m.NestedType, func(a, b *descriptorpb.DescriptorProto) int { return strings.Compare(a.GetName(), b.GetName()) })
	for _, nested := range m.NestedType {
		arrange(nested)
	}
}

// clearMessages removes the values that are messages.
func clearMessages(options []*descriptorpb.UninterpretedOption) {
	for _, o := range options {
		if o.AggregateValue != nil {
			o.AggregateValue = new(string)
		}
	}
}

// last returns the place of an option behind all that are not moved.
func last(o *descriptorpb.UninterpretedOption) int {
	if len(o.Name) != 1 || o.Name[0].GetIsExtension() {
		return -1
	}
	return slices.Index(lastOptions, o.Name[0].GetNamePart())
}

// byField sorts fields by their extendee and number, and their options, of which default and
// json_name move to the end.
func byField(fields []*descriptorpb.FieldDescriptorProto) {
	for _, f := range fields {
		options := f.GetOptions().GetUninterpretedOption()
		clearMessages(options)
		slices.SortStableFunc(options, func(a, b *descriptorpb.UninterpretedOption) int { return last(a) - last(b) })
	}
	slices.SortStableFunc(fields, func(a, b *descriptorpb.FieldDescriptorProto) int {
		if by := strings.Compare(a.GetExtendee(), b.GetExtendee()); by != 0 {
			return by
		}
		return int(a.GetNumber()) - int(b.GetNumber())
	})
}
