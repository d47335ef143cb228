package kafka

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A connection to the token endpoint that leads nowhere any more, as after a firewall has forgotten
// it, is not used for the next token.
func TestTokenOverNewConnection(t *testing.T) {
	var first atomic.Pointer[string] // address of the connection
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !first.CompareAndSwap(nil, &r.RemoteAddr) && *first.Load() == r.RemoteAddr {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"t","token_type":"Bearer","expires_in":1}`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	o := OAuth{Endpoint: server.URL, ClientID: "node", ClientSecret: "s", TLS: server.Client().Transport.(*http.Transport).TLSClientConfig}
	login := o.Mechanism()
	for range 2 {
		if _, _, err := login.Authenticate(t.Context(), "127.0.0.1:9092"); err != nil {
			t.Fatal(err)
		}
	}
}
