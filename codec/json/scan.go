package json

import "fmt"

// MaxDepth bounds the nesting of arrays and objects, so that a hostile body
// cannot exhaust the stack. It is the limit that the Confluent proxy's parser has.
const MaxDepth = 1000

// SyntaxError reports where and why a text is not JSON.
type SyntaxError struct {
	// Offset is the index of the offending byte in the scanned slice; it is
	// the slice's length when the text ends too early.
	Offset int
	// Reason is a short phrase such as "invalid character in a number".
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// scanner holds the results of a scan besides the position, which travels in registers through
// the recursive descent below. Each method takes the index where its construct starts and returns
// the index behind it, or -1 after recording the fault.
type scanner struct {
	stops  stops
	marked marked
	spaced bool
	at     int
	reason string
}

// err returns the fault of a check that has failed.
func (s *scanner) err() *SyntaxError { return &SyntaxError{Offset: s.at, Reason: s.reason} }

func (s *scanner) fail(at int, reason string) int {
	s.at, s.reason = at, reason
	return -1
}

// Scan checks the one JSON value that starts at b[i], which must not be white space. It returns
// the index just behind the value and whether there is white space inside it that [Compact] would
// remove. The bytes behind the value are not examined.
func Scan(b []byte, i int) (end int, spaced bool, err error) {
	var s scanner
	if end = s.check(b, i); end < 0 {
		return s.at, false, s.err()
	}
	return end, s.spaced, nil
}

// one is Scan for a text that is exactly one value, with optional white space around it.
func one(text []byte) (start, end int, spaced bool, err error) {
	start = SkipSpace(text, 0)
	end, spaced, err = Scan(text, start)
	if err == nil && SkipSpace(text, end) < len(text) {
		err = &SyntaxError{Offset: SkipSpace(text, end), Reason: "unexpected text after the end"}
	}
	return start, end, spaced, err
}

// Valid reports whether b is exactly one JSON value, with optional white space
// around it.
func Valid(b []byte) bool {
	var s scanner
	end := s.check(b, SkipSpace(b, 0))
	return end >= 0 && SkipSpace(b, end) == len(b)
}

// check scans one value.
func (s *scanner) check(b []byte, i int) int {
	s.stops.begin(i)
	s.spaced = false
	end := s.tried(b, i)
	if end < 0 {
		end = s.value(b, i, 0)
	}
	if end < 0 {
		return end
	}
	return s.decodes(b, i, end)
}

// SkipSpace returns the index of the first byte at or after i that is not
// JSON white space, or len(b).
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// space is SkipSpace that remembers whether it skipped anything. The test for
// "no white space here", true in compact text, is inlined at the call sites.
func (s *scanner) space(b []byte, i int) int {
	end := SkipSpace(b, i)
	s.spaced = s.spaced || end > i
	return end
}

func (s *scanner) value(b []byte, i, depth int) int {
	if i >= len(b) {
		return s.fail(len(b), "unexpected end")
	}
	switch c := b[i]; c {
	case '"':
		return s.str(b, i+1)
	case '{':
		return s.object(b, i+1, depth+1)
	case '[':
		return s.array(b, i+1, depth+1)
	case 't':
		return s.literal(b, i, "true")
	case 'f':
		return s.literal(b, i, "false")
	case 'n':
		return s.literal(b, i, "null")
	default:
		if c == '-' || c-'0' <= 9 {
			return s.number(b, i)
		}
		return s.fail(i, "invalid character at the start of a value")
	}
}

func (s *scanner) object(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return s.fail(i, "nesting too deep")
	}
	if i < len(b) && b[i] <= ' ' {
		i = s.space(b, i)
	}
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return s.expected(b, i, "expected a member name")
		}
		if i = s.str(b, i+1); i < 0 {
			return i
		}
		if i < len(b) && b[i] <= ' ' {
			i = s.space(b, i)
		}
		if i >= len(b) || b[i] != ':' {
			return s.expected(b, i, "expected ':' after a member name")
		}
		if i++; i < len(b) && b[i] <= ' ' {
			i = s.space(b, i)
		}
		if i < len(b) && b[i] == '"' { // most values are strings: one call less
			if i = s.str(b, i+1); i >= 0 && i+1 < len(b) && b[i] == ',' && b[i+1] == '"' {
				i = s.stops.members(b, i+2) - 1 // others like it may follow
				continue
			}
		} else {
			i = s.value(b, i, depth)
		}
		if i < 0 {
			return i
		}
		if i < len(b) && b[i] <= ' ' {
			i = s.space(b, i)
		}
		if i >= len(b) || b[i] != ',' {
			break
		}
		if i++; i < len(b) && b[i] <= ' ' {
			i = s.space(b, i)
		}
	}
	if i >= len(b) || b[i] != '}' {
		return s.expected(b, i, "expected ',' or '}' in an object")
	}
	return i + 1
}

