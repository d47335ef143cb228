package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/internal/testkit"
	"millrace/server"
)

// on sends GET /topics on a connection with header lines, and returns the response with its text.
func on(t testing.TB, conn net.Conn, headers ...string) (resp *http.Response, text string) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET /topics HTTP/1.1\r\nHost: h\r\n%s\r\n", strings.Join(append(headers, ""), "\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// A caller has as many connections as its quota says. One more is told so and closed, and takes
// none away from the caller itself, nor from others; a reload of the files forgets none.
func TestQuotasOfConnections(t *testing.T) {
	t.Parallel()
	rules := testRules + `
  - {who: [anonymous, key:edge, key:dash], allow: [describe], topics: ["*"]}
quotas:
  - {name: of-edge, who: [key:edge], connections: 2}
  - {name: of-strangers, who: [anonymous], connections: 1}
`
	d := newDoors(t, rules)
	s := start(t, testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a")).Broker, func(o *stackOptions) {
		o.access = d.settings
		o.server.ForwardedNamed = server.LoopbackPrefixes()
	})
	open := func(headers ...string) net.Conn {
		t.Helper()
		conn := s.raw(t)
		if resp, text := on(t, conn, headers...); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
		return conn
	}
	refuse := func(quota string, headers ...string) {
		t.Helper()
		conn := s.raw(t)
		resp, text := on(t, conn, headers...)
		if resp.StatusCode != 429 || !strings.Contains(text, "The quota "+quota) || !resp.Close || resp.Header.Get("Retry-After") != "5" {
			t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, text)
		}
		if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("the connection goes on: %d, %v", n, err)
		}
	}
	first, second := open(d.writeKey), open(d.writeKey)
	for range 50 {
		refuse("of-edge is used up: it allows 2 connections", d.writeKey)
	}
	for _, conn := range []net.Conn{first, second} {
		if resp, text := on(t, conn, d.writeKey); resp.StatusCode != 200 {
			t.Errorf("a connection within the quota: %d %s", resp.StatusCode, text)
		}
	}
	for range 5 {
		open(d.dashKey)
	}
	open()
	refuse("of-strangers")

	// Connections of a proxy that is named, as this machine is, are shared by many callers.
	for range 3 {
		open(d.writeKey, "X-Forwarded-For: 192.0.2.1")
	}

	// A connection is that of its latest caller.
	if resp, text := on(t, first, d.dashKey); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	open(d.writeKey)
	refuse("of-edge", d.writeKey)

	if err := os.WriteFile(d.rules, []byte(strings.Replace(rules, "connections: 2", "connections: 3", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.access.Reload(); err != nil {
		t.Fatal(err)
	}
	open(d.writeKey)
	refuse("of-edge is used up: it allows 3 connections", d.writeKey)

	second.Close()
	testkit.Eventually(t, 20*time.Second, "the place of a connection that was closed", func() bool {
		resp, _ := on(t, s.raw(t), d.writeKey)
		return resp.StatusCode == 200
	})
	refused := map[string]uint64{}
	for _, r := range s.access.Refusals() {
		refused[r.Quota+" "+r.What] = r.Times
	}
	if refused["of-edge connections"] < 52 || refused["of-strangers connections"] != 1 {
		t.Errorf("counted %v", refused)
	}
}

// Limits of addresses count the clients behind a proxy that the operator has named, and believe no
// other. An IPv6 client is its network of 64 bits.
func TestLimitsOfAddressesBehindProxies(t *testing.T) {
	t.Parallel()
	rules := testRules + `
  - {who: [anonymous], allow: [describe], topics: ["*"]}
quotas:
  - {name: of-addresses, who: [anonymous], per: address, requests: 0.002, burst: 1000}
  - {name: of-edge, who: [key:edge], connections: 1}
`
	d := newDoors(t, rules)
	b := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a")).Broker
	forwarded := func(s *stack, status int, header string) {
		t.Helper()
		if r := s.do(t, "GET", "/topics", "", header); r.status != status {
			t.Errorf("%s: %d %s", header, r.status, r.body)
		}
	}
	named := start(t, b, func(o *stackOptions) {
		o.access = d.settings
		o.server.ForwardedNamed = server.LoopbackPrefixes()
	})
	for _, clients := range [][3]string{
		{"192.0.2.1", "198.51.100.7, 192.0.2.1", "192.0.2.1, 127.0.0.9"},
		{"192.0.2.2", "192.0.2.2", "::ffff:192.0.2.2"},
		{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1"},
		{"2001:db8:0:1::1", "2001:db8:0:1::1", "2001:db8:0:1::1"},
		{"nonsense", "192.0.2.3, 192.0.2.3:80", ""}, // of the proxy itself
	} {
		forwarded(named, 200, "X-Forwarded-For: "+clients[0])
		forwarded(named, 200, "X-Forwarded-For: "+clients[1])
		forwarded(named, 429, "X-Forwarded-For: "+clients[2])
	}

	unnamed := start(t, b, func(o *stackOptions) { o.access = d.settings })
	forwarded(unnamed, 200, "X-Forwarded-For: 192.0.2.1")
	forwarded(unnamed, 200, "X-Forwarded-For: 192.0.2.2")
	forwarded(unnamed, 429, "X-Forwarded-For: 192.0.2.3")
	on(t, unnamed.raw(t), d.writeKey)
	if resp, text := on(t, unnamed.raw(t), d.writeKey, "X-Forwarded-For: 192.0.2.4"); resp.StatusCode != 429 {
		t.Errorf("a second connection: %d %s", resp.StatusCode, text)
	}
}
