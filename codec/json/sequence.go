package json

import "bytes"

// byteOrderMark is that of UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// More steps over white space to the next value of a sequence of values, which need nothing
// between them, and reports whether there is one. It begins at the top level only. A byte order
// mark may be before each value: files that have one are sent one after another, and of a sequence
// that comes in pieces nobody knows which value is the first.
func (w *Walker) More() bool {
	if w.err != nil {
		return false
	}
	w.space()
	for w.i < len(w.b) && w.b[w.i] == byteOrderMark[0] && bytes.HasPrefix(w.b[w.i:], byteOrderMark) {
		w.i += len(byteOrderMark)
		w.space()
	}
	return w.i < len(w.b)
}

// Offset returns the index behind what the walker has stepped over.
func (w *Walker) Offset() int { return w.i }

// Truncated reports whether the text is wrong only in that it ends too early: with more bytes
// behind it, it may be valid.
func (e *SyntaxError) Truncated(text []byte) bool {
	return e.Offset >= len(text) || bytes.HasPrefix(byteOrderMark, text[e.Offset:])
}

// Ender finds the end of a value whose text comes in pieces, and looks at each byte once. It does
// not check the value: of one that is not JSON it may find any end, or none. The zero Ender is
// before the value.
type Ender struct {
	depth int
	in    enderState
}

type enderState uint8

const (
	before enderState = iota
	nested            // in an object or array, outside of strings
	scalar            // in a number or a literal
	quoted
	escaped
)

// Find returns how many bytes of piece belong to the value, and whether it ends with them. White
// space before it counts too, and so do byte order marks.
func (e *Ender) Find(piece []byte) (n int, ended bool) {
	for i, c := range piece {
		switch e.in {
		case quoted:
			if c == '\\' {
				e.in = escaped
			} else if c == '"' {
				if e.depth == 0 {
					return i + 1, true
				}
				e.in = nested
			}
		case escaped:
			e.in = quoted
		case scalar:
			if c <= ' ' || c == '"' || c == '{' || c == '[' || c == '}' || c == ']' || c == ',' || c == ':' {
				return i, true
			}
		default:
			if e.outside(c) {
				return i + 1, true
			}
		}
	}
	return len(piece), false
}

// outside moves past a byte that is in no string and no scalar at the top level. It reports
// whether the value ends with it.
func (e *Ender) outside(c byte) bool {
	switch {
	case c == '"':
		e.in = quoted
	case c == '{' || c == '[':
		e.depth++
		e.in = nested
	case c == '}' || c == ']':
		e.depth--
		return e.depth <= 0
	case e.in == before && c > ' ' && bytes.IndexByte(byteOrderMark, c) < 0:
		e.in = scalar
	}
	return false
}
