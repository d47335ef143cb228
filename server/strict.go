package server

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// checkRequest refuses a request whose header two HTTP parsers may read
// differently. A proxy in front and this node must agree where a request ends
// and whom it is for. Otherwise a client smuggles a request past the proxy's
// rules (RFC 9112 §11.2).
//
// fasthttp refuses much itself: a repeated Host, Content-Length or
// Transfer-Encoding, a space before a colon, control characters in a value.
// checkRequest refuses what fasthttp accepts. It allocates nothing while the
// request is well-formed.
func checkRequest(h *fasthttp.RequestHeader) error {
	if p := h.Protocol(); string(p) != "HTTP/1.1" && string(p) != "HTTP/1.0" {
		return apierr.BadRequest.New("The HTTP version must be 1.1 or 1.0, not %s.", sentText(p))
	}
	if reason := checkTarget(h); reason != "" {
		return apierr.BadRequest.New("%s", reason)
	}
	if reason := checkFields(h.RawHeaders()); reason != "" {
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
	if len(target) == 0 || target[0] == '/' || h.IsConnect() || string(target) == "*" {
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

// checkFields checks the lines of the header as they came, which fasthttp has
// found to be names, colons and values. It returns the reason for a refusal, or "".
func checkFields(raw []byte) string {
	var sized, coded bool
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' {
			return "Each line of the header must end with CR and LF."
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			break
		}
		switch line[0] {
		case ' ', '\t':
			return "A line of the header must not begin with a space or a tab: folded headers are not supported."
		case 'C', 'c':
			sized = sized || isField(line, "content-length:")
		case 'T', 't':
			if isField(line, "transfer-encoding:") {
				coded = true
				if value := bytes.TrimSpace(line[len("transfer-encoding:"):]); !bytes.EqualFold(value, []byte("chunked")) {
					return "The Transfer-Encoding must be chunked."
				}
			}
		}
		// Most often the first space of a line is the one behind the colon.
		if space := bytes.IndexByte(line, ' '); space > 0 && line[space-1] != ':' && bytes.IndexByte(line[:space], ':') < 0 {
			return "The name of a header must not contain a space."
		}
	}
	switch {
	case len(raw) > 0:
		return "The header must end with an empty line."
	case sized && coded:
		return "A request must not have both Content-Length and Transfer-Encoding."
	}
	return ""
}

// isField reports whether line is the header that name, with its colon, begins.
func isField(line []byte, name string) bool {
	return len(line) >= len(name) && line[len(name)-1] == ':' && bytes.EqualFold(line[:len(name)], []byte(name))
}
