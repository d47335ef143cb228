package server

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// BaseURL returns the URL at which clients reach this node, without a slash at the end: the
// configured one, or the one that the request's client used.
func (s *Server) BaseURL(ctx *fasthttp.RequestCtx) string {
	if s.settings.Advertised != "" {
		return strings.TrimRight(s.settings.Advertised, "/")
	}
	scheme := "http"
	if ctx.IsTLS() {
		scheme = "https"
	}
	if s.settings.HostName != "" {
		return scheme + "://" + withPort(s.settings.HostName, ctx.LocalAddr().String())
	}
	if proto := strings.ToLower(forwarded(ctx, "X-Forwarded-Proto")); proto == "http" || proto == "https" {
		scheme = proto
	}
	for _, host := range []string{forwarded(ctx, "X-Forwarded-Host"), string(ctx.Host())} {
		if isHost(host) {
			return scheme + "://" + host
		}
	}
	return scheme + "://" + ctx.LocalAddr().String() // HTTP/1.0
}

// isHost reports whether text has only the characters of a host, with or without a port, and none
// that would begin another part of a URL.
func isHost(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~:[]", r)
	})
}

// withPort appends the port of addr to a host name.
func withPort(host, addr string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]" // IPv6
	}
	return host + addr[strings.LastIndexByte(addr, ':'):]
}

// forwarded returns the value that the proxy nearest to the client wrote into a header that each
// proxy on the path may append to.
func forwarded(ctx *fasthttp.RequestCtx, header string) string {
	first, _, _ := strings.Cut(string(ctx.Request.Header.Peek(header)), ",")
	return strings.TrimSpace(first)
}
