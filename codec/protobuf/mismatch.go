package protobuf

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"millrace/codec"
	"millrace/codec/json"
)

// plain returns the text of one of the library's errors without the prefix and the blanks, which
// vary by build so that no program compares them.
func plain(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimSpace(strings.TrimPrefix(text, "proto:"))
}

// mismatch explains in our words why text is not the JSON of a message.
func mismatch(err error, text []byte, m protoreflect.MessageDescriptor) *codec.Mismatch {
	what, offset := locate(plain(err), text)
	if what == "unexpected EOF" { // text is valid JSON, which allows this
		what = "a string has half of a surrogate pair"
	}
	if offset < 0 {
		return &codec.Mismatch{Problem: what}
	}
	p := place{text: text, message: m, known: true}
	p.find(offset)
	return &codec.Mismatch{Path: codec.ShortPath(p.path.String()), Problem: p.problem(what)}
}

// locate splits the position off an error such as `(line 1:5): unknown field "x"`. It counts
// characters from 1; -1 means that the error has none.
func locate(what string, text []byte) (string, int) {
	const mark = "(line 1:"
	_, rest, found := strings.Cut(what, mark)
	number, rest, closed := strings.Cut(rest, "): ")
	column, err := strconv.Atoi(number)
	if !found || !closed || err != nil {
		return what, -1
	}
	offset := 0
	for ; column > 1 && offset < len(text); column-- {
		_, n := utf8.DecodeRune(text[offset:])
		offset += n
	}
	return rest, offset
}

// place walks to an offset of a JSON text, and through the schema alongside.
type place struct {
	text []byte
	path strings.Builder

	value []byte // that the offset is in
	name  string // of the member, in quotes, when the offset is at a name

	// known, field and element are the value's type in the schema: known false is no type, field
	// nil a message. Within a list or map the field is the same, element true.
	known   bool
	message protoreflect.MessageDescriptor
	field   protoreflect.FieldDescriptor
	element bool
}

func (p *place) find(offset int) {
	i := 0
	for {
		end, _, err := json.Scan(p.text, i)
		if err != nil {
			return
		}
		p.value = p.text[i:end]
		if offset <= i || p.text[i] != '{' && p.text[i] != '[' {
			return
		}
		next := -1
		if p.text[i] == '{' {
			next = p.member(i+1, offset)
		} else {
			next = p.item(i+1, offset)
		}
		if next < 0 {
			return
		}
		i = next
	}
}

// member finds the member at offset of the object whose members begin at i, and returns the index
// of its value, or -1.
func (p *place) member(i, offset int) int {
	for i < len(p.text) && p.text[i] == '"' {
		end, _, _ := json.Scan(p.text, i)
		name := p.text[i:end]
		if offset < end {
			p.name = codec.Clip(name)
			return -1
		}
		value := end + 1 // behind the colon
		end, _, err := json.Scan(p.text, value)
		if err != nil {
			return -1
		}
		if offset < end {
			unquoted, _ := strconv.Unquote(string(name))
			p.enter(unquoted)
			p.path.WriteString("." + codec.Clip(unquoted))
			return value
		}
		i = end + 1 // behind the comma
	}
	return -1
}

// item is member for arrays.
func (p *place) item(i, offset int) int {
	for n := 0; i < len(p.text); n++ {
		end, _, err := json.Scan(p.text, i)
		if err != nil {
			return -1
		}
		if offset < end {
			p.known = p.known && p.field != nil && p.field.IsList() && !p.element
			p.inner(p.field)
			p.path.WriteString("[" + strconv.Itoa(n) + "]")
			return i
		}
		i = end + 1
	}
	return -1
}

// enter follows the schema to a member.
func (p *place) enter(name string) {
	switch {
	case !p.known:
	case p.field != nil && p.field.IsMap() && !p.element:
		p.inner(p.field.MapValue())
	case p.message == nil || p.message.ParentFile().Package() == "google.protobuf":
		p.known = false
	default:
		f := p.message.Fields().ByJSONName(name)
		if f == nil {
			f = p.message.Fields().ByTextName(name)
		}
		p.field, p.element, p.known = f, false, f != nil
		p.message = nil
		if f != nil && !f.IsList() && !f.IsMap() {
			p.inner(f)
		}
	}
}

// inner sets the type of place to that of a single field.
func (p *place) inner(f protoreflect.FieldDescriptor) {
	if p.known {
		p.field, p.element, p.message = f, true, f.Message()
	}
}

// problem translates the library's words into ours.
func (p *place) problem(what string) string {
	switch {
	case p.name != "" && strings.HasPrefix(what, "unknown field "):
		return "unknown field " + p.name
	case p.name != "" && strings.HasPrefix(what, "duplicate field "):
		return "the field " + p.name + " occurs twice"
	case p.name != "" && strings.HasPrefix(what, "error parsing "):
		return "the field " + p.name + " cannot be set beside another one of its oneof"
	case p.name == "" && p.known && len(p.value) > 0:
		return "expected " + p.expected() + ", got " + p.got()
	}
	return codec.Clip(what)
}

// expected names the type that the schema has here.
func (p *place) expected() string {
	switch {
	case p.field != nil && !p.element && p.field.IsList():
		return "an array"
	case p.field != nil && !p.element && p.field.IsMap():
		return "an object"
	case p.message != nil && p.message.ParentFile().Package() == "google.protobuf":
		return string(p.message.FullName())
	case p.message != nil:
		return "an object (" + string(p.message.FullName()) + ")"
	case p.field.Enum() != nil:
		return "a value of the enum " + string(p.field.Enum().FullName())
	case p.field.Kind() == protoreflect.BytesKind:
		return "bytes as base64"
	}
	return p.field.Kind().String()
}

func (p *place) got() string {
	switch p.value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return codec.Clip(p.value)
}
