package protobuf

import (
	"strconv"
	"strings"

	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
)

// Canonical returns the text that Confluent's clients for Java register in place of a schema's:
// they print what they have parsed, without comments, in a layout and an order of their own
// (ProtobufSchemaUtils.toString), so that two spellings are one text. A text that would mean
// something else, that says what this printer does not know, or whose form would be too large is
// returned as it is. The text has been compiled, which bounds its nesting and its statements.
func Canonical(text string) string {
	file := parseText(text)
	if file == nil {
		return text
	}
	c := canon{file: file}
	printed := c.text()
	// Each value of a list gets a line of its own, indented as deeply as the list is nested.
	if c.unknown || len(printed) > maxText {
		return text
	}
	again := parseText(printed)
	if again == nil || !declareTheSame(file, again) {
		return text
	}
	if c = (canon{file: again}); c.text() != printed {
		return text
	}
	return printed
}

// parseText returns the syntax tree of a text, or nil.
func parseText(text string) *ast.FileNode {
	file, err := parser.Parse(rootPath, strings.NewReader(text), reporter.NewHandler(nil))
	if err != nil {
		return nil
	}
	return file
}

// canon prints the syntax tree of a file.
type canon struct {
	file    *ast.FileNode
	unknown bool // there is something that it does not print
}

func (c *canon) text() string {
	var head, imports, public, options, messages, enums, extends, services section
	if s := c.file.Syntax; s != nil {
		head.add(`syntax = "` + s.Syntax.AsString() + "\";\n")
	}
	c.unknown = c.unknown || c.file.Edition != nil
	for _, decl := range c.file.Decls {
		switch n := decl.(type) {
		case *ast.PackageNode:
			head.add("package " + ident(n.Name) + ";\n")
		case *ast.ImportNode:
			if n.Public != nil {
				public.add(`import public "` + n.Name.AsString() + "\";\n")
			} else {
				imports.add(`import "` + n.Name.AsString() + "\";\n")
			}
			c.unknown = c.unknown || n.Weak != nil
		case *ast.OptionNode:
			options.add(c.statement(n))
		case *ast.MessageNode:
			messages.add(c.message(n.Name.Val, n.Decls))
		case *ast.EnumNode:
			enums.add(c.enum(n))
		case *ast.ExtendNode:
			extends.add(c.extend(n))
		case *ast.ServiceNode:
			services.add(c.service(n))
		case *ast.EmptyDeclNode:
		default:
			c.unknown = true
		}
	}
	for _, text := range []string{imports.String() + public.String(), options.String(), messages.String() + enums.String(), extends.String(), services.String()} {
		if text != "" {
			head.add("\n" + text)
		}
	}
	return head.String()
}

// section collects declarations. A text of a megabyte may have thousands: with one string that each
// is appended to, they would be copied once for each that follows.
type section struct{ strings.Builder }

func (s *section) add(text string) { _, _ = s.WriteString(text) } // it returns no error

// braced returns a declaration with its sections, which begin on lines of their own.
func braced(head string, sections ...string) string {
	text := head + " {"
	for _, section := range sections {
		if section != "" {
			text += "\n" + indented(section)
		}
	}
	return text + "}\n"
}

// indented returns the lines of a text, each two columns further right and with its end.
func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

func ident(n ast.IdentValueNode) string { return string(n.AsIdentifier()) }

func (c *canon) message(name string, decls []ast.MessageElement) string {
	var reserved, options, fields, oneofs, groups, extensions, extends, messages, enums section
	for _, decl := range decls {
		switch n := decl.(type) {
		case *ast.ReservedNode:
			reserved.add(c.reserved(n))
		case *ast.OptionNode:
			options.add(c.statement(n))
		case *ast.FieldNode, *ast.MapFieldNode:
			fields.add(c.field(n))
		case *ast.OneofNode:
			oneofs.add(c.oneof(n))
		case *ast.GroupNode:
			groups.add(c.group(n))
		case *ast.ExtensionRangeNode:
			extensions.add("extensions " + c.ranges(n.Ranges) + c.compact(n.Options, "") + ";\n")
		case *ast.ExtendNode:
			extends.add(c.extend(n))
		case *ast.MessageNode:
			messages.add(c.message(n.Name.Val, n.Decls))
		case *ast.EnumNode:
			enums.add(c.enum(n))
		case *ast.EmptyDeclNode:
		default:
			c.unknown = true
		}
	}
	return braced("message "+name, reserved.String(), options.String(), fields.String(), oneofs.String(), groups.String(), extensions.String(), extends.String(), messages.String()+enums.String())
}

