package json

import (
	"bytes"
	"unicode/utf8"
)

// Values checks the JSON values of one text, in their order. It examines each block of the text
// once, however many values are in it, where [Scan] begins anew with each. It does not change the
// text, and borrows it until Reset. The zero Values is of no text.
type Values struct {
	b       []byte
	scanner scanner
}

// Reset begins with the text b, and forgets the one before.
func (v *Values) Reset(b []byte) {
	v.b = b
	s := &v.scanner
	s.marked.base, s.marked.blocks, s.marked.pause = 0, 0, 0
	s.stops.base, s.stops.end, s.stops.at, s.stops.n, s.stops.wide = 0, 0, 0, 0, 0
}

// Scan checks the value that starts at i, behind all that were checked before. It returns the index
// behind the value. See [Scan].
func (v *Values) Scan(i int) (end int, err error) {
	if end = v.scanner.check(v.b, i); end < 0 {
		return v.scanner.at, v.scanner.err()
	}
	return end, nil
}

// Line is Scan for a line, of which the value must be all but white space. It returns the index
// behind the line too, that of its newline or of the end of the text, also with an error. Behind
// one line, ask for others only.
func (v *Values) Line(i int) (end, behind int, err error) {
	s, b := &v.scanner, v.b
	s.stops.begin(i)
	if end = s.tried(b, i); end >= 0 { // which has no newline in it
		for behind = end; behind < len(b) && (b[behind] == ' ' || b[behind] == '\t' || b[behind] == '\r'); {
			behind++
		}
		if behind == len(b) || b[behind] == '\n' {
			if end = s.decodes(b, i, end); end < 0 {
				return s.at, behind, s.err()
			}
			return end, behind, nil
		}
	}
	// A value that goes on in the next line is cut here: each line stands for itself, and a scan to
	// where such a value may end would be one of the whole rest of the text, for each line.
	if behind = bytes.IndexByte(b[i:], '\n'); behind < 0 {
		behind = len(b)
	} else {
		behind += i
	}
	line := b[:behind]
	if end = s.value(line, i, 0); end >= 0 {
		end = s.decodes(line, i, end)
	}
	if end < 0 {
		return s.at, behind, s.err()
	}
	if rest := SkipSpace(line, end); rest < behind {
		return rest, behind, &SyntaxError{Offset: rest, Reason: "unexpected text after the end"}
	}
	return end, behind, nil
}

// decodes returns end if the value from i to end, which was scanned last, is UTF-8. Its bytes are
// looked at only when a string has one past ASCII; elsewhere the grammar does not allow one.
func (s *scanner) decodes(b []byte, i, end int) int {
	if !s.stops.isWide(end) || utf8.Valid(b[i:end]) {
		return end
	}
	for i < end {
		r, n := utf8.DecodeRune(b[i:end])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return s.fail(i, "invalid UTF-8 in a string")
}
