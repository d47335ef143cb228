package server

import (
	"bytes"
	"net/netip"
	"strings"

	"millrace/pool"
)

// maxHostName is the longest name that DNS has.
const maxHostName = 255

// validHost reports whether text is a host with or without a port, as a Host
// header and the host of a URL have it (RFC 9110 §7.2): a name of letters,
// digits, dots, hyphens, underscores and tildes, an IPv4 address, or an IPv6
// address in brackets. Anything else could begin another part of the URL that is
// made with it. RFC 3986 allows a few characters more, which no DNS name has.
func validHost(text []byte) bool {
	if len(text) > 0 && text[0] == '[' {
		name, port := cutPort(text)
		return isIPv6(name) && validPort(port)
	}
	for i, c := range text {
		if hostByte[c] {
			continue
		}
		return c == ':' && i > 0 && i <= maxHostName && validPort(text[i:])
	}
	return len(text) > 0 && len(text) <= maxHostName
}

// isIPv6 reports whether name is an IPv6 address in brackets, without a zone,
// which means something on the client's machine only.
func isIPv6(name []byte) bool {
	if len(name) < 2 {
		return false
	}
	inner := name[1 : len(name)-1]
	addr, err := netip.ParseAddr(pool.String(inner)) // a view, of which nothing is kept
	return err == nil && addr.Is6() && bytes.IndexByte(inner, '%') < 0
}

// ValidHostName reports whether text is the name of a host, without a port.
func ValidHostName(text string) bool {
	_, port := cutPort([]byte(text))
	return len(port) == 0 && validHost([]byte(text))
}

// cutPort cuts a host from its port, which begins with a colon when there is
// one. An IPv6 address keeps its brackets. The name of a text that is no host at
// all is empty.
func cutPort(text []byte) (name, port []byte) {
	end := bytes.IndexByte(text, ':')
	if len(text) > 0 && text[0] == '[' {
		if end = bytes.IndexByte(text, ']') + 1; end == 0 {
			return nil, nil
		}
	}
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

// validPort reports whether text is empty, or a colon and a port. As RFC 3986
// has it the digits may be missing.
func validPort(text []byte) bool {
	if len(text) == 0 {
		return true
	}
	n := 0
	for _, c := range text[1:] {
		if c < '0' || c > '9' {
			return false
		}
		if n = 10*n + int(c-'0'); n > 65535 {
			return false
		}
	}
	return text[0] == ':'
}

// hostName is the name of a valid host in one spelling: without its port and
// brackets, in lower case, without the dot that may end a DNS name.
func hostName(host string) string {
	name, _ := cutPort([]byte(host))
	return strings.ToLower(strings.TrimSuffix(strings.Trim(string(name), "[]"), "."))
}