func (c *canon) oneof(n *ast.OneofNode) string {
	var options, fields, groups section
	for _, decl := range n.Decls {
		switch n := decl.(type) {
		case *ast.OptionNode:
			options.add(c.statement(n))
		case *ast.FieldNode:
			fields.add(c.field(n))
		case *ast.GroupNode:
			groups.add(c.group(n))
		case *ast.EmptyDeclNode:
		default:
			c.unknown = true
		}
	}
	return braced("oneof "+n.Name.Val, options.String(), fields.String(), groups.String())
}

// field prints a field, of a map or another one.
func (c *canon) field(n ast.Node) string {
	switch n := n.(type) {
	case *ast.FieldNode:
		kind := ident(n.FldType)
		return label(n.Label) + kind + " " + n.Name.Val + " = " + c.raw(n.Tag) + c.compact(n.Options, kind) + ";\n"
	case *ast.MapFieldNode:
		return "map<" + n.MapType.KeyType.Val + ", " + ident(n.MapType.ValueType) + "> " + n.Name.Val + " = " + c.raw(n.Tag) + c.compact(n.Options, "") + ";\n"
	}
	c.unknown = true
	return ""
}

func label(l ast.FieldLabel) string {
	if l.KeywordNode == nil {
		return ""
	}
	return l.Val + " "
}

// group prints a group with its fields, which is all of it that Java's clients print.
func (c *canon) group(n *ast.GroupNode) string {
	var fields section
	c.unknown = c.unknown || n.Options != nil
	for _, decl := range n.Decls {
		fields.add(c.field(decl))
	}
	return braced(label(n.Label)+"group "+n.Name.Val+" = "+c.raw(n.Tag), fields.String())
}

func (c *canon) extend(n *ast.ExtendNode) string {
	var fields section
	for _, decl := range n.Decls {
		fields.add(c.field(decl))
	}
	return braced("extend "+ident(n.Extendee), fields.String())
}

func (c *canon) enum(n *ast.EnumNode) string {
	var reserved, options, values section
	for _, decl := range n.Decls {
		switch n := decl.(type) {
		case *ast.ReservedNode:
			reserved.add(c.reserved(n))
		case *ast.OptionNode:
			options.add(c.statement(n))
		case *ast.EnumValueNode:
			values.add(n.Name.Val + " = " + c.raw(n.Number) + c.compact(n.Options, "") + ";\n")
		case *ast.EmptyDeclNode:
		default:
			c.unknown = true
		}
	}
	return braced("enum "+n.Name.Val, reserved.String()+options.String()+values.String())
}

func (c *canon) service(n *ast.ServiceNode) string {
	var options, calls section
	for _, decl := range n.Decls {
		switch n := decl.(type) {
		case *ast.OptionNode:
			options.add(c.statement(n))
		case *ast.RPCNode:
			calls.add(c.call(n))
		case *ast.EmptyDeclNode:
		default:
			c.unknown = true
		}
	}
	return braced("service "+n.Name.Val, options.String(), calls.String())
}

func (c *canon) call(n *ast.RPCNode) string {
	of := func(t *ast.RPCTypeNode) string {
		if t.Stream != nil {
			return "(stream " + ident(t.MessageType) + ")"
		}
		return "(" + ident(t.MessageType) + ")"
	}
	var options section
	for _, decl := range n.Decls {
		if option, ok := decl.(*ast.OptionNode); ok {
			options.add(c.statement(option))
		}
	}
	text := "rpc " + n.Name.Val + " " + of(n.Input) + " returns " + of(n.Output)
	if options.Len() > 0 {
		text += " {\n" + indented(options.String()) + "}"
	}
	return text + ";\n"
}

func (c *canon) reserved(n *ast.ReservedNode) string {
	c.unknown = c.unknown || len(n.Identifiers) > 0
	if len(n.Names) == 0 {
		return "reserved " + c.ranges(n.Ranges) + ";\n"
	}
	names := make([]string, len(n.Names))
	for i, name := range n.Names {
		names[i] = `"` + name.AsString() + `"`
	}
	return "reserved " + strings.Join(names, ", ") + ";\n"
}

// lastTag is the largest number of a field, and printed as max.
const lastTag = 1<<29 - 1

func (c *canon) ranges(list []*ast.RangeNode) string {
	all := make([]string, len(list))
	for i, r := range list {
		all[i] = c.raw(r.StartVal)
		if r.Max != nil {
			all[i] += " to max"
		} else if r.EndVal != nil {
			last, ok := r.EndVal.AsInt64()
			if ok && last < lastTag {
				all[i] += " to " + strconv.FormatInt(last, 10)
			} else {
				all[i] += " to max"
			}
		}
	}
	return strings.Join(all, ", ")
}

// raw returns a number as it stands in the text.
func (c *canon) raw(n ast.Node) string {
	return strings.ReplaceAll(c.file.NodeInfo(n).RawText(), " ", "")
}
