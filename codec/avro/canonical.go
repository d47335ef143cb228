package avro

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"

	"millrace/codec/json"
)

// Canonical returns the text of a schema that compiles as Java's Schema.toString writes it: what
// Confluent's clients register. Two texts that Java reads as the same schema so become one text.
// Docs, defaults, aliases and properties stay; white space, the order of the members that Avro
// defines, and the ways to write a name do not. A text that Java would not read is returned as it
// is.
func Canonical(text string) string {
	compact, err := json.AppendCompact(nil, []byte(text))
	if err != nil {
		return text
	}
	w := writer{defined: map[string]bool{}}
	w.schema(compact, "")
	if w.odd {
		return text
	}
	return string(w.out)
}

// writer writes a schema as Java does.
type writer struct {
	out     []byte
	defined map[string]bool // full names of the types so far
	odd     bool            // Java would not read the schema
}

// parts are the members of a type or a field.
type parts []json.Pair

func (p parts) get(name string) []byte {
	for i := range p {
		if p[i].Name == name {
			return p[i].Value
		}
	}
	return nil
}

// text returns a member that is a string; ok is false for others.
func (p parts) text(name string) (s string, ok bool) { return stringIn(p.get(name)) }

func stringIn(raw []byte) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return string(json.Unquote(bytes.Clone(raw))), true
}

// schema writes a type; space is the namespace that it stands in.
func (w *writer) schema(raw []byte, space string) {
	name, isName := stringIn(raw)
	switch {
	case isName:
		w.reference(name, space)
	case len(raw) > 0 && raw[0] == '[':
		w.list(json.Elements(raw), func(branch []byte) { w.schema(branch, space) })
	case len(raw) > 0 && raw[0] == '{':
		w.object(json.Members(raw), space)
	default:
		w.odd = true
	}
}

// list writes an array of schemas or fields.
func (w *writer) list(all [][]byte, each func([]byte)) {
	w.out = append(w.out, '[')
	for i, one := range all {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		each(one)
	}
	w.out = append(w.out, ']')
}

// reference writes the name of a type: short within its namespace. One that is not found there is
// looked for without a namespace.
func (w *writer) reference(name, space string) {
	if isPrimitive(name) {
		w.out = json.AppendPlain(w.out, name)
		return
	}
	full, own := fullName(name, "", space)
	if !w.defined[full] {
		own, full = "", name[strings.LastIndexByte(name, '.')+1:]
	}
	w.odd = w.odd || !w.defined[full]
	w.out = json.AppendPlain(w.out, nameWithin(full, own, space))
}

// nameWithin returns the name of a type of the namespace own as it stands within space: in full,
// but for its own namespace, where it is not the name of one of Avro's types.
func nameWithin(full, own, space string) string {
	last := full[strings.LastIndexByte(full, '.')+1:]
	if own != "" && own == space && !slices.Contains(javaTypes, last) {
		return last
	}
	return full
}

var javaTypes = []string{"record", "enum", "array", "map", "union", "fixed", "string", "bytes", "int", "long", "float", "double", "boolean", "null"}

// Members that are no properties, of types and of fields.
var (
	typeMembers  = []string{"doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"}
	enumMembers  = append(slices.Clone(typeMembers), "default")
	fieldMembers = []string{"default", "doc", "name", "order", "type", "aliases"}
)

// object writes a type that is an object.
func (w *writer) object(p parts, space string) {
	kind, _ := p.text("type")
	switch kind {
	case "record", "error", "enum", "fixed":
		w.named(kind, p, space)
	case "array", "map":
		part := map[string]string{"array": "items", "map": "values"}[kind]
		w.begin(kind)
		w.key(part)
		w.schema(p.get(part), space)
		w.properties(p, typeMembers)
		w.out = append(w.out, '}')
	default:
		w.primitive(kind, p, space)
	}
}

// primitive writes a type such as {"type":"int","logicalType":"date"}, and its bare name where it
// has no properties. {"type":NAME} is a reference.
func (w *writer) primitive(kind string, p parts, space string) {
	if !isPrimitive(kind) {
		full, own := fullName(kind, "", space)
		w.odd = w.odd || !w.defined[full]
		w.out = json.AppendPlain(w.out, nameWithin(full, own, space))
		return
	}
	start := len(w.out)
	w.begin(kind)
	bare := len(w.out)
	w.properties(p, typeMembers)
	if len(w.out) == bare {
		w.out = json.AppendPlain(w.out[:start], kind)
		return
	}
	w.out = append(w.out, '}')
}

