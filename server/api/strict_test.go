package api_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// rawRequest is a request as bytes on the wire.
type rawRequest struct {
	name string
	text string
	// reason is what the refusal must say; any is enough where it is empty.
	reason string
}

// malformedRequests are requests that a parser in front may read differently.
var malformedRequests = []rawRequest{
	{"folded header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", "folded"},
	{"header folded with a tab", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n", "folded"},
	{"folded Content-Length", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n 2\r\n\r\n{}", "folded"},
	{"fold to nothing", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n \r\n\r\n", "folded"},
	{"space before the first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", ""},
	{"both lengths", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "both"},
	{"both lengths, the other way", "POST /topics/t HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", "both"},
	{"both lengths, identity", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: identity\r\n\r\n{}", "Transfer-Encoding"},
	{"identity", "POST /topics/t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", "chunked"},
	{"two codings", "POST /topics/t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ""},
	{"Transfer-Encoding twice", "POST /topics/t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
	{"Transfer-Encoding in HTTP/1.0", "POST /topics/t HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
	{"Content-Length twice", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", ""},
	{"list of lengths", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\n{}", ""},
	{"signed length", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\n{}", ""},
	{"hexadecimal length", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\n{}", ""},
	{"no length", "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n{}", ""},

	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", "version"},
	{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "version"},
	{"HTTP/0.9", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", "version"},
	{"HTTP/9.9", "GET / HTTP/9.9\r\nHost: h\r\n\r\n", "version"},
	{"no version", "GET /\r\nHost: h\r\n\r\n", ""},
	{"version in small letters", "GET / http/1.1\r\nHost: h\r\n\r\n", ""},
	{"long version", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", ""},

	{"no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", ""},
	{"no header", "GET / HTTP/1.1\r\n\r\n", ""},
	{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ""},
	{"Host twice", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", ""},
	{"Host with a user", "GET / HTTP/1.1\r\nHost: x:1@evil\r\n\r\n", "Host"},
	{"Host with a user and no port", "GET / HTTP/1.1\r\nHost: x@evil\r\n\r\n", "Host"},
	{"Host with a user in HTTP/1.0", "GET / HTTP/1.0\r\nHost: x@evil\r\n\r\n", "Host"},
	{"port past 65535", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", "Host"},
	{"port far past 65535", "GET / HTTP/1.1\r\nHost: h:99999999999999999999\r\n\r\n", ""},
	{"port of letters", "GET / HTTP/1.1\r\nHost: h:http\r\n\r\n", ""},
	{"negative port", "GET / HTTP/1.1\r\nHost: h:-1\r\n\r\n", ""},
	{"two ports", "GET / HTTP/1.1\r\nHost: h:1:2\r\n\r\n", ""},
	{"port alone", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "Host"},
	{"two hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", ""},
	{"Host with a path", "GET / HTTP/1.1\r\nHost: h/p\r\n\r\n", ""},
	{"Host with a query", "GET / HTTP/1.1\r\nHost: h?q\r\n\r\n", ""},
	{"Host with a fragment", "GET / HTTP/1.1\r\nHost: h#f\r\n\r\n", ""},
	{"Host with an escape", "GET / HTTP/1.1\r\nHost: %65vil\r\n\r\n", ""},
	{"Host that is not ASCII", "GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", ""},
	{"open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", ""},
	{"IPv6 without brackets", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", ""},
	{"name in brackets", "GET / HTTP/1.1\r\nHost: [localhost]\r\n\r\n", ""},
	{"IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n", ""},
	{"IPv6 with a zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", ""},
	{"something behind the bracket", "GET / HTTP/1.1\r\nHost: [::1]evil\r\n\r\n", ""},
	{"long Host", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", 256) + "\r\n\r\n", "Host"},

	{"line feed alone", "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", "CR and LF"},
	{"line feeds alone at the end", "GET / HTTP/1.1\r\nHost: h\r\nX: y\n\r\n\r\n", ""},
	{"carriage return alone", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n", ""},
	{"two carriage returns", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\r\n\r\n", ""},
	{"zero byte", "GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", ""},
	{"space before a colon", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 0\r\n\r\n", ""},
	{"space in a name", "GET / HTTP/1.1\r\nHost: h\r\nContent Length: 0\r\n\r\n", "space"},
	{"no colon", "GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n", ""},
	{"no name", "GET / HTTP/1.1\r\nHost: h\r\n: value\r\n\r\n", ""},

	{"URL with a user", "GET http://x@evil/ HTTP/1.1\r\nHost: h\r\n\r\n", "URL"},
	{"URL with a port past 65535", "GET http://h:65536/ HTTP/1.1\r\nHost: h\r\n\r\n", "URL"},
	{"URL without a host", "GET http:///topics HTTP/1.1\r\nHost: h\r\n\r\n", ""},
	{"URL of another scheme", "GET file://h/etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", "http://"},
	{"relative path", "GET topics HTTP/1.1\r\nHost: h\r\n\r\n", ""},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", ""},
	{"folded header before a body that is asked for", "POST /topics/t HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", "folded"},
}

// wellFormedRequests are requests that look odd and are not.
var wellFormedRequests = []rawRequest{
	{"plain", "GET /topics HTTP/1.1\r\nHost: h\r\n\r\n", ""},
	{"HTTP/1.0 without Host", "GET /topics HTTP/1.0\r\n\r\n", ""},
	{"HTTP/1.0 with Host", "GET /topics HTTP/1.0\r\nHost: h\r\n\r\n", ""},
	{"port", "GET /topics HTTP/1.1\r\nHost: h:65535\r\n\r\n", ""},
	{"port 0", "GET /topics HTTP/1.1\r\nHost: h:0\r\n\r\n", ""},
	{"no digits in the port", "GET /topics HTTP/1.1\r\nHost: h:\r\n\r\n", ""},
	{"underscore", "GET /topics HTTP/1.1\r\nHost: rest_proxy:8082\r\n\r\n", ""},
	{"capitals", "GET /topics HTTP/1.1\r\nHOST: H.EXAMPLE\r\n\r\n", ""},
	{"dot at the end", "GET /topics HTTP/1.1\r\nHost: h.example.\r\n\r\n", ""},
	{"IPv4", "GET /topics HTTP/1.1\r\nHost: 127.0.0.1:8082\r\n\r\n", ""},
	{"IPv6", "GET /topics HTTP/1.1\r\nHost: [::1]:8082\r\n\r\n", ""},
	{"IPv4 in IPv6", "GET /topics HTTP/1.1\r\nHost: [::ffff:127.0.0.1]\r\n\r\n", ""},
	{"spaces around a value", "GET /topics HTTP/1.1\r\nHost: \t h \t\r\nX:   \r\n\r\n", ""},
	{"URL", "GET http://h:80/topics HTTP/1.1\r\nHost: h:80\r\n\r\n", ""},
	{"URL of another host", "GET http://other.example/topics HTTP/1.1\r\nHost: h\r\n\r\n", ""},
	{"empty line before", "\r\nGET /topics HTTP/1.1\r\nHost: h\r\n\r\n", ""},
	{"bytes past ASCII in a value", "GET /topics HTTP/1.1\r\nHost: h\r\nX: caf\xe9\r\n\r\n", ""},
	{"other names of the same lengths", "GET /topics HTTP/1.1\r\nHost: h\r\nContext-Length: 7\r\nTransfer-Encodink: chunked\r\nTest: x\r\n\r\n", ""},
	{"length of 0", "GET /topics HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", ""},
	{"chunked, in capitals", "GET /topics HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", ""},
}

// A malformed request is refused with a reason, and its connection ends: the
// request behind it, which the refused one may have smuggled in, is not served.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	for _, r := range malformedRequests {
		t.Run(r.name, func(t *testing.T) {
			in := s.send(t, r.text+"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != 400 || err != nil || !strings.Contains(string(body), `"error_code":400`) || !strings.Contains(string(body), r.reason) {
				t.Errorf("got %d %s, %v; want 400 with %q", resp.StatusCode, body, err, r.reason)
			}
			if !resp.Close {
				t.Error("the answer does not say that the connection closes")
			}
			if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
				t.Errorf("the connection goes on with %q, %v", rest, err)
			}
		})
	}
}

func TestWellFormedRequests(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	for _, r := range wellFormedRequests {
		t.Run(r.name, func(t *testing.T) {
			resp, err := http.ReadResponse(s.send(t, r.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || err != nil {
				t.Errorf("got %d %s, %v", resp.StatusCode, body, err)
			}
		})
	}
}

// send writes a request as it is and returns what reads the answers. Its error is
// no matter where the other side has refused the rest.
func (s *stack) send(t testing.TB, text string) *bufio.Reader {
	t.Helper()
	conn := s.raw(t)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	return bufio.NewReader(conn)
}
