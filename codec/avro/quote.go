package avro

import (
	"encoding/binary"
	"unicode/utf8"
)

// str decodes a string to JSON text.
func (d *decoder) str(n *node, dst []byte, i int) ([]byte, int) {
	size, i := d.length(n, i)
	if i < 0 {
		return dst, i
	}
	if start := len(dst); size <= shortLen && cap(dst)-start >= shortRoom+1 {
		room := dst[start : start+shortRoom+1]
		k := 0
		for ; k < size && len(d.b)-i-k >= 8; k += 8 {
			w := binary.LittleEndian.Uint64(d.b[i+k:])
			binary.LittleEndian.PutUint64(room[k+1:], w)
			hit := special(w)
			if past := 8 - (size - k); past > 0 {
				hit &= highs >> (8 * past)
			}
			if hit != 0 {
				k = 0
				break
			}
		}
		if k >= size {
			room[0], room[size+1] = '"', '"'
			return dst[:start+size+2], i + size
		}
	}
	s := d.b[i : i+size]
	end, ok := plainEnd(s)
	switch {
	case ok:
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"'), i + size
	case !utf8.Valid(s[end:]):
		return d.fail(dst, "a text in "+n.title()+" is not UTF-8")
	}
	dst = append(dst, '"')
	for len(s) > 0 {
		if end > 0 {
			dst, s = append(dst, s[:end]...), s[end:]
		}
		if len(s) > 0 {
			dst, s = appendEscaped(dst, s[0]), s[1:]
		}
		end = escapeStart(s)
	}
	return append(dst, '"'), i + size
}

// special has high bits set when a byte of w needs an escape or is not ASCII, and
// perhaps when one is near to that; the lowest of them is right.
func special(w uint64) uint64 {
	q, b := w^lows*'"', w^lows*'\\'
	return ((q - lows) | (b - lows) | (w - lows*0x20) | w) & highs
}

// plainEnd returns the index of the first byte that needs an escape or is not
// ASCII, or near before it; ok is true when there is none.
func plainEnd(s []byte) (end int, ok bool) {
	i := 0
	for i+8 <= len(s) {
		w := binary.LittleEndian.Uint64(s[i:])
		if special(w) != 0 {
			return i, false
		}
		i += 8
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return i, false
		}
	}
	return i, true
}

// escapeStart returns the index of the first byte of valid UTF-8 that needs an
// escape, or len(s).
func escapeStart(s []byte) int {
	for i, c := range s {
		if c < 0x20 || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

const upperHex = "0123456789ABCDEF"

// appendEscaped appends c with the escapes that Java's encoder writes.
func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if c < 0x20 {
		return append(dst, '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15])
	}
	return append(dst, c)
}

// bytes decodes size bytes to a string whose characters have their values.
func (d *decoder) bytes(n *node, dst []byte, i, size int) ([]byte, int) {
	if size > len(d.b)-i {
		return d.short(n, dst)
	}
	dst = append(dst, '"')
	for _, c := range d.b[i : i+size] {
		if c < utf8.RuneSelf {
			dst = appendEscaped(dst, c)
		} else {
			dst = append(dst, 0xC0|c>>6, 0x80|c&0x3F)
		}
	}
	return append(dst, '"'), i + size
}
