package api_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/auth"
	"millrace/internal/testkit"
	"millrace/server"
)

// A stream that another node serves ends with the token that opened it: where its client is, and at
// the node that serves it, which is told by the other and never sees the token.
func TestForwardedStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	b := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a")).Broker
	d := newDoors(t, testRules+"  - {who: [jwt:carol], allow: [consume], topics: [telemetry-a], groups: [g]}\n")
	d.settings.Tokens = auth.TokenSettings{Keys: i.URL, Issuer: "https://issuer.example", Audience: []string{"millrace"}, NameClaim: "sub", Refresh: time.Hour}
	var all []*stack
	for _, id := range []string{"a", "b"} {
		all = append(all, start(t, b, asNode("node-"+id), func(o *stackOptions) { o.access = d.settings }))
	}
	token := func(life time.Duration) string {
		return "Authorization: Bearer " + i.token(t, func(claims map[string]any, _ *jose.SignerOptions) { claims["exp"] = time.Now().Add(life).Unix() })
	}
	long := token(time.Hour)
	const instance = "/consumers/g/instances/i"
	all[0].do(t, "POST", "/consumers/g", `{"name":"i","format":"json"}`, long, plainV2).want(t, 200, "instance_id")
	testkit.Eventually(t, 20*time.Second, "the other node to know the instance", func() bool {
		return all[1].do(t, "POST", instance+"/subscription", `{"topics":["telemetry-a"]}`, long, plainV2).status == 204
	})
	serving := func(s *stack) int64 { return s.server.Metrics().Streams.Load() }
	all[1].follow(t, instance+"/stream", token(3*time.Second)).wantEnd("a stream by another node, whose token has ended")
	testkit.Eventually(t, 20*time.Second, "the stream to end at its node", func() bool { return serving(all[0]) == 0 })

	// A node that says when the token ends, and never ends the stream itself.
	caller := url.Values{"principal": {"jwt:carol"}, "end": {strconv.FormatInt(time.Now().Add(2*time.Second).UnixMilli(), 10)}}
	resp, err := client.Transport.RoundTrip(all[0].asNode(t, "GET", instance+"/stream", "", "X-Millrace-Caller: "+caller.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	defer time.AfterFunc(20*time.Second, func() { resp.Body.Close() }).Stop()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("a stream that a node has forwarded goes on after the end of its token: %v", err)
	}
}

// A connection does not outlive the certificate of its client, whether or not certificates say who
// callers are: a stream ends with it, and a further request is refused and closes the connection.
func TestConnectionsEndWithTheirCertificate(t *testing.T) {
	t.Parallel()
	for _, identities := range []bool{true, false} {
		t.Run("identities="+strconv.FormatBool(identities), func(t *testing.T) {
			t.Parallel()
			connectionEndsWithItsCertificate(t, identities)
		})
	}
}

func connectionEndsWithItsCertificate(t *testing.T, identities bool) {
	a := newAuthority(t)
	d := newDoors(t, "rules:\n  - {who: ['cert:*'], allow: [all]}\n")
	s := start(t, testkit.Fake(t, kfake.SeedTopics(1, "t")).Broker, func(o *stackOptions) {
		if d.settings.Certificates = identities; identities {
			o.access = d.settings
		}
		o.server.Listeners = []server.Listener{{Addr: "127.0.0.1:0", TLS: &tls.Config{
			Certificates: []tls.Certificate{a.certificate(t)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool,
		}}}
	})
	ends := time.Now().Add(4 * time.Second).Truncate(time.Second) // as a certificate has it
	leaf, key := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(5), Subject: pkix.Name{CommonName: "edge"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	own := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	open := func(request string) (*tls.Conn, *bufio.Reader, *http.Response) {
		t.Helper()
		conn, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{own}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", request)
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		return conn, in, resp
	}
	_, _, stream := open("/topics/t/stream")
	conn, in, first := open("/topics")
	if _, err := io.Copy(io.Discard, first.Body); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, stream.Body); err != nil || time.Now().Before(ends) {
		t.Errorf("the stream ended %v before its certificate, with %v", time.Until(ends), err)
	}
	fmt.Fprint(conn, "GET /topics HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 401 || !resp.Close || !strings.Contains(string(text), "certificate of the client has ended") {
		t.Errorf("after the end: %d %s, %v", resp.StatusCode, text, err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
}
