package api_test

import (
	"testing"

	"millrace/internal/testkit"
)

// Origins may have a *, and a page reads the headers that the settings expose beside those of the
// API.
func TestCORSOfSubdomains(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
		o.server.AllowOrigin, o.server.ExposeHeaders, o.server.AllowCredentials = "https://*.test.com", "X-Millrace-Timeout", true
	})
	for origin, want := range map[string]string{"https://a.test.com": "https://a.test.com", "https://a.b.test.com": "https://a.b.test.com"} {
		r := s.do(t, "GET", "/topics", "", "Origin: "+origin).want(t, 200, "")
		if got := r.header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: Access-Control-Allow-Origin %q", origin, got)
		}
		if got := r.header.Get("Access-Control-Expose-Headers"); got != "ETag, Retry-After, Idempotent-Replayed, Idempotency-Scope, RateLimit, RateLimit-Policy, X-Millrace-Timeout" {
			t.Errorf("Access-Control-Expose-Headers %q", got)
		}
		if got := r.header.Get("Access-Control-Allow-Credentials"); got != "true" {
			t.Errorf("Access-Control-Allow-Credentials %q", got)
		}
	}
	for _, origin := range []string{"https://test.com", "https://a.test.com.evil.example", "http://a.test.com"} {
		s.do(t, "GET", "/topics", "", "Origin: "+origin).want(t, 403, `"error_code":40301`)
	}
}
