package avro

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stops has the highest bit set in the first byte of w that is a quote or backslash: subtracting
// sets it in a byte that was zero. Bits that it sets falsely are above a true hit.
func stops(w uint64) uint64 {
	q, s := w^lows*'"', w^lows*'\\'
	return ((q-lows)&^q | (s-lows)&^s) & highs
}

// stringStop returns the index of the first quote or backslash at or behind i, or
// len(b).
func stringStop(b []byte, i int) int {
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		if hit := stops(w); hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
		i += 8
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// stringEnd returns the index of the quote that closes a string, from an index in
// it, or -1.
func stringEnd(b []byte, i int) int {
	for {
		if i = stringStop(b, i); i >= len(b) {
			return -1
		}
		if b[i] == '"' {
			return i
		}
		i += 2
	}
}

// Short strings are copied while they are scanned, eight bytes at a time; their length is one
// byte, and known last. dst must have room for the bytes copied past the end.
const (
	shortLen  = 64
	shortRoom = 1 + shortLen
)

// str encodes a string: its length in bytes and its UTF-8.
func (e *encoder) str(n *node, dst []byte, i int) ([]byte, int) {
	if e.at(i) != '"' {
		return e.unexpected(n, dst, i)
	}
	i++
	if start, b := len(dst), e.text; cap(dst)-start >= shortRoom {
		room := dst[start : start+shortRoom]
		for k := 0; k < shortLen && len(b)-i-k >= 8; k += 8 {
			w := binary.LittleEndian.Uint64(b[i+k:])
			binary.LittleEndian.PutUint64(room[k+1:], w)
			if hit := stops(w); hit != 0 {
				n := k + bits.TrailingZeros64(hit)>>3
				if b[i+n] != '"' {
					break
				}
				room[0] = byte(n << 1)
				return dst[:start+1+n], i + n + 1
			}
		}
	}
	end := stringStop(e.text, i)
	if end < len(e.text) && e.text[end] == '"' {
		dst = appendLong(dst, int64(end-i))
		return append(dst, e.text[i:end]...), end + 1
	}
	if end = stringEnd(e.text, end); end < 0 {
		return e.fail(dst, "unexpected text")
	}
	start := len(dst)
	dst = appendLong(dst, int64(end-i)) // room: without escapes it is not longer
	behind := len(dst)
	dst = appendUnescaped(dst, e.text[i:end])
	return setLength(dst, start, behind), end + 1
}

// setLength writes the length of dst[behind:] at start, over a larger one.
func setLength(dst []byte, start, behind int) []byte {
	size := len(dst) - behind
	head := len(appendLong(dst[:start], int64(size)))
	if head == behind {
		return dst
	}
	return dst[:head+copy(dst[head:], dst[behind:])]
}

// cutLength removes the length that begins at start.
func cutLength(dst []byte, start int) []byte {
	_, n := binary.Uvarint(dst[start:])
	return dst[:start+copy(dst[start:], dst[start+n:])]
}

// plainString returns the text of the string at i and the index behind it, or -1.
// The text is a view of the value, or of e.name when there are escapes.
func (e *encoder) plainString(i int) ([]byte, int) {
	if e.at(i) != '"' {
		return nil, -1
	}
	i++
	end := stringStop(e.text, i)
	if end < len(e.text) && e.text[end] == '"' {
		return e.text[i:end], end + 1
	}
	if end = stringEnd(e.text, end); end < 0 {
		return nil, -1
	}
	e.name = appendUnescaped(e.name[:0], e.text[i:end])
	return e.name, end + 1
}

// appendUnescaped appends the text between the quotes of a JSON string, with its escapes decoded.
// Half of a surrogate pair has no UTF-8: it becomes U+FFFD. (Java writes a question mark, which a
// reader would take for one that was sent.)
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			start := i
			i = stringStop(s, i+1)
			dst = append(dst, s[start:i]...)
			continue
		}
		var r rune
		if r, i = escape(s, i); r < utf8.RuneSelf {
			dst = append(dst, byte(r))
		} else {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// escape returns the character that the escape at s[i] stands for and the index
// behind it. In text that is not JSON it may be any character.
func escape(s []byte, i int) (rune, int) {
	if i+1 >= len(s) {
		return utf8.RuneError, len(s)
	}
	if s[i+1] != 'u' {
		return rune(unescaped[s[i+1]]), i + 2
	}
	r, i := unicodeEscape(s, i)
	if !utf16.IsSurrogate(r) {
		return r, i
	}
	if i+1 < len(s) && s[i] == '\\' && s[i+1] == 'u' {
		second, behind := unicodeEscape(s, i)
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			return pair, behind
		}
	}
	return utf8.RuneError, i
}

// unicodeEscape reads \uXXXX at s[i].
func unicodeEscape(s []byte, i int) (rune, int) {
	if len(s)-i < 6 {
		return utf8.RuneError, len(s)
	}
	var r rune
	for _, c := range s[i+2 : i+6] {
		r = r<<4 | hexDigit(c)
	}
	return r, i + 6
}

func hexDigit(c byte) rune {
	if c <= '9' {
		return rune(c-'0') & 15
	}
	return rune(c|0x20-'a'+10) & 15
}

var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// latin1 encodes a string whose characters stand for bytes: size of them, or any
// number, with their length before them, when size is negative.
func (e *encoder) latin1(n *node, dst []byte, i, size int) ([]byte, int) {
	if e.at(i) != '"' {
		return e.unexpected(n, dst, i)
	}
	end := stringEnd(e.text, i+1)
	if end < 0 {
		return e.fail(dst, "unexpected text")
	}
	start := len(dst)
	if size < 0 {
		dst = appendLong(dst, int64(end-i-1))
	}
	behind := len(dst)
	dst, ok := appendLatin1(dst, e.text[i+1:end])
	switch {
	case !ok:
		return e.fail(dst, "expected "+n.title()+", whose characters are bytes up to U+00FF, got "+e.quote(i))
	case size < 0:
		return setLength(dst, start, behind), end + 1
	case len(dst)-start != size:
		return e.fail(dst, "expected "+n.title()+", "+count(size, "byte")+", got "+count(len(dst)-start, "byte"))
	case size == 0:
		e.empty++
	}
	return dst, end + 1
}

// appendLatin1 appends the bytes that the characters between the quotes stand for;
// it is false when one is past U+00FF.
func appendLatin1(dst, s []byte) ([]byte, bool) {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\\':
			var r rune
			if r, i = escape(s, i); r > 0xFF {
				return dst, false
			}
			dst = append(dst, byte(r))
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		case (c == 0xC2 || c == 0xC3) && i+1 < len(s):
			dst = append(dst, c<<6|s[i+1]&0x3F)
			i += 2
		default:
			return dst, false
		}
	}
	return dst, true
}

// latin1Len is how many bytes a text of characters up to U+00FF stands for.
func latin1Len(text []byte) (size int, ok bool) {
	for _, c := range text {
		if c > 0xC3 {
			return 0, false
		}
		if c < 0x80 || c >= 0xC0 {
			size++
		}
	}
	return size, true
}
