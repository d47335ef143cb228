package server

import (
	"bytes"
	"mime"
	"net/netip"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/pool"
)

// forwarded is what a proxy in front says of the request that it has got: how its client has
// reached the service. Fields that the proxy does not send are empty.
type forwarded struct {
	scheme string // http or https
	host   string // with or without a port
	port   string // for a host that has none
}

// forwarded returns what the request's X-Forwarded-Proto, -Host and -Port say,
// or, where it has none of them, what its Forwarded header says (RFC 7239). Only
// the two together would let a client add a host to a proxy's scheme. Of
// several proxies the one nearest to the client counts. Nothing is believed that
// does not come from an address of forwarded.trusted, for any client can send
// these headers, and nothing that is not well-formed.
func (s *Server) forwarded(ctx *fasthttp.RequestCtx) forwarded {
	f := forwarded{
		scheme: firstOf(ctx, "X-Forwarded-Proto"),
		host:   firstOf(ctx, "X-Forwarded-Host"),
		port:   firstOf(ctx, "X-Forwarded-Port"),
	}
	if f == (forwarded{}) {
		f = parseForwarded(string(ctx.Request.Header.Peek("Forwarded")))
	}
	if f == (forwarded{}) || !s.trusts(ctx) {
		return forwarded{}
	}
	if f.scheme = strings.ToLower(f.scheme); f.scheme != "http" && f.scheme != "https" {
		f.scheme = ""
	}
	if !validHost([]byte(f.host)) {
		f.host = ""
	}
	if f.port == "" || !validPort([]byte(":"+f.port)) || strings.Trim(f.port, "0") == "" {
		f.port = ""
	}
	return f
}

// trusts reports whether the request's connection comes from a proxy that is
// believed.
func (s *Server) trusts(ctx *fasthttp.RequestCtx) bool {
	return within(addrOf(ctx), s.settings.ForwardedTrusted)
}

func within(addr netip.Addr, networks []netip.Prefix) bool {
	for _, p := range networks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// ClientAddr returns the address that the request comes from: that of the connection or, behind
// proxies of forwarded.trusted, the last one in X-Forwarded-For that is none of theirs. Those
// before that one may be the client's invention.
func (s *Server) ClientAddr(ctx *fasthttp.RequestCtx) netip.Addr {
	return clientAddr(ctx, s.settings.ForwardedTrusted)
}

// callerAddr is [Server.ClientAddr] for what must not be an invention: it believes no proxies but
// those that the operator has named.
func (s *Server) callerAddr(ctx *fasthttp.RequestCtx) netip.Addr {
	return clientAddr(ctx, s.settings.ForwardedNamed)
}

// limitAddr returns the address by which a request's caller is limited.
func (s *Server) limitAddr(ctx *fasthttp.RequestCtx) netip.Addr { return network(s.callerAddr(ctx)) }

// network returns what stands for an address in limits: of an IPv6 address its network of 64 bits
// (RFC 4291 §2.5.1), of which a client may use any address.
func network(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	p, _ := addr.WithZone("").Prefix(64) // which fails for more than 128 bits only
	return p.Addr()
}

func clientAddr(ctx *fasthttp.RequestCtx, trusted []netip.Prefix) netip.Addr {
	addr := addrOf(ctx)
	if !within(addr, trusted) {
		return addr
	}
	for _, line := range slices.Backward(ctx.Request.Header.PeekAll("X-Forwarded-For")) {
		for len(line) > 0 {
			at := bytes.LastIndexByte(line, ',')
			hop, err := netip.ParseAddr(pool.String(bytes.TrimSpace(line[at+1:])))
			if err != nil {
				return addr
			}
			if addr = hop.Unmap().WithZone(""); !within(addr, trusted) {
				return addr
			}
			line = line[:max(at, 0)]
		}
	}
	return addr
}

// LoopbackPrefixes returns the addresses of the machine itself.
func LoopbackPrefixes() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// PrivatePrefixes returns the addresses that the Internet does not route: RFC
// 1918, RFC 4193, and the link-local ones.
func PrivatePrefixes() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
	}
}

// firstOf is the first entry of a header to which each proxy on the way may append.
func firstOf(ctx *fasthttp.RequestCtx, header string) string {
	first, _, _ := strings.Cut(string(ctx.Request.Header.Peek(header)), ",")
	return strings.TrimSpace(first)
}

// parseForwarded reads the first element of a Forwarded header: pairs of a name
// and a token or a quoted string, as the parameters of a media type are. One that
// is malformed says nothing.
func parseForwarded(header string) forwarded {
	if header == "" {
		return forwarded{}
	}
	quoted := false
	end := strings.IndexFunc(header, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	})
	if end >= 0 {
		header = header[:end]
	}
	_, pairs, err := mime.ParseMediaType("a/b;" + header)
	if err != nil {
		return forwarded{}
	}
	return forwarded{scheme: pairs["proto"], host: pairs["host"]}
}

// BaseURL returns where clients reach this node, without a slash at the end: as
// configured, or as the request and trusted proxies say that its client has
// reached it.
func (s *Server) BaseURL(ctx *fasthttp.RequestCtx) string {
	if s.settings.Advertised != "" {
		return strings.TrimRight(s.settings.Advertised, "/")
	}
	scheme := "http"
	if ctx.IsTLS() {
		scheme = "https"
	}
	local := ctx.LocalAddr().String()
	if s.settings.HostName != "" {
		return scheme + "://" + withPort(s.settings.HostName, local[strings.LastIndexByte(local, ':')+1:])
	}
	f := s.forwarded(ctx)
	if f.scheme != "" {
		scheme = f.scheme
	}
	for _, host := range []string{f.host, string(ctx.Host())} {
		if !validHost([]byte(host)) {
			continue
		}
		if _, port := cutPort([]byte(host)); len(port) == 0 && f.port != "" && f.port != defaultPorts[scheme] {
			host += ":" + f.port
		}
		return scheme + "://" + host
	}
	return scheme + "://" + local // HTTP/1.0
}

// defaultPorts are those that a URL need not say.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// withPort adds a port to a host name.
func withPort(host, port string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]" // IPv6
	}
	return host + ":" + port
}
