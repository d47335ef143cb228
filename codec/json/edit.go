package json

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Compact removes the insignificant white space from one valid JSON value, in
// place, and returns the shortened slice. b must have passed [Scan].
func Compact(b []byte) []byte {
	out := 0
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case ' ', '\n', '\r', '\t':
			i++
		case '"':
			end := stringEnd(b, i)
			out += copy(b[out:], b[i:end])
			i = end
		default:
			b[out] = c
			out++
			i++
		}
	}
	return b[:out]
}

// AppendCompact appends text, which must be exactly one JSON value, without insignificant white
// space. It borrows text. With an error dst is returned as it was.
func AppendCompact(dst, text []byte) ([]byte, error) {
	start, end, spaced, err := one(text)
	if err != nil {
		return dst, err
	}
	n := len(dst)
	dst = append(dst, text[start:end]...)
	if spaced {
		dst = dst[:n+len(Compact(dst[n:]))] // in place, but in the copy
	}
	return dst, nil
}

// stringEnd returns the index behind the closing quote of the valid string at b[i].
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// Unquote decodes the JSON string s, quotes included, in place and returns its text as a part of
// s. s must have passed [Scan]; a string without escapes is not written to. An unpaired surrogate
// becomes U+FFFD, as in encoding/json.
func Unquote(s []byte) []byte {
	s = s[1 : len(s)-1]
	i := 0
	for i < len(s) && s[i] != '\\' {
		i++
	}
	out := i
	for i < len(s) {
		if s[i] != '\\' {
			s[out] = s[i]
			out++
			i++
			continue
		}
		if s[i+1] != 'u' {
			s[out] = unescape[s[i+1]]
			out++
			i += 2
			continue
		}
		r := hex4(s[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
				pair = utf16.DecodeRune(r, hex4(s[i+2:]))
			}
			if pair != utf8.RuneError {
				i += 6
			}
			r = pair
		}
		// The text never grows: an escape of six bytes becomes three at most.
		out += utf8.EncodeRune(s[out:], r)
	}
	return s[:out]
}

var unescape = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func hex4(b []byte) rune {
	return unhex(b[0])<<12 | unhex(b[1])<<8 | unhex(b[2])<<4 | unhex(b[3])
}
