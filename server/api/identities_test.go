package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/auth"
	"millrace/internal/testkit"
	"millrace/server"
)

// A client certificate is an identity, by the name that the rules of mapping make of its subject.
func TestCertificatesAreIdentities(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d := newDoors(t, "rules:\n  - {who: ['cert:edge-*'], allow: [produce], topics: [t]}\n")
	mapping, err := auth.ParseMapping(`RULE:^CN=([^,]*),OU=devices$/$1/L`)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, testkit.Fake(t, kfake.SeedTopics(1, "t")).Broker, func(o *stackOptions) {
		d.settings.Certificates, d.settings.Mapping = true, mapping
		o.access = d.settings
		o.server.Listeners = []server.Listener{{Addr: "127.0.0.1:0", TLS: &tls.Config{
			Certificates: []tls.Certificate{a.certificate(t)}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: a.pool,
		}}}
	})
	produce := func(header string, own ...tls.Certificate) int {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool, Certificates: own}}}
		defer client.CloseIdleConnections()
		req, err := http.NewRequest("POST", "https://"+s.addr+"/topics/t", strings.NewReader(`{"records":[{"value":1}]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
		if name, value, ok := strings.Cut(header, ": "); ok {
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	of := func(name, unit string) tls.Certificate {
		leaf, key := a.sign(t, &x509.Certificate{
			SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: name, OrganizationalUnit: []string{unit}},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	}
	for _, c := range []struct {
		what   string
		status int
		got    int
	}{
		{"a device", 200, produce("", of("Edge-7", "devices"))},
		{"another name", 403, produce("", of("other", "devices"))},
		{"a subject that no rule of mapping fits", 401, produce("", of("edge-7", "people"))},
		{"no certificate", 401, produce("")},
		{"a wrong key beside a good certificate", 401, produce("X-Api-Key: mrk_x", of("edge-7", "devices"))},
	} {
		if c.got != c.status {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.status)
		}
	}
}

// issuer signs tokens, and serves its public keys.
type issuer struct {
	*httptest.Server
	keys    atomic.Pointer[jose.JSONWebKeySet]
	asked   atomic.Int32
	signing *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	i.rotate(t, "one")
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		_ = json.NewEncoder(w).Encode(i.keys.Load())
	}))
	t.Cleanup(i.Close)
	return i
}

// rotate has the issuer sign with a new key from now on.
func (i *issuer) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.signing = key
	i.keys.Store(&jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: id, Algorithm: "ES256", Use: "sig"}}})
}

// token signs claims; change may alter them and the header.
func (i *issuer) token(t *testing.T, change func(claims map[string]any, o *jose.SignerOptions)) string {
	t.Helper()
	claims := map[string]any{
		"iss": "https://issuer.example", "aud": []string{"millrace", "other"}, "sub": "carol",
		"exp": time.Now().Add(time.Hour).Unix(), "realm_access": map[string]any{"roles": []string{"writers"}},
	}
	o := &jose.SignerOptions{}
	o.WithHeader("kid", i.keys.Load().Keys[0].KeyID)
	if change != nil {
		change(claims, o)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.signing}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Signed tokens are identities with roles; what is not signed by the issuer, for this service, now,
// is refused, and no look-up goes where a token says.
func TestTokensAreIdentities(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	asked := atomic.Int32{}
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(trap.Close)
	d := newDoors(t, testRules)
	s := start(t, testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a", "other")).Broker, func(o *stackOptions) {
		d.settings.Tokens = auth.TokenSettings{
			Keys: i.URL, Issuer: "https://issuer.example", Audience: []string{"millrace"}, Skew: 10 * time.Second, Refresh: time.Hour,
			NameClaim: "sub", RolesClaim: "realm_access.roles",
		}
		o.access = d.settings
	})
	produce := func(topic, token string) reply {
		return s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2, "Authorization: Bearer "+token)
	}
	good := i.token(t, nil)
	for range 3 {
		produce("telemetry-a", good).want(t, 200, "offsets")
	}
	produce("other", good).want(t, 403, "topic other")
	claim := func(name string, value any) string {
		return i.token(t, func(claims map[string]any, _ *jose.SignerOptions) { claims[name] = value })
	}
	parts := strings.Split(good, ".")
	none := "eyJhbGciOiJub25lIn0." + parts[1] + "."
	public, err := x509.MarshalPKIXPublicKey(i.signing.Public())
	if err != nil {
		t.Fatal(err)
	}
	shared, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: public}, nil)
	if err != nil {
		t.Fatal(err)
	}
	confused, err := jwt.Signed(shared).Claims(map[string]any{"sub": "carol"}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{
		"another issuer":          claim("iss", "https://evil.example"),
		"another audience":        claim("aud", "other"),
		"over":                    claim("exp", time.Now().Add(-time.Minute).Unix()),
		"without an end":          claim("exp", nil),
		"not yet valid":           claim("nbf", time.Now().Add(time.Minute).Unix()),
		"no name":                 claim("sub", ""),
		"unsigned":                none,
		"a shared secret":         confused,
		"no token":                "x.y.z",
		"its end cut":             good[:len(good)-3],
		"claims of another token": parts[0] + "." + strings.Split(claim("sub", "root"), ".")[1] + "." + parts[2],
		"keys from elsewhere": i.token(t, func(_ map[string]any, o *jose.SignerOptions) {
			o.WithHeader("jku", trap.URL).WithHeader("x5u", trap.URL).WithHeader("kid", "unknown")
		}),
	} {
		if r := produce("telemetry-a", token); r.status != 401 || !strings.Contains(r.body, "not valid") || len(r.body) > 100 {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	produce("telemetry-a", claim("exp", time.Now().Add(-time.Second).Unix())).want(t, 200, "offsets") // within the skew
	if n := asked.Load(); n != 0 {
		t.Errorf("%d look-ups went where a token said", n)
	}
	if n := i.asked.Load(); n > 3 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// When the issuer rotates its keys, a token by the new one is known after one look-up, and one by
// a key that is gone no longer is.
func TestKeysOfTokensRotate(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	d := newDoors(t, testRules)
	s := start(t, testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a")).Broker, func(o *stackOptions) {
		d.settings.Tokens = auth.TokenSettings{
			Keys: i.URL, Issuer: "https://issuer.example", Audience: []string{"millrace"}, Refresh: time.Millisecond,
			NameClaim: "sub", RolesClaim: "realm_access.roles",
		}
		o.access = d.settings
	})
	produce := func(token string) reply {
		return s.do(t, "POST", "/topics/telemetry-a", `{"records":[{"value":1}]}`, jsonV2, "Authorization: Bearer "+token)
	}
	produce(i.token(t, nil)).want(t, 200, "offsets")
	unused := i.token(t, func(claims map[string]any, _ *jose.SignerOptions) { claims["sub"] = "dave" })
	i.rotate(t, "two")
	produce(i.token(t, nil)).want(t, 200, "offsets")
	produce(unused).want(t, 401, "not valid")
}

// Between nodes a client keeps its identity: the node that has an instance knows whose request is
// forwarded, and a client cannot claim to be another one. After the death of the node the instance
// is still its maker's.
func TestCallersGoAlongBetweenNodes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a")).Broker
	d := newDoors(t, testRules)
	var all []*stack
	for _, id := range []string{"a", "b"} {
		all = append(all, start(t, b, asNode("node-"+id), func(o *stackOptions) { o.access = d.settings }))
	}
	alice, bob := basic("alice", "wonder"), basic("bob", "password")
	all[0].do(t, "POST", "/consumers/g", `{"name":"i","format":"json"}`, alice, plainV2).want(t, 200, "instance_id")
	const subscription = "/consumers/g/instances/i/subscription"
	testkit.Eventually(t, 20*time.Second, "the other node to know the instance", func() bool {
		return all[1].do(t, "POST", subscription, `{"topics":["telemetry-a"]}`, alice, plainV2).status == 204
	})
	all[1].do(t, "GET", subscription, "", alice).want(t, 200, "telemetry-a")
	for _, s := range all {
		s.do(t, "GET", subscription, "", bob).want(t, 404, "40403")
		s.do(t, "GET", subscription, "", d.dashKey).want(t, 403, "group g")
		s.do(t, "GET", subscription, "", "X-Millrace-Caller: "+url.Values{"principal": {"user:alice"}}.Encode()).want(t, 401, "40101")
		s.do(t, "GET", subscription, "", bob, "X-Millrace-Caller: "+url.Values{"principal": {"user:alice"}}.Encode()).want(t, 404, "40403")
	}
	all[0].drain(t)
	testkit.Eventually(t, 30*time.Second, "the other node to adopt the instance", func() bool {
		return all[1].do(t, "GET", subscription, "", alice).status == 200
	})
	all[1].do(t, "GET", subscription, "", bob).want(t, 404, "40403")
}

// A caller that has used up a quota is told which, and when to come again; others notice nothing.
func TestQuotas(t *testing.T) {
	t.Parallel()
	rules := testRules + `
quotas:
  - {name: edge-requests, who: [key:edge], requests: 0.001, burst: 3000}
  - {name: root-records, who: [key:root], records: 0.01, burst: 1000, paths: ["/topics/{topic}"]}
  - {name: instances, who: [user:alice], consumers: 1}
`
	d := newDoors(t, rules)
	s := start(t, testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a")).Broker, func(o *stackOptions) { o.access = d.settings })
	produce := func(who, records string) reply {
		return s.do(t, "POST", "/topics/telemetry-a", `{"records":[`+records+`]}`, jsonV2, who)
	}
	for left := 2; left >= 0; left-- {
		r := produce(d.writeKey, `{"value":1}`).want(t, 200, "offsets")
		if got := r.header.Get("RateLimit-Policy"); got != `"edge-requests";q=3;w=3000` {
			t.Errorf("RateLimit-Policy: %s", got)
		}
		if got := r.header.Get("RateLimit"); !strings.HasPrefix(got, `"edge-requests";r=`+string(rune('0'+left))+";t=") {
			t.Errorf("RateLimit: %s, with %d left", got, left)
		}
	}
	r := produce(d.writeKey, `{"value":1}`).want(t, 429, "edge-requests is used up: it allows 3 requests in 50m0s")
	if after := r.header.Get("Retry-After"); len(after) < 3 || len(after) > 4 {
		t.Errorf("Retry-After: %s", after)
	}
	// The records of a request count once they are known, so the request after it is refused.
	produce(d.rootKey, strings.Repeat(`{"value":1},`, 19)+`{"value":1}`).want(t, 200, "offsets")
	produce(d.rootKey, `{"value":1}`).want(t, 429, "root-records is used up: it allows 10 records")
	s.do(t, "GET", "/topics", "", d.rootKey).want(t, 200, "telemetry-a") // the quota is for another path
	alice := basic("alice", "wonder")
	s.do(t, "POST", "/consumers/g", `{"name":"1"}`, alice, plainV2).want(t, 200, "")
	s.do(t, "POST", "/consumers/g", `{"name":"2"}`, alice, plainV2).want(t, 429, "instances is used up")
	s.do(t, "POST", "/consumers/g", `{"name":"2"}`, basic("bob", "password"), plainV2).want(t, 200, "")
	s.do(t, "DELETE", "/consumers/g/instances/1", "", alice).want(t, 204, "")
	s.do(t, "POST", "/consumers/g", `{"name":"3"}`, alice, plainV2).want(t, 200, "")
}

// Limits hold where nobody is asked who they are, and credentials mean nothing there.
func TestLimitsWithoutIdentities(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
		o.access = auth.Settings{Limits: []auth.Limit{{Name: "dos.filter", Requests: 3, PerAddress: true}}}
	})
	for range 3 {
		s.do(t, "GET", "/brokers", "", "Authorization: Basic eA==", "X-Api-Key: x").want(t, 200, "brokers")
	}
	testkit.Eventually(t, 20*time.Second, "a request over the limit", func() bool { // three a second may come again
		r := s.do(t, "GET", "/brokers", "")
		return r.status == 429 && r.header.Get("Retry-After") == "1" && strings.Contains(r.body, "quota dos.filter is used up")
	})
	s.do(t, "GET", "/healthz", "").want(t, 200, "")
}

// A body of somebody whose credentials are wrong, or missing, is refused before it has arrived.
func TestBodiesOfStrangersAreNotRead(t *testing.T) {
	t.Parallel()
	d := newDoors(t, testRules)
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.access = d.settings })
	for _, header := range []string{"", "X-Api-Key: mrk_wrong\r\n", basic("alice", "x") + "\r\n"} {
		conn := s.raw(t)
		text := "POST /topics/t HTTP/1.1\r\nHost: x\r\n" + header + "Content-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: 10000000\r\n\r\n{"
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4096)
		n, err := conn.Read(got) // with nothing of the body sent
		if err != nil || !strings.HasPrefix(string(got[:n]), "HTTP/1.1 401 ") || !strings.Contains(string(got[:n]), "Www-Authenticate: Basic") {
			t.Errorf("%q: %v\n%s", header, err, got[:n])
		}
	}
}
