package api_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
	"millrace/server"
)

// ask sends GET /healthz and returns the response, or nil when none came.
func ask(conn net.Conn) *http.Response {
	_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil
	}
	return resp
}

// hold opens n connections that are each being served.
func (s *stack) hold(t testing.TB, n int) (held []net.Conn) {
	t.Helper()
	for range n {
		conn := s.raw(t)
		if resp := ask(conn); resp == nil || resp.StatusCode != 200 {
			t.Fatalf("a connection within the limit is not served: %v", resp)
		}
		held = append(held, conn)
	}
	return held
}

// longRequest is long enough to be still in transit when the response is.
var longRequest = append([]byte("POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"), bytes.Repeat([]byte("x"), 1_000_000)...)

// wantRefusal fails t unless a new connection gets the response and is then closed.
func (s *stack) wantRefusal(t testing.TB, status int, text string) {
	t.Helper()
	conn := s.raw(t)
	defer conn.Close()
	go conn.Write(longRequest)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status || !strings.Contains(string(body), text) {
		t.Errorf("got %d %s, want %d with %s", resp.StatusCode, body, status, text)
	}
	if h := resp.Header; h.Get("Retry-After") == "" || h.Get("Content-Type") != "application/vnd.kafka.v2+json" || !resp.Close {
		t.Errorf("the header is %v", h)
	}
}

// The limit holds for all listeners together, and a slot that is given back can be taken again.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.server.MaxConnections = 3
		o.server.Listeners = append(o.server.Listeners, server.Listener{Addr: "127.0.0.1:0"})
	})
	held := s.hold(t, 3)
	for range 200 { // more than may linger at once: they give their slots back
		s.wantRefusal(t, 503, `"error_code":50304`)
	}
	s.addr = s.addrs[1].String()
	s.wantRefusal(t, 503, `"error_code":50304`)
	if n := strings.Count(s.log.String(), "turned away"); n == 0 || n > 50 {
		t.Errorf("%d lines in the log", n)
	}
	if stats := s.server.Stats(); stats.Connections != 3 || stats.Rejected != 201 {
		t.Errorf("the figures are %+v", stats)
	}
	held[0].Close()
	testkit.Eventually(t, 20*time.Second, "a place", func() bool {
		resp := ask(s.raw(t))
		return resp != nil && resp.StatusCode == 200
	})
}

func TestConnectionLimitOfOneAddress(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.server.MaxConnectionsPerIP = 2
		o.server.MaxBodyBytes = 1000
	})
	held := s.hold(t, 2)
	s.wantRefusal(t, 429, `"error_code":42902`)
	// Another address has its own count.
	other, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if resp := ask(other); resp == nil || resp.StatusCode != 200 {
		t.Errorf("another address gets %v", resp)
	}
	// A large body is refused with a response that arrives, here too.
	conn := held[0]
	go fmt.Fprintf(conn, "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n%s", strings.Repeat("x", 9_000_000))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 413 {
		t.Fatal(resp, err)
	}
	// That was its last connection, and its slot is free again.
	conn.Close()
	testkit.Eventually(t, 20*time.Second, "a place", func() bool {
		resp := ask(s.raw(t))
		return resp != nil && resp.StatusCode == 200
	})
}

// A refused TLS connection gets no reason; accepting continues.
func TestConnectionLimitWithTLS(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s, dial := startTLS(t, b.Broker, func(o *stackOptions) { o.server.MaxConnections = 1 })
	held := dial(t)
	if resp := ask(held); resp == nil || resp.StatusCode != 200 {
		t.Fatalf("within the limit: %v", resp)
	}
	for range 3 {
		conn := tls.Client(s.raw(t), &tls.Config{InsecureSkipVerify: true})
		if err := conn.Handshake(); err == nil {
			t.Error("a connection over the limit was taken")
		}
	}
	held.Close()
	testkit.Eventually(t, 20*time.Second, "a place", func() bool {
		resp := ask(tls.Client(s.raw(t), &tls.Config{InsecureSkipVerify: true}))
		return resp != nil && resp.StatusCode == 200
	})
}

// startTLS is start with an HTTPS listener.
func startTLS(t testing.TB, b testkit.Broker, change func(*stackOptions)) (s *stack, dial func(testing.TB) net.Conn) {
	certificates := httptest.NewTLSServer(nil) // only for the certificate
	certificates.Close()
	s = start(t, b, func(o *stackOptions) {
		o.server.Listeners[0].TLS = &tls.Config{Certificates: certificates.TLS.Certificates}
		change(o)
	})
	return s, func(t testing.TB) net.Conn {
		t.Helper()
		conn := tls.Client(s.raw(t), &tls.Config{InsecureSkipVerify: true})
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// A process that is out of file descriptors waits for one instead of ending.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	p := testkit.StartProcess(t, exec.Command("bash", "-c", `ulimit -n 70; exec "$@"`, "bash", testkit.Binary(t), "serve",
		"--set=bootstrap.servers="+strings.Join(b.Addrs, ","), "--set=listeners=http://127.0.0.1:0"))
	p.WaitLine(t, `open files.*limit=70 .*connections\.max=10000`, 20*time.Second)
	s := &stack{addr: p.WaitLine(t, `msg=serving addresses=\[http://([^\]]+)\]`, 20*time.Second)[1]}
	var conns []net.Conn
	for range 200 { // the system accepts them, and the process cannot
		conns = append(conns, s.raw(t))
	}
	p.WaitLine(t, `cannot accept.*too many open files`, 20*time.Second)
	for _, conn := range conns {
		conn.Close()
	}
	testkit.Eventually(t, 30*time.Second, "an answer", func() bool {
		resp := ask(s.raw(t))
		return resp != nil && resp.StatusCode == 200
	})
	if n := strings.Count(p.Output(), "cannot accept"); n != 1 {
		t.Errorf("%d lines for one outage", n)
	}
}
