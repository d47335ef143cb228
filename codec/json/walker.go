package json

import "bytes"

// Walker steps through one JSON text member by member and element by element, handing out views
// of the values. It is how an envelope of known shape is read in one pass with no allocation:
//
//	w := json.NewWalker(body)
//	if w.Enter('{') {
//		for w.Member() {
//			switch string(w.Name()) {
//			case "records": …
//			}
//		}
//	}
//	w.End()
//	if err := w.Err(); err != nil { … }
//
// After a fault every method returns false or nil, so loops end by themselves; Err reports what
// is wrong and where. A Walker may shorten values in place ([Walker.Value]), so it must be the
// text's only user. It is not for concurrent use.
type Walker struct {
	b       []byte
	i       int
	first   bool // just entered: no comma before the next member or element
	name    []byte
	err     *SyntaxError
	scanner scanner
}

// NewWalker returns a Walker at the start of b, or behind its UTF-8 byte order mark. It borrows b
// until its last view is dead.
func NewWalker(b []byte) Walker {
	i := 0
	if bytes.HasPrefix(b, byteOrderMark) {
		i = len(byteOrderMark)
	}
	return Walker{b: b, i: SkipSpace(b, i)}
}

// Err returns the first fault, or nil.
func (w *Walker) Err() *SyntaxError { return w.err }

func (w *Walker) fail(reason string) bool {
	if w.err == nil {
		if w.i >= len(w.b) {
			w.i, reason = len(w.b), "unexpected end"
		}
		w.err = &SyntaxError{Offset: w.i, Reason: reason}
	}
	return false
}

// Peek returns the first byte of the value that comes next, or 0 at the end.
func (w *Walker) Peek() byte {
	if w.err != nil || w.i >= len(w.b) {
		return 0
	}
	return w.b[w.i]
}

// Enter steps into the object or array that comes next; open is '{' or '['.
// It returns false, without a fault, when the next value is something else.
func (w *Walker) Enter(open byte) bool {
	if w.Peek() != open {
		return false
	}
	w.i++
	w.first = true
	return true
}

// Skip steps over the text if it comes next, to the letter, and over white space behind it. The
// text must begin an object or array, end one, or do both for one and the next. Skip returns false,
// without a fault, when something else comes next. It is a shortcut for the way in which nearly
// every client writes.
func (w *Walker) Skip(text string) bool {
	if w.err != nil || len(w.b)-w.i < len(text) || string(w.b[w.i:w.i+len(text)]) != text {
		return false
	}
	w.i += len(text)
	w.first = false
	w.space()
	return true
}

// more steps over the comma before the next member or element; at the closing
// byte it steps out and returns false.
func (w *Walker) more(closing byte, reason string) bool {
	if w.err != nil {
		return false
	}
	w.space()
	if w.i < len(w.b) && w.b[w.i] == closing {
		w.i++
		w.first = false
		return false
	}
	if w.first {
		w.first = false
		return true
	}
	if w.i >= len(w.b) || w.b[w.i] != ',' {
		return w.fail(reason)
	}
	w.i++
	w.space()
	return true
}

// space steps over white space. The test for its absence, true in compact text, is inlined.
func (w *Walker) space() {
	if w.i < len(w.b) && w.b[w.i] <= ' ' {
		w.i = SkipSpace(w.b, w.i)
	}
}

// Member steps to the value of the object's next member and returns true, or
// steps out of the object and returns false.
func (w *Walker) Member() bool {
	if !w.more('}', "expected ',' or '}' in an object") {
		return false
	}
	if w.i >= len(w.b) || w.b[w.i] != '"' {
		return w.fail("expected a member name")
	}
	if !w.plainName() {
		if w.name = w.Value(); w.err != nil {
			return false
		}
		w.name = Unquote(w.name)
	}
	w.space()
	if w.i >= len(w.b) || w.b[w.i] != ':' {
		return w.fail("expected ':' after a member name")
	}
	w.i++
	w.space()
	return true
}

// plainName steps over a name that is ASCII without escapes, and reports whether it was one. The
// names of an envelope are plain, and so short that examining each byte costs less than a scan.
func (w *Walker) plainName() bool {
	for i := w.i + 1; i < len(w.b); i++ {
		switch c := w.b[i]; {
		case c == '"':
			w.name = w.b[w.i+1 : i : i]
			w.i = i + 1
			return true
		case c < ' ' || c == '\\' || c >= 0x80:
			return false
		}
	}
	return false
}

// Name returns the name of the member that Member stepped to, with its escapes decoded. It is a
// view that lives as long as the text.
func (w *Walker) Name() []byte { return w.name }

// Element steps to the array's next element and returns true, or steps out of
// the array and returns false.
func (w *Walker) Element() bool { return w.more(']', "expected ',' or ']' in an array") }

// Value checks and steps over the value that comes next and returns it as a
// view of compact JSON text: white space inside it is removed in place. It
// returns nil on a fault.
func (w *Walker) Value() []byte {
	if w.err != nil {
		return nil
	}
	end := w.scanner.check(w.b, w.i)
	if end < 0 {
		w.err = w.scanner.err()
		return nil
	}
	raw := w.b[w.i:end:end]
	w.i = end
	if w.scanner.spaced {
		raw = Compact(raw)
	}
	return raw
}

// End checks that nothing but white space is left.
func (w *Walker) End() {
	if w.err != nil {
		return
	}
	if w.i = SkipSpace(w.b, w.i); w.i < len(w.b) {
		w.fail("unexpected text after the end")
	}
}
