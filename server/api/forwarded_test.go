package api_test

import (
	"net/netip"
	"testing"

	"millrace/internal/testkit"
	"millrace/server"
)

// baseURI has the node make a base_uri and compares it.
func (s *stack) baseURI(t *testing.T, want string, headers ...string) {
	t.Helper()
	headers = append(headers, plainV2)
	got := s.do(t, "POST", "/consumers/"+testkit.Group(t), ``, headers...)
	if got.status != 200 {
		t.Errorf("%q: got %d %s", headers, got.status, got.body)
	}
	got.want(t, 200, `"base_uri":"`+want+`/consumers/`)
}

func TestBaseURIOfATrustedProxy(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	const host, https = "X-Forwarded-Host: front.example", "X-Forwarded-Proto: https"
	s.baseURI(t, "https://front.example:8443", https, host, "X-Forwarded-Port: 8443")
	s.baseURI(t, "https://front.example:8443", https, host, "X-Forwarded-Port: 8443, 8082")
	s.baseURI(t, "https://front.example", https, host, "X-Forwarded-Port: 443")
	s.baseURI(t, "http://front.example:443", host, "X-Forwarded-Port: 443")
	s.baseURI(t, "http://front.example", host, "X-Forwarded-Port: 80")
	s.baseURI(t, "https://front.example:1", https, host+":1", "X-Forwarded-Port: 8443")
	s.baseURI(t, "https://"+s.addr, https, "X-Forwarded-Port: 8443") // the Host has one
	for _, port := range []string{"0", "65536", "-1", "8443@evil", "http", "99999999999999999999"} {
		s.baseURI(t, "https://front.example", https, host, "X-Forwarded-Port: "+port)
	}

	s.baseURI(t, "https://front.example:8443", `Forwarded: for=192.0.2.1;proto=https;host="front.example:8443", for=10.0.0.1;host=inner`)
	s.baseURI(t, "https://front.example", `Forwarded: For="[2001:db8::1]:1, x";Proto=HTTPS;Host=front.example`)
	s.baseURI(t, "http://[2001:db8::1]:80", `Forwarded: host="[2001:db8::1]:80"`)
	s.baseURI(t, "https://"+s.addr, `Forwarded: proto=https`)
	// One or the other: what a proxy does not know it hands on as its client says.
	s.baseURI(t, "https://"+s.addr, https, `Forwarded: host=evil.example`)
	for _, wrong := range []string{
		"host=evil.example:80", `host="evil.example`, "host=evil.example;host=front.example", `host="user@evil.example"`,
		`host="evil.example/path"`, "proto=javascript", "nonsense", ";;;", ",", `host="evil.example:65536"`, `host="a b"`,
	} {
		s.baseURI(t, s.base, "Forwarded: "+wrong)
	}
}

// Forwarding headers of a client that is no trusted proxy are ignored.
func TestBaseURIOfAnyone(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	for name, trusted := range map[string][]netip.Prefix{"nobody": nil, "another network": server.PrivatePrefixes()} {
		t.Run(name, func(t *testing.T) {
			s := start(t, b, func(o *stackOptions) { o.server.ForwardedTrusted = trusted })
			s.baseURI(t, s.base, "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 1")
			s.baseURI(t, s.base, `Forwarded: proto=https;host="evil.example"`)
		})
	}
}
