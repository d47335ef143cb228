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

// probeRequest stands behind the bytes of a case. A node that serves it takes the
// connection to go on there.
const probeRequest = "GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n"

// A node does with each case what RFC 9110 and 9112 say. It does the same when a good
// request comes before it on the connection.
func TestFrontCases(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	cases := testkit.FrontCases(t, "../testdata/front")
	if len(cases) < 350 {
		t.Errorf("there are %d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			s.checkFrontCase(t, c)
			c.Bytes, c.Statuses = probeRequest+c.Bytes, append([]int{200}, c.Statuses...)
			s.checkFrontCase(t, c)
		})
	}
}

func (s *stack) checkFrontCase(t *testing.T, c testkit.FrontCase) {
	t.Helper()
	in := s.send(t, c.Bytes+probeRequest)
	for n, want := range c.Statuses {
		resp, err := http.ReadResponse(in, methodOf(c, n))
		if err != nil {
			t.Fatalf("response %d: %v, want %d (RFC %s)", n, err, want, c.Section)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != want || err != nil {
			t.Fatalf("response %d: %d %.200s, %v, want %d (RFC %s)", n, resp.StatusCode, body, err, want, c.Section)
		}
		if want >= 400 && !strings.Contains(string(body), `"error_code":`) {
			t.Errorf("response %d: the body is %q", n, body)
		}
		if last := n == len(c.Statuses)-1; last && (c.Open || want >= 400) && resp.Close == c.Open {
			t.Errorf("the last response says close=%v", resp.Close)
		}
	}
	if c.Open {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("the request behind: %v, %v", resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("the connection goes on with %q, %v", rest, err)
	}
}

// methodOf returns a request of the method of the case's n-th response, without which a response
// to HEAD cannot be read.
func methodOf(c testkit.FrontCase, n int) *http.Request {
	method := "GET"
	if strings.HasPrefix(strings.TrimPrefix(c.Bytes, probeRequest), "HEAD ") && n == len(c.Statuses)-1 {
		method = "HEAD"
	}
	return &http.Request{Method: method}
}

// A refusal says what is wrong.
func TestReasonsOfRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	for header, want := range map[string]string{
		"X: a\r\n b":              "folded",
		"X: a\nY: b":              "CR and LF",
		"X Y: z":                  "name of a header",
		"Host: x@evil":            "Host",
		"Content-Length: +2":      "Content-Length",
		"Transfer-Encoding: gzip": "Transfer-Encoding must be chunked",
		"Content-Length: 2\r\nTransfer-Encoding: chunked": "both",
	} {
		text := "POST /topics/t HTTP/1.1\r\nHost: h\r\n" + header + "\r\n\r\n{}"
		if strings.HasPrefix(header, "Host") {
			text = strings.Replace(text, "Host: h\r\n", "", 1)
		}
		resp, err := http.ReadResponse(s.send(t, text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%q: %s, %v, want %q", header, body, err, want)
		}
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
