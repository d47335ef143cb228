package server

import (
	"bytes"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/pool"
)

// ownHosts are the names that this node goes by. A page whose own name is made
// to resolve to this node's address (DNS rebinding) is of the same origin as what
// the node serves, as far as a browser can tell. Only the Host header, which such
// a page cannot choose, tells it from the node's own pages.
type ownHosts struct {
	names map[string]struct{}
	only  bool // refuse all requests for other hosts, not only those of guarded routes
}

// newOwnHosts collects the configured names, that of the machine, and localhost.
func newOwnHosts(s Settings) ownHosts {
	o := ownHosts{names: map[string]struct{}{"localhost": {}}, only: s.OwnHostsOnly}
	names := append([]string{s.HostName}, s.OwnHosts...)
	if u, err := url.Parse(s.Advertised); err == nil {
		names = append(names, u.Hostname())
	}
	if machine, err := os.Hostname(); err == nil {
		names = append(names, machine)
	}
	for _, name := range names {
		if name = hostName(name); name != "" {
			o.names[name] = struct{}{}
		}
	}
	return o
}

// has reports whether host is this node. An IP address always is: no name was
// resolved to it. So is none, of HTTP/1.0, which no browser speaks.
func (o *ownHosts) has(host string) bool {
	if host == "" {
		return true
	}
	name := hostName(host)
	if _, ok := o.names[name]; ok {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// requireOwnHost refuses a request for a host that is not this node. A host that
// a trusted proxy forwards must be this node's too, beside the Host header and
// not in its place: a page that was rebound can send any X-Forwarded-Host.
func (s *Server) requireOwnHost(ctx *fasthttp.RequestCtx) error {
	for _, host := range []string{string(ctx.Host()), s.forwarded(ctx).host} {
		if !s.hosts.has(host) {
			return apierr.Unauthorized.New("%s is not a name of this node as far as it knows. If it is, add it to hosts.own; until then use the IP address.", sentText([]byte(host)))
		}
	}
	return nil
}

// requireOwnHostEverywhere is requireOwnHost where hosts.own.only asks for that.
func (s *Server) requireOwnHostEverywhere(ctx *fasthttp.RequestCtx) error {
	if !s.hosts.only {
		return nil
	}
	return s.requireOwnHost(ctx)
}

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