func (s *scanner) array(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return s.fail(i, "nesting too deep")
	}
	if i < len(b) && b[i] <= ' ' {
		i = s.space(b, i)
	}
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(b, i, depth); i < 0 {
			return i
		}
		if i < len(b) && b[i] <= ' ' {
			i = s.space(b, i)
		}
		if i >= len(b) || b[i] != ',' {
			break
		}
		if i++; i < len(b) && b[i] <= ' ' {
			i = s.space(b, i)
		}
	}
	if i >= len(b) || b[i] != ']' {
		return s.expected(b, i, "expected ',' or ']' in an array")
	}
	return i + 1
}

// expected fails with the reason, or with "unexpected end" where the text has ended.
func (s *scanner) expected(b []byte, i int, reason string) int {
	if i >= len(b) {
		return s.fail(len(b), "unexpected end")
	}
	return s.fail(i, reason)
}

func (s *scanner) literal(b []byte, i int, word string) int {
	if rest := b[i:]; len(rest) < len(word) && string(rest) == word[:len(rest)] {
		return s.fail(len(b), "unexpected end")
	}
	if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
		return end
	}
	return s.fail(i, "invalid literal")
}

// number follows the RFC's grammar: int [ frac ] [ exp ], no leading zeros.
func (s *scanner) number(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return s.fail(len(b), "unexpected end")
	case b[i] == '0':
		i++
	case b[i]-'1' <= 8:
		i = digits(b, i+1)
	default:
		return s.fail(i, "invalid character in a number")
	}
	if i < len(b) && b[i] == '.' {
		start := i + 1
		if i = digits(b, start); i == start {
			return s.expected(b, i, "expected a digit after the decimal point")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start := i
		if i = digits(b, start); i == start {
			return s.expected(b, i, "expected a digit in the exponent")
		}
	}
	if i < len(b) && b[i]-'0' <= 9 {
		return s.fail(i, "a number must not start with 0")
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// str scans the rest of a string, from behind its opening quote.
func (s *scanner) str(b []byte, i int) int {
	if i = s.stops.next(b, i); i < len(b) && b[i] == '"' {
		return i + 1
	}
	return s.strRest(b, i)
}

// strRest is str from a stop on that is not a quote.
func (s *scanner) strRest(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i = s.escape(b, i+1); i < 0 {
				return i
			}
		default:
			return s.fail(i, "control character in a string")
		}
		i = s.stops.next(b, i)
	}
	return s.fail(len(b), "unexpected end in a string")
}

// escape scans the rest of an escape, behind its backslash. Unpaired surrogates are accepted: the
// RFC allows them and the text is stored as sent.
func (s *scanner) escape(b []byte, i int) int {
	if i >= len(b) {
		return s.fail(len(b), "unexpected end in a string")
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for n := range 4 {
			i++
			if i >= len(b) {
				return s.fail(len(b), "unexpected end in a string")
			}
			if unhex(b[i]) < 0 {
				return s.fail(i-n-1, "invalid \\u escape in a string")
			}
		}
		return i + 1
	}
	return s.fail(i, "invalid escape in a string")
}

// unhex is the value of a hexadecimal digit, or -1.
func unhex(c byte) rune {
	switch {
	case c-'0' <= 9:
		return rune(c - '0')
	case c|0x20-'a' <= 5:
		return rune(c|0x20-'a') + 10
	}
	return -1
}
