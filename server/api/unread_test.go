package api_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// Of a request whose header is reason enough to refuse it, the body is not waited for. A small
// body, which comes with the header, leaves the connection to the next request.
func TestBodiesOfRefusedRequestsAreNotRead(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.server.OwnHostsOnly = true })
	const records, form = "Content-Type: application/vnd.kafka.json.v2+json\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"
	tests := map[string]struct {
		target, header string
		want           int
	}{
		"host":             {"POST /topics/t", "Host: other.example\r\n" + records, 403},
		"origin":           {"POST /topics/t", "Host: localhost\r\nOrigin: http://evil.example\r\n" + records, 403},
		"content type":     {"POST /topics/t", "Host: localhost\r\n" + form, 415},
		"schemas":          {"POST /topics/t", "Host: localhost\r\nContent-Type: application/vnd.kafka.avro.v2+json\r\n", 415},
		"accept":           {"POST /topics/t", "Host: localhost\r\nAccept: text/csv\r\n" + records, 406},
		"query":            {"POST /topics/t?key=1", "Host: localhost\r\n" + records, 400},
		"content encoding": {"POST /topics/t", "Host: localhost\r\nContent-Encoding: lzma\r\n" + records, 415},
		"call":             {"POST /consumers/g", "Host: localhost\r\n" + form, 415},
		"event":            {"POST /ingest/t", "Host: localhost\r\n" + records, 415},
		"signal":           {"POST /v1/logs", "Host: localhost\r\n" + form, 415},
		"batch":            {"POST /v3/clusters/c/topics/t/records:batch", "Host: localhost\r\n" + form, 415},
		"change":           {"POST /v3/clusters/c/topics", "Host: localhost\r\n" + form, 415},
		"path":             {"POST /nowhere", "Host: localhost\r\n" + records, 404},
		"method":           {"PUT /topics/t", "Host: localhost\r\n" + records, 405},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			head := test.target + " HTTP/1.1\r\n" + test.header
			for announced, text := range map[string]string{
				"by its length": "Content-Length: 1000000\r\n\r\n{",
				"in chunks":     "Transfer-Encoding: chunked\r\n\r\n",
				"when asked":    "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
			} {
				if name == "call" && announced == "in chunks" {
					continue // such a body may prove to be empty, and then has no type
				}
				c := dialNode(t, s.addr)
				if resp := c.exchange(head + text); resp.StatusCode != test.want || !resp.Close {
					t.Errorf("%s: status %d, want %d; closes %v", announced, resp.StatusCode, test.want, resp.Close)
				}
			}
			c := dialNode(t, s.addr)
			pipelined := "GET /topics HTTP/1.1\r\nHost: localhost\r\n\r\n"
			if resp := c.exchange(head + "Content-Length: 2\r\n\r\n{}" + pipelined); resp.StatusCode != test.want || resp.Close {
				t.Errorf("a small body: status %d, want %d; closes %v", resp.StatusCode, test.want, resp.Close)
			}
			if resp := c.exchange(""); resp.StatusCode != http.StatusOK {
				t.Errorf("the next request on the connection: status %d", resp.StatusCode)
			}
		})
	}
}

// nodeConn is a connection on which a test writes bytes as it likes.
type nodeConn struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func dialNode(t *testing.T, addr string) *nodeConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &nodeConn{conn, t, bufio.NewReader(conn)}
}

// exchange sends the bytes, and reads one response.
func (c *nodeConn) exchange(text string) *http.Response {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp
}
