package server

import "bytes"

// What follows are pieces of the grammar of RFC 9110 and 9112, as tables of bytes where they are
// on the way of every request.

// tokenByte has the bytes of a token (RFC 9110 §5.6.2).
var tokenByte = bytesOf("!#$%&'*+-.^_`|~", isAlphanumeric)

// targetByte has the bytes of a request target. RFC 3986 has fewer: browsers send {, |, } and a few
// more as they are in a query. A backslash is a slash to some, and a fragment is not sent
// (RFC 9112 §3.2).
var targetByte = bytesOf("", func(c byte) bool { return c > ' ' && c < 0x7f && bytes.IndexByte([]byte(`"<>\#`), c) < 0 })

// allTarget reports whether target is of such bytes only.
func allTarget(target []byte) bool {
	all := true
	for _, c := range target {
		all = all && targetByte[c]
	}
	return all
}

// hostByte has the bytes of a host name.
var hostByte = bytesOf("-._~", isAlphanumeric)

func bytesOf(these string, more func(byte) bool) (table [256]bool) {
	for c := range table {
		table[c] = bytes.IndexByte([]byte(these), byte(c)) >= 0 || more(byte(c))
	}
	return table
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// checkName returns why a line of a header does not begin with a name (RFC 9112 §5), or "".
func checkName(line []byte) string {
	n := tokenLength(line)
	switch {
	case n > 0 && n <= longestName && line[n] == ':':
		return ""
	case n == 0 && (line[0] == ' ' || line[0] == '\t'):
		return badFold
	}
	return badName
}

// cutField returns the value of a line of a header, which ends with CR and LF, if it begins with
// this name and its colon.
func cutField(line []byte, name string) (value []byte, ok bool) {
	if len(line) < len(name)+2 || line[len(name)-1] != ':' {
		return nil, false
	}
	if string(line[:len(name)]) != name && !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return line[len(name) : len(line)-2], true
}

// contentLength parses the value of a Content-Length (RFC 9110 §8.6).
func contentLength(value []byte) (n int, ok bool) {
	value = trimOWS(value)
	if len(value) == 0 || len(value) > lengthDigits {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// trimOWS cuts the optional white space around a value (RFC 9110 §5.6.3).
func trimOWS(value []byte) []byte {
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	return value
}

// hexDigit returns the value of a hexadecimal digit, or -1.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// validExtensions reports whether text is the extensions of a chunk, each a semicolon, a name,
// and perhaps an equals sign and a token or a quoted string (RFC 9112 §7.1.1). White space
// between them, which only a bad sender makes, is refused.
func validExtensions(text []byte) bool {
	for len(text) > 0 {
		if text[0] != ';' {
			return false
		}
		name := tokenLength(text[1:])
		if name == 0 {
			return false
		}
		if text = text[1+name:]; len(text) == 0 || text[0] != '=' {
			continue
		}
		value := tokenLength(text[1:])
		if value == 0 {
			value = quotedLength(text[1:])
		}
		if value == 0 {
			return false
		}
		text = text[1+value:]
	}
	return true
}

// tokenLength returns the length of the token at the beginning of text; 0: there is none.
func tokenLength(text []byte) (n int) {
	for n < len(text) && tokenByte[text[n]] {
		n++
	}
	return n
}

// quotedLength returns the length of the quoted string at the beginning of text (RFC 9110 §5.6.4);
// 0: there is none.
func quotedLength(text []byte) int {
	if len(text) == 0 || text[0] != '"' {
		return 0
	}
	for n := 1; n < len(text); n++ {
		switch c := text[n]; {
		case c == '"':
			return n + 1
		case c == '\\':
			if n++; n == len(text) || isControl(text[n]) {
				return 0
			}
		case isControl(c):
			return 0
		}
	}
	return 0
}

// isControl reports whether c is a control character other than the tab.
func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }
