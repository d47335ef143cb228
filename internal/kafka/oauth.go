package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// OAuth is how the node gets the bearer tokens that it shows to brokers (SASL/OAUTHBEARER).
type OAuth struct {
	// Endpoint is the URL of the token endpoint (https:// or http://), or of a file with a token
	// (file://), which another program renews.
	Endpoint string
	// ClientID and ClientSecret are for the endpoint (RFC 6749 §4.4), Scope is what is asked for.
	ClientID, ClientSecret, Scope string
	// Extensions go to the broker beside the token.
	Extensions map[string]string
	// TLS is for the endpoint; nil means the system's roots.
	TLS *tls.Config
}

const (
	// tokenTimeout bounds one request to the token endpoint.
	tokenTimeout = 10 * time.Second
	// tokenMargin is how long before its end a token is replaced.
	tokenMargin = 30 * time.Second
	maxToken    = 64 << 10
)

// Mechanism returns the mechanism that asks for a token when there is none, or the last one is
// about to end. All connections share it.
func (o OAuth) Mechanism() sasl.Mechanism {
	token := o.fromFile
	if !strings.HasPrefix(o.Endpoint, "file:") {
		token = o.fromEndpoint()
	}
	return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
		text, err := token()
		if err != nil {
			return oauth.Auth{}, noToken(err)
		}
		return oauth.Auth{Token: text, Extensions: o.Extensions}, nil
	})
}

// fromFile reads the token anew for each connection.
func (o OAuth) fromFile() (string, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return "", errors.New("the URL of its file is not valid")
	}
	text, err := os.ReadFile(u.Path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(token) > maxToken {
		return "", fmt.Errorf("the file %s holds none", u.Path)
	}
	return token, nil
}

// fromEndpoint returns a function that asks the endpoint, once at a time.
func (o OAuth) fromEndpoint() func() (string, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = o.TLS
	// Tokens are rare. A connection of HTTP/2 that leads nowhere would stay in use after time-outs.
	transport.DisableKeepAlives = true
	client := &http.Client{
		Timeout: tokenTimeout, Transport: transport,
		// The credentials are for that URL and no other.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the token endpoint redirects, which is not followed")
		},
	}
	c := &clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.Endpoint, AuthStyle: oauth2.AuthStyleInHeader}
	if o.Scope != "" {
		c.Scopes = strings.Fields(o.Scope)
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
	source := oauth2.ReuseTokenSourceWithExpiry(nil, c.TokenSource(ctx), tokenMargin)
	var mu sync.Mutex
	return func() (string, error) {
		mu.Lock() // the source would ask once for each connection that waits
		defer mu.Unlock()
		token, err := source.Token()
		if err != nil {
			return "", err
		}
		return token.AccessToken, nil
	}
}

// tokenError is why there is no token, or ticket, for a connection.
type tokenError struct {
	from    *giver
	refused bool
	cause   error
}

// giver is what gives tokens or tickets, as an operator reads it.
type giver struct{ what, by, lack string }

var endpoint = &giver{"token", "The token endpoint of Kafka", "gets no token for it (sasl.oauthbearer.token.endpoint.url)"}

// Error implements error.
func (e *tokenError) Error() string {
	return "cannot get a " + e.from.what + " for Kafka: " + e.cause.Error()
}

// Unwrap gives the cause.
func (e *tokenError) Unwrap() error { return e.cause }

// TokenRefused reports whether the side that gives tokens does not accept the credentials of the
// node, and names it.
func (e *tokenError) TokenRefused() (by string, refused bool) { return e.from.by, e.refused }

// Lack says what the node does not get, and by which setting.
func (e *tokenError) Lack() string { return e.from.lack }

// noToken returns the error of a connection for which there is no token. The text of the endpoint's
// response is no part of it: it may repeat what it was sent.
func noToken(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return &tokenError{from: endpoint, cause: err}
	}
	status := answer.Response.StatusCode
	return &tokenError{
		from:    endpoint,
		refused: status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden,
		cause:   fmt.Errorf("the token endpoint answers %d %s", status, cmp.Or(answer.ErrorCode, "without an error code of OAuth")),
	}
}
