package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"millrace/codec/json"
)

// issuer signs tokens with keys that it makes.
type issuer struct {
	keys map[string]*ecdsa.PrivateKey
}

// set returns the public keys of the names as a JSON Web Key Set.
func (s *issuer) set(t testing.TB, names ...string) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, name := range names {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.key(t, name).Public(), KeyID: name, Algorithm: "ES256", Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s *issuer) key(t testing.TB, name string) *ecdsa.PrivateKey {
	t.Helper()
	if s.keys[name] == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if s.keys == nil {
			s.keys = map[string]*ecdsa.PrivateKey{}
		}
		s.keys[name] = key
	}
	return s.keys[name]
}

// token returns a token of the subject that the key of that name has signed.
func (s *issuer) token(t testing.TB, key, subject string) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithHeader("kid", key)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key(t, key)}, options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "i", Subject: subject, Audience: jwt.Audience{"a"}, Expiry: jwt.NewNumericDate(time.Now().Add(24 * time.Hour)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// transport answers the requests for keys.
type transport func(r *http.Request) []byte

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	text := f(r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(text))}, nil
}

// verifierOf returns a verifier of the tokens of an issuer whose keys come from the transport.
func verifierOf(t testing.TB, keys transport) *verifier {
	t.Helper()
	v := &verifier{
		settings: TokenSettings{Keys: "http://issuer/keys", Issuer: "i", Audience: []string{"a"}, Refresh: time.Hour},
		log:      slog.New(slog.DiscardHandler),
		client:   &http.Client{Timeout: fetchTimeout, Transport: keys},
	}
	if _, err := v.keySet(false); err != nil {
		t.Fatal(err)
	}
	return v
}

// While keys are fetched for a token whose key is not known, tokens of known keys do not wait.
// Those whose key is not known wait for the fetch in flight, and are good if it brings their key.
func TestUnknownKeyKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s issuer
		answers := make(chan []byte, 1)
		asked := 0
		v := verifierOf(t, func(r *http.Request) []byte {
			if asked++; asked == 1 {
				return s.set(t, "old")
			}
			select {
			case text := <-answers:
				return text
			case <-r.Context().Done():
				return nil
			}
		})
		known, added, strange := s.token(t, "old", "x"), s.token(t, "new", "y"), s.token(t, "strange", "z")
		verify := func(token string) chan error {
			result := make(chan error, 1)
			go func() {
				_, err := v.verify(token)
				result <- err
			}()
			synctest.Wait()
			return result
		}

		time.Sleep(refetchAfter + time.Second)
		first, second := verify(strange), verify(added)
		began := time.Now()
		if err := <-verify(known); err != nil || time.Since(began) > 0 {
			t.Errorf("a token of a known key: %v after %v", err, time.Since(began))
		}
		answers <- s.set(t, "old", "new")
		if err := <-first; err == nil {
			t.Error("a token of a key that the issuer does not have is accepted")
		}
		if err := <-second; err != nil || asked != 2 {
			t.Errorf("a token of the key that was fetched: %v, after %d requests", err, asked)
		}

		// The keys are too old: all wait for others, as long as the issuer may take.
		time.Sleep(time.Hour + time.Second)
		first, second = verify(known), verify(known)
		if len(first)+len(second) > 0 {
			t.Error("keys are used beyond their age while others are fetched")
		}
		for _, result := range []chan error{first, second} {
			if err := <-result; err != nil || asked != 3 {
				t.Errorf("keys that cannot be fetched again: %v, after %d requests", err, asked)
			}
		}
	})
}

// A key that is not understood takes nothing from the others of its set (RFC 7517, section 5).
func TestUnknownKindOfKey(t *testing.T) {
	t.Parallel()
	var s issuer
	for _, other := range []string{`{"kty":"FUTURE"}`, `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`, `{"kty":"OKP","crv":"X25519","x":"AA"}`, `{"kty":"RSA"}`} {
		known := s.set(t, "good")
		text := strings.Replace(string(known), `{"keys":[`, `{"keys":[`+other+",", 1)
		v := verifierOf(t, func(*http.Request) []byte { return []byte(text) })
		if _, err := v.verify(s.token(t, "good", "x")); err != nil {
			t.Errorf("beside %s: %v", other, err)
		}
	}
}
