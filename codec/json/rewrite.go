package json

import "bytes"

// Rewrite appends a text, valid JSON and compact, as Java's Jackson writes what it has read:
// without escapes but those that JSON needs, and of a member that comes twice the last value, at
// the place of the first. number appends a number. Registries of schemas compare such texts.
func Rewrite(dst, text []byte, number func(dst, text []byte) []byte) []byte {
	w := NewWalker(text)
	switch w.Peek() {
	case '{':
		dst = append(dst, '{')
		for i, m := range Members(text) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendPlain(dst, m.Name), ':')
			dst = Rewrite(dst, m.Value, number)
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for i, e := range Elements(text) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = Rewrite(dst, e, number)
		}
		return append(dst, ']')
	case '"':
		return AppendPlain(dst, string(Unquote(bytes.Clone(w.Value()))))
	case 't', 'f', 'n':
		return append(dst, w.Value()...)
	}
	return number(dst, w.Value())
}

// Pair is a member of an object: its name, and its value as compact JSON text.
type Pair struct {
	Name  string
	Value []byte
}

// Members returns the members of an object in their order, the last value of each, which may be
// views of text. Of a text that is no object it returns none. The text must be compact.
func Members(text []byte) (all []Pair) {
	if bytes.IndexByte(text, '\\') >= 0 { // in a name it would be decoded in place
		text = bytes.Clone(text)
	}
	w := NewWalker(text)
	if !w.Enter('{') {
		return nil
	}
	at := map[string]int{}
	for w.Member() {
		name := string(w.Name())
		value := w.Value()
		if i, twice := at[name]; twice {
			all[i].Value = value
			continue
		}
		at[name] = len(all)
		all = append(all, Pair{name, value})
	}
	return all
}

// Elements returns the elements of an array as [Members] does the members of an object.
func Elements(text []byte) (all [][]byte) {
	w := NewWalker(text)
	if !w.Enter('[') {
		return nil
	}
	for w.Element() {
		all = append(all, w.Value())
	}
	return all
}

// AppendPlain appends s as a JSON string whose only escapes are those that JSON needs. It is valid
// JSON if s is UTF-8.
func AppendPlain(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			if c < ' ' {
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"')
}
