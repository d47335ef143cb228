package api_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"millrace/auth"
	"millrace/internal/testkit"
)

// canary is an address that must not be connected to.
type canary struct {
	addr  string
	asked atomic.Int64
}

func newCanary(t testing.TB) *canary {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &canary{addr: l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.asked.Add(1)
			conn.Close()
		}
	}()
	return c
}

// No look-up goes where a client says: not by a schema and what it refers to, a token, an event, a
// name, or a header.
func TestNoLookUpGoesWhereAClientSays(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	at := "http://" + c.addr + "/x"
	i := newIssuer(t)
	d := newDoors(t, testRules)
	d.settings.Tokens = auth.TokenSettings{Keys: i.URL, Issuer: "https://issuer.example", Audience: []string{"millrace"}, Refresh: time.Hour, NameClaim: "sub"}
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)), func(o *stackOptions) { o.access = d.settings })
	topic := testkit.CreateTopic(t, b, 1)
	produce := "/topics/" + topic
	for format, schemas := range map[string][]string{
		"jsonschema": {
			`{"$ref":"` + at + `"}`, `{"$schema":"` + at + `","type":"object"}`, `{"$id":"` + at + `","$ref":"other.json"}`,
			`{"$dynamicRef":"` + at + `#a"}`, `{"properties":{"p":{"$ref":"//` + c.addr + `/x"}}}`,
		},
		"protobuf": {`syntax = "proto3"; import "` + at + `"; message M { string s = 1; }`},
		"avro":     {`{"type":"record","name":"R","namespace":"` + at + `","fields":[]}`, `"` + at + `"`},
	} {
		media := "Content-Type: application/vnd.kafka." + format + ".v2+json"
		for _, text := range schemas {
			body := fmt.Sprintf(`{"value_schema":%q,"records":[{"value":{}}]}`, text)
			s.do(t, "POST", produce, body, media, d.rootKey)
		}
		for _, id := range []string{`"` + at + `"`, `"` + c.addr + `"`} {
			s.do(t, "POST", produce, `{"value_schema_id":`+id+`,"records":[{"value":{}}]}`, media, d.rootKey)
		}
	}
	for _, name := range []string{"jku", "x5u"} {
		token := i.token(t, func(_ map[string]any, o *jose.SignerOptions) {
			o.WithHeader(jose.HeaderKey(name), at).WithHeader("kid", "unknown")
		})
		s.do(t, "GET", "/topics", "", "Authorization: Bearer "+token).want(t, 401, "")
	}
	s.do(t, "POST", "/ingest/"+topic, `{"specversion":"1.0","id":"1","source":"`+at+`","type":"t","dataschema":"`+at+`","data":{}}`, structured, d.rootKey).want(t, 200, "")
	headers := []string{
		"X-Forwarded-Host: " + c.addr, "X-Forwarded-For: 127.0.0.1", "Forwarded: host=" + c.addr, "Origin: http://" + c.addr, "Referer: " + at,
		"X-Forwarded-Proto: http", "Via: 1.1 " + c.addr, "Location: " + at, "Content-Location: " + at, d.rootKey,
	}
	made := s.do(t, "POST", "/consumers/g", `{"name":"i","format":"json"}`, append(headers, "Content-Type: application/vnd.kafka.v2+json")...)
	made.want(t, 200, "")
	s.do(t, "GET", "/topics", "", headers...)
	s.do(t, "GET", "/topics/"+strings.ReplaceAll(at, "/", "%2F"), "", d.rootKey)
	s.wantNoProxy(t, at, d.rootKey)

	if n := c.asked.Load(); n != 0 {
		t.Errorf("%d look-ups went where a client said", n)
	}
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	testkit.Eventually(t, 10*time.Second, "the canary to count", func() bool { return c.asked.Load() == 1 })
}

// wantNoProxy sends requests to the node as if it were a proxy, to url.
func (s *stack) wantNoProxy(t testing.TB, url, header string) {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/x")
	for _, line := range []string{"GET " + url, "CONNECT " + host} {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\n%s\r\nConnection: close\r\n\r\n", line, host, header)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode < 400 {
			t.Errorf("%s: %s", line, resp.Status)
		}
	}
}
