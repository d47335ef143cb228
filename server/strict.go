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
		return "The request target must be of ASCII characters other than \", <, >, \\ and #. Percent-encode those."
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
