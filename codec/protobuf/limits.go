package protobuf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// These limits bound a schema's size and a message's cost. Each is far above what people write;
// protoc has the limit of nesting too.
const (
	maxText       = 1 << 20 // bytes of a file with all its references
	maxStatements = 20_000  // in a file with all its references
	maxNesting    = 32      // of brackets in a file
	maxWord       = 255     // bytes of a name, with its dots
	maxNames      = 8 << 20 // bytes of all full names in a file, about

	maxDepth = 100      // nesting of messages in messages
	maxJSON  = 64 << 20 // bytes of a decoded message
	maxAny   = 10       // nesting of Any in Any
)

// count measures a file before it is parsed. The compiler keeps the full name of every
// declaration, so deep nesting of long names would take memory out of all proportion to the text.
// And the compiler's lexer loses its position, and panics, at the end of a text that is not
// UTF-8.
func count(text string) (statements int, err error) {
	if !utf8.ValidString(text) {
		return 0, errors.New("is not UTF-8")
	}
	word, dotted, gap := 0, false, false
	names := 0         // bytes of all full names so far
	inside := []int{0} // how long the full names of the open brackets are
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '/' || c == '"' || c == '\'':
			i = skip(text, i)
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
			gap = true
		case c == '.' || c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z':
			if gap && !dotted && c != '.' { // there may be gaps around dots
				word = 0
			}
			dotted, gap = c == '.', false
			if word++; word > maxWord {
				return 0, fmt.Errorf("has a name of more than %d characters", maxWord)
			}
		default:
			outer := inside[len(inside)-1]
			switch c {
			case '{', '[', '(', '<':
				statements++
				names += outer + word
				inside = append(inside, outer+word+1)
			case '}', ']', ')', '>':
				inside = inside[:max(1, len(inside)-1)]
			case ';', ',':
				statements++
				names += outer + word
			}
			if len(inside) > maxNesting+1 {
				return 0, fmt.Errorf("is nested deeper than %d levels", maxNesting)
			}
			word, dotted, gap = 0, false, false
		}
	}
	if names > maxNames {
		return 0, errors.New("has names that are too long, so many and so nested")
	}
	return statements, nil
}

// skip returns the index of the last byte of the comment or string at i, or i
// when there is none.
func skip(text string, i int) int {
	end := text[i]
	switch {
	case end != '/':
	case i+1 < len(text) && text[i+1] == '/':
		end = '\n'
	case i+1 < len(text) && text[i+1] == '*':
		for i += 2; i < len(text); i++ {
			if text[i] == '/' && text[i-1] == '*' {
				break
			}
		}
		return i
	default:
		return i
	}
	for i++; i < len(text) && text[i] != end; i++ {
		if text[i] == '\\' && end != '\n' {
			i++
		}
	}
	return i
}

// defaultSizes returns about how many bytes of JSON each message has when it is empty: two bytes
// of payload encode one, so few bytes can become very many. most is the largest of them, or the
// JSON of few bytes that stand for the longest name of an enum's value or of an extension.
func defaultSizes(files map[string]protoreflect.FileDescriptor) (sizes map[protoreflect.FullName]int, most int) {
	sizes = map[protoreflect.FullName]int{}
	var visit func(protoreflect.MessageDescriptors)
	visit = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			m := messages.Get(i)
			size := len(`"x":{},`)
			for f := range m.Fields().Len() {
				field := m.Fields().Get(f)
				size += len(field.JSONName()) + len(`"":0000,`)
				if e := field.Enum(); e != nil {
					size += len(e.Values().Get(0).Name())
					most = max(most, longestName(e.Values()))
				}
			}
			sizes[m.FullName()] = size
			most = max(most, size)
			visit(m.Messages())
		}
	}
	for _, f := range files {
		visit(f.Messages())
		most = max(most, longestExtension(f))
	}
	return sizes, most
}

// extensionSize is how many bytes the name of an extension has in JSON, where it stands only if the
// extension is set.
func extensionSize(f protoreflect.FieldDescriptor) int {
	return len(f.FullName()) + len(`"[]":`)
}

// scope is a file or a message.
type scope interface {
	Extensions() protoreflect.ExtensionDescriptors
	Messages() protoreflect.MessageDescriptors
}

// longestExtension returns the size of the longest name of an extension in a scope, with a short
// value.
func longestExtension(in scope) (longest int) {
	for i := range in.Extensions().Len() {
		f := in.Extensions().Get(i)
		longest = max(longest, extensionSize(f)+len(`0000,`))
		if e := f.Enum(); e != nil {
			longest = max(longest, extensionSize(f)+longestName(e.Values()))
		}
	}
	for i := range in.Messages().Len() {
		longest = max(longest, longestExtension(in.Messages().Get(i)))
	}
	return longest
}

