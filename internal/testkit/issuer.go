package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Issuer is an OAuth server: it signs tokens, serves its public keys, and gives tokens to clients
// that show their secret (RFC 6749 §4.4).
type Issuer struct {
	// URL is the issuer of its tokens (iss).
	URL string
	// Audience is that of its tokens (aud).
	Audience string
	// Secrets are the clients' secrets by their names; the subject (sub) of the token of a client
	// is its name.
	Secrets map[string]string

	signer  jose.Signer
	keys    []byte
	life    atomic.Int64 // of the tokens that clients get
	granted atomic.Int64
}

// The paths of an [Issuer].
const (
	issuerKeys   = "/keys"
	issuerTokens = "/token"
)

// StartIssuer starts a server, which ends with t. secrets must not change from then on.
func StartIssuer(t testing.TB, secrets map[string]string) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{Audience: "kafka", Secrets: secrets}
	i.SetLife(time.Hour)
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "one")
	if i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options); err != nil {
		t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}}
	if i.keys, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+issuerKeys, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(i.keys)
	})
	mux.HandleFunc("POST "+issuerTokens, i.grant)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// KeysURL is where the public keys are, TokenURL where clients get tokens.
func (i *Issuer) KeysURL() string { return i.URL + issuerKeys }

// TokenURL is the token endpoint.
func (i *Issuer) TokenURL() string { return i.URL + issuerTokens }

// SetLife sets how long the tokens are valid that clients get from now on; an hour by default.
func (i *Issuer) SetLife(life time.Duration) { i.life.Store(int64(life)) }

// Granted returns how many tokens clients have got.
func (i *Issuer) Granted() int64 { return i.granted.Load() }

// Token returns a token for a subject, which ends after the given time. more are further claims.
func (i *Issuer) Token(subject string, life time.Duration, more map[string]any) (string, error) {
	now := time.Now()
	claims := jwt.Claims{
		Issuer: i.URL, Subject: subject, Audience: jwt.Audience{i.Audience},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(life)),
	}
	return jwt.Signed(i.signer).Claims(claims).Claims(more).Serialize()
}

// grant handles the request of a client for a token.
func (i *Issuer) grant(w http.ResponseWriter, r *http.Request) {
	name, secret, ok := r.BasicAuth()
	if err := r.ParseForm(); err != nil || !ok || secret == "" || i.Secrets[name] != secret || r.PostForm.Get("grant_type") != "client_credentials" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		return
	}
	life := time.Duration(i.life.Load())
	token, err := i.Token(name, life, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	i.granted.Add(1)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(life / time.Second)})
}

// properties have a broker's listener CLIENTS accept the tokens, beside what it accepts otherwise.
func (i *Issuer) properties() map[string]string {
	const listener, oauth = "listener.name.clients.", "org.apache.kafka.common.security.oauthbearer.OAuthBearer"
	return map[string]string{
		listener + "sasl.enabled.mechanisms":                         "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		listener + "oauthbearer.sasl.jaas.config":                    oauth + "LoginModule required;",
		listener + "oauthbearer.sasl.server.callback.handler.class":  oauth + "ValidatorCallbackHandler",
		listener + "oauthbearer.sasl.oauthbearer.jwks.endpoint.url":  i.KeysURL(),
		listener + "oauthbearer.sasl.oauthbearer.expected.audience":  i.Audience,
		listener + "oauthbearer.sasl.oauthbearer.expected.issuer":    i.URL,
		listener + "oauthbearer.sasl.oauthbearer.scope.claim.name":   "scope",
		listener + "oauthbearer.sasl.oauthbearer.clock.skew.seconds": "5",
	}
}