// named writes the definition of a type with a name.
func (w *writer) named(kind string, p parts, space string) {
	name, ok := p.text("name")
	own, given := p.text("namespace")
	enclosing := space
	if given {
		enclosing = "" // an empty namespace is none
	}
	full, own := fullName(name, own, enclosing)
	w.odd = w.odd || !ok || w.defined[full]
	w.defined[full] = true
	w.begin(kind)
	w.member("name", full[strings.LastIndexByte(full, '.')+1:])
	if own != space {
		w.member("namespace", own)
	}
	if doc, ok := p.text("doc"); ok {
		w.member("doc", doc)
	}
	reserved := typeMembers
	switch kind {
	case "enum":
		reserved = enumMembers
		w.raw("symbols", p.get("symbols"))
		if fallback, ok := p.text("default"); ok {
			w.member("default", fallback)
		}
	case "fixed":
		w.raw("size", p.get("size"))
	default:
		w.key("fields")
		w.list(json.Elements(p.get("fields")), func(f []byte) { w.field(json.Members(f), own) })
	}
	w.properties(p, reserved)
	w.typeAliases(p, own)
	w.out = append(w.out, '}')
}

func (w *writer) field(p parts, space string) {
	name, ok := p.text("name")
	w.odd = w.odd || !ok
	w.out = append(w.out, `{"name":`...)
	w.out = json.AppendPlain(w.out, name)
	w.key("type")
	w.schema(p.get("type"), space)
	if doc, ok := p.text("doc"); ok {
		w.member("doc", doc)
	}
	if def := p.get("default"); def != nil {
		w.raw("default", asDouble(def, p.get("type")))
	}
	if order, ok := p.text("order"); ok && !strings.EqualFold(order, "ascending") {
		w.member("order", strings.ToLower(order))
	}
	w.fieldAliases(p)
	w.properties(p, fieldMembers)
	w.out = append(w.out, '}')
}

// asDouble returns the default of a float or double as a number: Java takes a string that is one.
func asDouble(def, kind []byte) []byte {
	if k := json.Members(kind); k != nil {
		kind = parts(k).get("type")
	}
	text, isText := stringIn(def)
	if name, _ := stringIn(kind); !isText || name != "float" && name != "double" {
		return def
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil && !math.IsInf(n, 0) {
		return def
	}
	return appendJavaDouble(nil, n)
}

// typeAliases writes the aliases of a type of the namespace own, each once.
func (w *writer) typeAliases(p parts, own string) {
	var names []string
	for _, raw := range json.Elements(p.get("aliases")) {
		alias, ok := stringIn(raw)
		w.odd = w.odd || !ok
		full, space := fullName(alias, "", own)
		names = append(names, nameWithin(full, space, own))
	}
	w.aliases(names)
}

func (w *writer) fieldAliases(p parts) {
	var names []string
	for _, raw := range json.Elements(p.get("aliases")) {
		alias, ok := stringIn(raw)
		w.odd = w.odd || !ok
		names = append(names, alias)
	}
	w.aliases(names)
}

func (w *writer) aliases(names []string) {
	written := make(map[string]bool, len(names))
	for i, name := range names {
		switch {
		case written[name]:
			continue
		case i == 0:
			w.key("aliases")
			w.out = append(w.out, '[')
		default:
			w.out = append(w.out, ',')
		}
		written[name] = true
		w.out = json.AppendPlain(w.out, name)
	}
	if len(names) > 0 {
		w.out = append(w.out, ']')
	}
}

// begin writes the beginning of a type.
func (w *writer) begin(kind string) {
	w.out = append(w.out, `{"type":`...)
	w.out = json.AppendPlain(w.out, kind)
}

// key writes the name of a member that is not the first.
func (w *writer) key(name string) {
	w.out = json.AppendPlain(append(w.out, ','), name)
	w.out = append(w.out, ':')
}

func (w *writer) member(name, value string) {
	w.key(name)
	w.out = json.AppendPlain(w.out, value)
}

// raw writes a member whose value is JSON.
func (w *writer) raw(name string, value []byte) {
	if value == nil {
		w.odd = true
		return
	}
	w.key(name)
	w.out = json.Rewrite(w.out, value, appendNumber)
}

// properties writes the members that Avro does not define, in their order.
func (w *writer) properties(p parts, reserved []string) {
	for i := range p {
		if !slices.Contains(reserved, p[i].Name) {
			w.raw(p[i].Name, p[i].Value)
		}
	}
}

// appendNumber appends a number as Jackson does: a whole one by its digits, another as a double.
func appendNumber(dst, text []byte) []byte {
	if !bytes.ContainsAny(text, ".eE") {
		if string(text) == "-0" {
			text = text[1:]
		}
		return append(dst, text...)
	}
	n, _ := strconv.ParseFloat(string(text), 64) // infinite, if too large, as in Java
	return appendJavaDouble(dst, n)
}

// appendJavaDouble appends a double as Jackson does: in quotes if it is no number.
func appendJavaDouble(dst []byte, n float64) []byte {
	switch {
	case math.IsNaN(n):
		return append(dst, `"NaN"`...)
	case math.IsInf(n, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(n, -1):
		return append(dst, `"-Infinity"`...)
	}
	return appendDouble(dst, n, 64)
}
