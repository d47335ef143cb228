package api_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"millrace/cluster"
	"millrace/internal/kafka"
	"millrace/server/peer"
)

// stranger is what the requests of [stack.asNode] are proven with: as by another
// node that knows the secret.
var stranger = sync.OnceValue(func() *peer.Prover {
	node, err := cluster.New(kafka.Settings{Brokers: []string{"127.0.0.1:1"}}, cluster.Settings{ID: "stranger"})
	if err != nil {
		panic(err)
	}
	node.Close(context.Background(), false)
	return peer.NewProver(node, clusterSecret)
})

// prove adds to a request to the node the proof of another one. Each call makes a proof
// of its own.
func prove(from *peer.Prover, req *http.Request, body string, to *cluster.Node) {
	req.Header.Set("Test-Mac", hex.EncodeToString(from.Prove(req, []byte(body), cluster.Place{Node: to.ID(), Run: to.Run(), Beat: to.Beat()})))
}

// verifies reports whether the response to the request is one of its node.
func verifies(req *http.Request, resp *http.Response) bool {
	mac, err := hex.DecodeString(req.Header.Get("Test-Mac"))
	return err == nil && stranger().VerifyResponse(resp, mac) == nil
}

// asNode is a request as another node sends it.
func (s *stack) asNode(t testing.TB, method, path, body string, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range append(headers, "X-Millrace-Method: "+method) {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	prove(stranger(), req, body, s.node)
	return req
}

// doAsNode sends such a request. The response must be proven, too.
func (s *stack) doAsNode(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	req := s.asNode(t, method, path, body, headers...)
	r, resp := send(t, req)
	if !verifies(req, resp) {
		t.Errorf("nothing proves that the response %d to %s %s is of the node: %v", r.status, method, path, r.header)
	}
	return r
}

// send sends a request as it is.
func send(t testing.TB, req *http.Request) (reply, *http.Response) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}, resp
}