func longestName(values protoreflect.EnumValueDescriptors) (longest int) {
	for i := range values.Len() {
		longest = max(longest, len(values.Get(i).Name())+len(`"",`))
	}
	return longest
}

// weigher checks whether the JSON of a message is within maxJSON. It runs for messages that may
// exceed it.
type weigher struct {
	schema *Schema
	size   int
}

var (
	errLarge   = errors.New("its JSON would be too large")
	errDeepAny = errors.New("it has Any within Any too deeply")
)

func (w *weigher) weigh(m protoreflect.Message, anys int) error {
	name := m.Descriptor().FullName()
	if w.size += w.schema.defaults[name]; w.size > maxJSON {
		return errLarge
	}
	if name == "google.protobuf.Any" {
		return w.any(m, anys+1)
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.IsExtension() {
			w.size += extensionSize(f)
		}
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				w.size += quotedSize(k.String())
				err = w.value(f.MapValue(), v, anys)
				return err == nil
			})
		case f.IsList():
			for i := range v.List().Len() {
				if err = w.value(f, v.List().Get(i), anys); err != nil {
					break
				}
			}
		default:
			err = w.value(f, v, anys)
		}
		return err == nil
	})
	return err
}

func (w *weigher) value(f protoreflect.FieldDescriptor, v protoreflect.Value, anys int) error {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return w.weigh(v.Message(), anys)
	case protoreflect.StringKind:
		w.size += quotedSize(v.String())
	case protoreflect.BytesKind:
		w.size += len(v.Bytes()) / 3 * 4
	case protoreflect.EnumKind:
		if e := f.Enum().Values().ByNumber(v.Enum()); e != nil {
			w.size += len(e.Name())
		} else {
			w.number(len(strconv.Itoa(int(v.Enum()))))
		}
	default:
		w.number(numberSize(f.Kind(), v))
	}
	if w.size += len(`0000,`); w.size > maxJSON {
		return errLarge
	}
	return nil
}

// number adds what a number of that size has more than what is counted for each value.
func (w *weigher) number(size int) { w.size += max(size-len(`0000`), 0) }

// numberSize returns how many bytes a number or boolean has in JSON, about.
func numberSize(kind protoreflect.Kind, v protoreflect.Value) int {
	var room [32]byte
	switch kind {
	case protoreflect.BoolKind:
		return len(`false`)
	case protoreflect.FloatKind:
		return floatSize(v.Float(), 32)
	case protoreflect.DoubleKind:
		return floatSize(v.Float(), 64)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return len(strconv.AppendUint(room[:0], v.Uint(), 10))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return len(strconv.AppendUint(room[:0], v.Uint(), 10)) + len(`""`)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return len(strconv.AppendInt(room[:0], v.Int(), 10)) + len(`""`)
	}
	return len(strconv.AppendInt(room[:0], v.Int(), 10))
}

// floatSize is the size of a float, which is written without an exponent unless it is very large or
// very small.
func floatSize(v float64, bits int) int {
	var room [32]byte
	form := byte('f')
	if abs := math.Abs(v); abs < 1e-6 || abs >= 1e21 {
		form = 'e'
	}
	return len(strconv.AppendFloat(room[:0], v, form, -1, bits))
}

// quotedSize returns how many bytes a string has between its quotes in JSON.
func quotedSize(s string) int {
	size := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c >= '\b' && c <= '\r' && c != '\v':
			size++
		case c < ' ' || c == 0x7F:
			size += len(`\u0000`) - 1
		}
	}
	return size
}

// any weighs the contents of an Any, which the library decodes only as it writes.
func (w *weigher) any(m protoreflect.Message, anys int) error {
	if anys > maxAny {
		return errDeepAny
	}
	fields := m.Descriptor().Fields()
	url := m.Get(fields.ByName("type_url")).String()
	w.size += quotedSize(url)
	inner, err := w.schema.types.FindMessageByURL(url)
	if err != nil {
		return nil // the library has an error for it
	}
	held := dynamicpb.NewMessage(inner.Descriptor())
	if err := (proto.UnmarshalOptions{AllowPartial: true, DiscardUnknown: true, RecursionLimit: maxDepth, Resolver: w.schema.types}).
		Unmarshal(m.Get(fields.ByName("value")).Bytes(), held); err != nil {
		return errors.New("its payload has no JSON: " + plain(err))
	}
	return w.weigh(held, anys)
}
