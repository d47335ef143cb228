package server

import (
	"strings"
	"testing"
)

// A * in an allowed origin stands for any text, as for Jetty's CrossOriginFilter, but not for what
// would make it the origin of somebody else.
func TestAllowedOrigins(t *testing.T) {
	for _, c := range []struct {
		allowed, origin string
		want            bool
	}{
		{"https://*.test.com", "https://a.test.com", true},
		{"https://*.test.com", "https://a.b.test.com", true},
		{"https://*.TEST.com", "https://a.test.com", true},
		{"https://*.test.com", "https://test.com", false},
		{"https://*.test.com", "http://a.test.com", false},
		{"https://*.test.com", "https://a.test.com:8443", false},
		{"https://*.test.com", "https://a-test.com", false},
		{"https://*.test.com", "https://evil.example/.test.com", false},
		{"https://*.test.com", "https://evil.example:1@a.test.com", false},
		{"https://*.test.com", "https://a.test.com.evil.example", false},
		{"https://*.test.com:*", "https://a.test.com:8443", true},
		{"http://localhost:*", "http://localhost:3000", true},
		{"http://localhost:*", "http://localhost.evil.example", false},
		{"http*://test.com", "https://test.com", true},
		{"http*://test.com", "http://test.com", true},
		{"*.test.com", "https://a.test.com", true},
		{"*.test.com", "https://a.test.com.evil.example", false},
		{"https://test.com", "https://test.com", true},
		{"https://test.com", "https://testxcom", false},
		{"*", "https://anybody.example", true},
	} {
		if got := originPattern(c.allowed).MatchString(c.origin); got != c.want {
			t.Errorf("%s allows %s: %v", c.allowed, c.origin, got)
		}
	}
	for text, want := range map[string]bool{
		"*": true, "https://a.example": true, "https://a.example:8443": true, "https://*.a.example": true, "*.a.example": true,
		"http://localhost:*": true, "http*://a.example": true, "null": true, "http://[::1]:80": true, "app://index": true,
		"GET": false, `"https://a.example"`: false, "'*'": false, "https://a.example/": false, "https://a.example/path": false,
		"a.example": false, "https://": false, "https://user@a.example": false,
	} {
		if got := CanBeOrigin(text); got != want {
			t.Errorf("%s can be an origin: %v", text, got)
		}
	}
}

// While requests are traced, pages may send the headers that continue a trace.
func TestCORSOfTracedRequests(t *testing.T) {
	for traced, want := range map[bool]bool{true: true, false: false} {
		headers := newCORS(Settings{AllowOrigin: "*"}, traced).headers
		if got := strings.Contains(headers, "Traceparent, Tracestate"); got != want {
			t.Errorf("traced %v: %s", traced, headers)
		}
	}
}
