package json

import "bytes"

// Rewrite appends a text, valid JSON and compact, as Java's Jackson writes what it has read:
// without escapes but those that JSON needs, and of a member that comes twice the last value, at
// the place of the first. number appends a number. Registries of schemas compare such texts.
//
// It goes over the text once, however deeply that is nested, and borrows it.
func Rewrite(dst, text []byte, number func(dst, text []byte) []byte) []byte {
	r := rewriter{text: text, number: number}
	return r.value(dst)
}

type rewriter struct {
	text   []byte
	i      int
	number func(dst, text []byte) []byte
}

func (r *rewriter) value(dst []byte) []byte {
	switch r.text[r.i] {
	case '{':
		return r.object(dst)
	case '[':
		return r.array(dst)
	case '"':
		return AppendPlain(dst, r.str())
	}
	start := r.i
	for r.i < len(r.text) && r.text[r.i] != ',' && r.text[r.i] != ']' && r.text[r.i] != '}' {
		r.i++
	}
	scalar := r.text[start:r.i]
	if c := scalar[0]; c == 't' || c == 'f' || c == 'n' {
		return append(dst, scalar...)
	}
	return r.number(dst, scalar)
}

func (r *rewriter) array(dst []byte) []byte {
	for r.text[r.i] != ']' {
		dst = append(dst, r.text[r.i]) // the bracket or a comma
		if r.i++; r.text[r.i] != ']' {
			dst = r.value(dst)
		}
	}
	r.i++
	return append(dst, ']')
}

// object writes all members as they come. Where one came twice, those that count are then moved
// together.
func (r *rewriter) object(dst []byte) []byte {
	type span struct{ start, end int } // of a name and its value in dst
	var members []span
	at, twice := map[string]int{}, false
	first := len(dst) + 1
	for r.text[r.i] != '}' {
		dst = append(dst, r.text[r.i]) // the brace or a comma
		if r.i++; r.text[r.i] == '}' {
			break
		}
		start, name := len(dst), r.str()
		r.i++ // the colon
		dst = r.value(append(AppendPlain(dst, name), ':'))
		k, known := at[name]
		if !known {
			k, members = len(members), append(members, span{})
			at[name] = k
		}
		members[k], twice = span{start, len(dst)}, twice || known
	}
	r.i++
	if twice {
		mark := len(dst)
		for i, m := range members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, dst[m.start:m.end]...)
		}
		dst = dst[:first+copy(dst[first:], dst[mark:])]
	}
	return append(dst, '}')
}

// str steps over a string and returns its text.
func (r *rewriter) str() string {
	raw := r.text[r.i:stringEnd(r.text, r.i)]
	r.i += len(raw)
	return unquoted(raw)
}

// unquoted is [Unquote] of a copy.
func unquoted(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	return string(Unquote(bytes.Clone(raw)))
}

// Pair is a member of an object: its name, and its value as compact JSON text.
type Pair struct {
	Name  string
	Value []byte
}

// Members returns the members of an object in their order, the last value of each, which are views
// of text. Of a text that is no object it returns none. The text must be valid and compact.
func Members(text []byte) (all []Pair) {
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	at := map[string]int{}
	for i := 1; text[i] != '}'; {
		if text[i] == ',' {
			i++
		}
		colon := stringEnd(text, i)
		name := unquoted(text[i:colon])
		end, _, err := Scan(text, colon+1)
		if err != nil {
			return nil
		}
		value := text[colon+1 : end : end]
		i = end
		if k, twice := at[name]; twice {
			all[k].Value = value
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
