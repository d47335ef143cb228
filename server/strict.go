package server

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// checkRequest refuses a request of which two HTTP parsers may not agree whom it
// is for. Otherwise a client gets past the rules of a proxy in front
// (RFC 9112 §11.2). [framing] has refused what they may end differently, and
// fasthttp a repeated Host and control characters. checkRequest allocates nothing
// while the request is well-formed.
func checkRequest(h *fasthttp.RequestHeader) error {
	if p := h.Protocol(); string(p) != "HTTP/1.1" && string(p) != "HTTP/1.0" {
		return apierr.BadRequest.New("The HTTP version must be 1.1 or 1.0, not %s.", sentText(p))
	}
	if reason := checkTarget(h); reason != "" {
		return apierr.BadRequest.New("%s", reason)
	}
	return nil
}

// checkTarget checks whom the request is for: the Host header and the request
// target (RFC 9112 §3.2). It returns the reason for a refusal, or "".
func checkTarget(h *fasthttp.RequestHeader) string {
	host := h.Host()
	switch {
	case len(host) == 0 && h.IsHTTP11():
		return "An HTTP/1.1 request needs a Host header."
	case len(host) > 0 && !validHost(host):
		return "The Host header must be a host name or an IP address, with or without a port from 0 to 65535."
	}
	target := h.RequestURI()
	if !allTarget(target) {
		return "The request target may have no backslash, no #, no control character and no byte that UTF-8 never has. Percent-encode those."
	}
	switch {
	case h.IsConnect():
		if name, port := cutPort(target); len(name) == 0 || len(port) < 2 || !validHost(target) {
			return "The target of a CONNECT request must be a host and a port."
		}
		return ""
	case bytes.HasPrefix(target, []byte("//")):
		// To fasthttp this may name a host, in place of the Host header.
		return "The path must not begin with two slashes."
	case len(target) == 0 || target[0] == '/' || string(target) == "*":
		return ""
	}
	scheme, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok || !bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) {
		return "The request target must be a path, or a URL that begins with http:// or https://."
	}
	if end := bytes.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if !validHost(rest) {
		return "The URL in the request line must have a host name or an IP address, with or without a port from 0 to 65535, and no user."
	}
	return ""
}

// The tables below are pieces of the grammar of RFC 9110 and 9112, which every request meets.

// tokenByte has the bytes of a token (RFC 9110 §5.6.2).
var tokenByte = bytesOf("!#$%&'*+-.^_`|~", isAlphanumeric)

// targetByte has the bytes of a request target. RFC 3986 has fewer: browsers, curl and libraries
// send quotation marks (of an ETag), {, |, } and UTF-8 as they are, and no parser ends a request
// there. A backslash is a slash to some, as are bytes of overlong UTF-8, and a fragment is not sent
// (RFC 9112 §3.2).
var targetByte = bytesOf("", func(c byte) bool {
	return c > ' ' && c != 0x7f && c != '\\' && c != '#' && c != 0xc0 && c != 0xc1 && c < 0xf5
})

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
