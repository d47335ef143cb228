package api_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"millrace/internal/testkit"
	"millrace/server/ops"
)

// as makes a request as for another host, and returns its status and body.
func (s *stack) as(t *testing.T, host, method, path string, headers ...string) (int, string) {
	t.Helper()
	body := ""
	if method == "PUT" {
		body = `{"a":"2"}`
	}
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: " + host, fmt.Sprintf("Content-Length: %d", len(body))}, headers...)
	in := s.send(t, strings.Join(lines, "\r\n")+"\r\n\r\n"+body)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 2000) // enough of a stream, too
	n, _ := resp.Body.Read(text)
	return resp.StatusCode, string(text[:n])
}

func withAdmin(o *stackOptions) {
	held := &settings{values: map[string]string{"a": "1"}}
	o.adminOn, o.ui = true, true
	o.admin = ops.Config{Settings: held.show, Change: held.change}
}

// A page whose name was made to resolve to the node's address is of one origin
// with it for its browser: it sends an Origin that equals its Host.
func TestReboundPagesDoNotRunTheNode(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, withAdmin)
	for _, host := range []string{"evil.example", "evil.example:8082", "localhost.evil.example", "127.0.0.1.evil.example", "1.2.3"} {
		for _, r := range [][2]string{{"PUT", "/admin/config"}, {"GET", "/admin/config"}, {"GET", "/ui"}, {"GET", "/ui/events"}, {"GET", "/ui/app.js"}} {
			headers := []string{"Origin: http://" + host, "Sec-Fetch-Site: same-origin"}
			status, body := s.as(t, host, r[0], r[1], headers...)
			if status != 403 || !strings.Contains(body, `"error_code":40301`) || !strings.Contains(body, "hosts.own") {
				t.Errorf("%s %s for %s: %d %s", r[0], r[1], host, status, body)
			}
			// It can send these, too.
			status, body = s.as(t, host, r[0], r[1], append(headers, "X-Forwarded-Host: localhost")...)
			if status != 403 {
				t.Errorf("%s %s for %s, forwarded: %d %s", r[0], r[1], host, status, body)
			}
		}
		if status, body := s.as(t, host, "GET", "/topics"); status != 200 {
			t.Errorf("the API for %s: %d %s", host, status, body)
		}
	}
	if status, body := s.as(t, "localhost", "GET", "/admin/config", "X-Forwarded-Host: evil.example"); status != 403 {
		t.Errorf("forwarded for another host: %d %s", status, body)
	}
	if got := s.do(t, "GET", "/admin/config", "").body; !strings.Contains(got, `"value":"1"`) {
		t.Errorf("settings are %s", got)
	}
}

func TestOwnHosts(t *testing.T) {
	t.Parallel()
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, testkit.Fake(t).Broker, withAdmin, func(o *stackOptions) {
		o.server.HostName, o.server.Advertised = "host.example", "https://front.example:8443/kafka"
		o.server.OwnHosts = []string{"Ops.example", "other.example."}
	})
	for _, host := range []string{
		"localhost", "localhost:1", "LOCALHOST", "localhost.", "127.0.0.1", "10.1.2.3:8082", "[::1]", "[2001:db8::1]:8082",
		"host.example", "front.example", "front.example:8443", "ops.example", "OPS.EXAMPLE:80", "other.example", machine,
	} {
		for _, path := range []string{"/admin/config", "/ui"} {
			if status, body := s.as(t, host, "GET", path); status != 200 {
				t.Errorf("GET %s for %s: %d %s", path, host, status, body)
			}
		}
	}
	if status, body := s.as(t, "ops.example", "PUT", "/admin/config", "Origin: http://ops.example"); status != 200 {
		t.Errorf("PUT for an own host: %d %s", status, body)
	}
}

// Where only own hosts are served a page that was rebound gets nothing at all.
func TestOwnHostsOnly(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.server.OwnHostsOnly = true })
	for _, path := range []string{"/topics", "/healthz", "/metrics", "/openapi.yaml", "/nothing"} {
		if status, body := s.as(t, "evil.example", "GET", path); status != 403 || !strings.Contains(body, `"error_code":40301`) {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
	if status, body := s.as(t, "localhost", "GET", "/topics"); status != 200 {
		t.Errorf("for localhost: %d %s", status, body)
	}
}

// A path that looks like a host to a parser of URLs names none (RFC 9112 §3.2.1): the Host
// header, which a rebound page cannot choose, still counts.
func TestPathsThatBeginWithTwoSlashesNameNoHost(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, withAdmin)
	for _, path := range []string{"//localhost/admin/config?x=://", "//localhost/ui?x=://", "//localhost/ui", "//localhost:1/admin/config#://"} {
		if status, body := s.as(t, "evil.example", "GET", path); status != 400 {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
}
