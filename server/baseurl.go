package server

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// BaseURL returns where clients reach this server, without a slash at the end: as
// configured, or as the request says that its client has reached it.
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

// isHost reports whether text has only what a host, with or without a port, is
// written with: nothing that would begin another part of a URL.
func isHost(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~:[]", r)
	})
}

// withPort adds to a host name the port that addr ends with.
func withPort(host, addr string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]" // IPv6
	}
	return host + addr[strings.LastIndexByte(addr, ':'):]
}

// forwarded is what the proxy nearest to the client has put into a header that
// each proxy on the way may append to.
func forwarded(ctx *fasthttp.RequestCtx, header string) string {
	first, _, _ := strings.Cut(string(ctx.Request.Header.Peek(header)), ",")
	return strings.TrimSpace(first)
}
