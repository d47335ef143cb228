package main

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// The login of a caller goes to another node by TLS only: where the node that has an instance is
// reached without, the request is refused, and nothing of it is sent there.
func TestLoginsGoToNodesByTLSOnly(t *testing.T) {
	t.Parallel()
	k := fakeTwo(t)
	authority, err := testkit.NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var asked, shown atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			shown.Add(1)
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(canary.Close)
	service := []string{"cluster.enable=true", "cluster.secret=sixteen letters.", "cluster.heartbeat.interval.ms=1000", "cluster.lease.ms=5000"}
	// A node with other settings, as while they are being changed node by node.
	_, plain := k.start(t, "node", append(service, "id=plain", "cluster.advertised.url="+canary.URL)...)
	args := []string{
		"serve", "--set=listeners=https://127.0.0.1:0", "--set=host.name=127.0.0.1", "--set=id=secure",
		"--set=ssl.keystore.type=PEM", "--set=ssl.keystore.location=" + authority.KeyFile,
		"--set=ssl.truststore.type=PEM", "--set=ssl.truststore.location=" + authority.File, "--set=authentication.kafka.passwords=SCRAM-SHA-512",
	}
	for _, line := range append(k.properties("node"), service...) {
		args = append(args, "--set="+line)
	}
	p := testkit.StartMillrace(t, args...)
	secure := p.WaitLine(t, `msg=serving addresses=\[(https://[^\]]+)\]`, 20*time.Second)[1]
	client := trusting(t, authority)

	group := "/consumers/" + k.groups["alice"]
	asker{t: t, url: plain}.want("POST", group, `{"name":"i","format":"json"}`, 200, "")
	alice := as(t, secure, "alice", passwords["alice"])
	alice.client = client
	testkit.Eventually(t, 20*time.Second, "the refusal", func() bool {
		status, text := alice.ask("GET", group+"/instances/i/assignments", "")
		if status != 422 && status != 404 && status != 503 { // until the other node's instance is known
			t.Fatalf("%d %s", status, text)
		}
		return status == 422
	})
	alice.want("GET", group+"/instances/i/assignments", "", 422, "only by https://")
	alice.want("POST", group+"/instances/i/subscription", `{"topics":["`+k.topics["alice"]+`"]}`, 422, "only by https://")
	if shown.Load() > 0 {
		t.Errorf("%d of %d requests without TLS have shown a login", shown.Load(), asked.Load())
	}
}

// trusting returns a client that trusts the authority.
func trusting(t *testing.T, a *testkit.Authority) *http.Client {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Pool}}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}
