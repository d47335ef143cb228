package api_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/internal/testkit"
	"millrace/server"
	"millrace/server/ops"
)

// page is what a browser sends along for a page that makes a request.
type page []string

var (
	otherSite    = page{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}
	otherSameTLD = page{"Origin: https://www.host.example", "Sec-Fetch-Site: same-site"}
	oldBrowser   = page{"Origin: https://evil.example"}
	sandbox      = page{"Origin: null"}
	noOrigin     = page{"Sec-Fetch-Site: cross-site"} // as an image or a link
)

// A browser sends these requests from any page, without asking first.
func TestOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	topic := testkit.Topic(t)
	for _, from := range []page{otherSite, otherSameTLD, oldBrowser, sandbox, noOrigin} {
		for _, r := range []struct{ method, path, body string }{
			{"POST", "/consumers/g", ""},
			{"POST", "/topics/" + topic, `{"records":[{"value":1}]}`},
			{"PUT", "/topics/" + topic, ""},
			{"DELETE", "/consumers/g/instances/i", ""},
			{"PATCH", "/nothing", ""},
		} {
			got := s.do(t, r.method, r.path, r.body, append(page{jsonV2}, from...)...)
			got.want(t, 403, `"error_code":40301`).want(t, 403, "access.control.allow.origin")
		}
		s.do(t, "GET", "/topics", "", from...).want(t, 200, "[")
	}
	if n := s.consumers.Count(); n != 0 {
		t.Errorf("there are %d consumer instances", n)
	}
	s.do(t, "GET", "/topics/"+topic, "").want(t, 404, "")
}

// A read of an instance moves its positions, though it is a GET.
func TestOtherSitesTakeNoRecords(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":"S2Fma2E="}]}`, binaryV2).want(t, 200, "offset")
	i := s.consumer(t, `{"format":"binary","auto.offset.reset":"earliest"}`)
	s.do(t, "POST", i+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
	for _, method := range []string{"GET", "HEAD"} {
		for _, from := range []page{otherSite, noOrigin, oldBrowser} {
			s.do(t, method, i+"/records", "", from...).want(t, 403, "")
			s.do(t, method, i+"/stream", "", from...).want(t, 403, "")
			s.do(t, method, i+"/topics/"+topic, "", from...).want(t, 403, "")
		}
	}
	s.do(t, "GET", i+"/records", "", "Sec-Fetch-Site: none", "Accept: application/vnd.kafka.binary.v2+json").want(t, 200, "S2Fma2E=")
}

func TestOwnPagesAndOtherProgramsChangeWhatTheyLike(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	for n, from := range []page{
		{},
		{"Sec-Fetch-Site: same-origin", "Origin: " + s.base},
		{"Sec-Fetch-Site: same-origin", "Origin: https://front.example"}, // a proxy has changed the Host
		{"Sec-Fetch-Site: none"},
		{"Origin: " + s.base},
		{"Origin: https://" + s.addr}, // of an older browser, behind a proxy with TLS
		{"Origin: https://front.example", "X-Forwarded-Host: front.example"},
	} {
		s.do(t, "POST", "/consumers/g", fmt.Sprintf(`{"name":"i%d"}`, n), append(page{plainV2}, from...)...).want(t, 200, "base_uri")
	}
}

func TestForwardedHostOfAnyoneIsNoOrigin(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.server.ForwardedTrusted = server.PrivatePrefixes() })
	s.do(t, "POST", "/consumers/g", "", plainV2, "Origin: https://front.example", "X-Forwarded-Host: front.example").want(t, 403, "")
}

// A request that CORS allows is not refused for coming from another site.
func TestAllowedOriginsChangeWhatTheyMay(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, func(o *stackOptions) {
		o.server.AllowOrigin, o.server.AllowMethods = "https://app.example", "GET, POST"
	})
	allowed := page{plainV2, "Origin: https://app.example", "Sec-Fetch-Site: cross-site"}
	instance := s.do(t, "POST", "/consumers/g", `{"name":"i"}`, allowed...).want(t, 200, "base_uri")
	if got := instance.header.Get("Access-Control-Allow-Origin"); got != "https://app.example" {
		t.Errorf("Access-Control-Allow-Origin is %q", got)
	}
	const i = "/consumers/g/instances/i"
	s.do(t, "GET", i+"/subscription", "", allowed...).want(t, 200, "topics")
	s.do(t, "DELETE", i, "", allowed...).want(t, 403, "") // not an allowed method
	for _, from := range []page{otherSite, oldBrowser, sandbox, noOrigin} {
		s.do(t, "POST", i+"/subscription", `{"topics":["t"]}`, append(page{plainV2}, from...)...).want(t, 403, "")
		s.do(t, "GET", i+"/subscription", "", from...).want(t, 403, "")
	}
	s.do(t, "DELETE", i, "").want(t, 204, "")

	open := start(t, b, func(o *stackOptions) { o.server.AllowOrigin = "*" })
	for n, from := range []page{otherSite, oldBrowser, sandbox, noOrigin} {
		open.do(t, "POST", "/consumers/g", fmt.Sprintf(`{"name":"i%d"}`, n), append(page{plainV2}, from...)...).want(t, 200, "base_uri")
	}
}

// Where CORS lets pages of others use the API they still do not run the node.
func TestOtherSitesDoNotRunTheNode(t *testing.T) {
	t.Parallel()
	held := &settings{values: map[string]string{"a": "1"}}
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
		o.adminOn, o.server.AllowOrigin = true, "*"
		o.admin = ops.Config{Settings: held.show, Change: held.change}
	})
	for _, from := range []page{otherSite, otherSameTLD, oldBrowser, sandbox} {
		s.do(t, "PUT", "/admin/config", `{"a":2}`, from...).want(t, 403, "other origins")
		s.do(t, "GET", "/admin/config", "", from...).want(t, 403, "other origins")
	}
	s.do(t, "PUT", "/admin/config", `{"a":2}`, noOrigin...).want(t, 403, "other origins")
	if got := s.do(t, "GET", "/admin/config", "").body; !strings.Contains(got, `"value":"1"`) {
		t.Errorf("settings are %s", got)
	}
}
