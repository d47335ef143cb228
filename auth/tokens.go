package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"millrace/codec/json"
	"millrace/internal/apierr"
)

// TokenSettings say which signed tokens (JWT) are accepted.
type TokenSettings struct {
	// Keys is where the public keys of the issuer are: a file, or an http:// or https:// URL, with
	// a JSON Web Key Set (RFC 7517). Empty: no tokens are accepted.
	Keys string
	// Issuer must be the token's iss, and one of Audience among its aud.
	Issuer   string
	Audience []string
	// Skew is how much the clocks may differ.
	Skew time.Duration
	// Refresh is how old the keys may be. A token with a key that is not known has them read at
	// once, though not more often than each [refetchAfter].
	Refresh time.Duration
	// NameClaim and RolesClaim are the members with the name and the roles; a dot leads into an
	// object.
	NameClaim, RolesClaim string
}

// Enabled reports whether tokens are accepted.
func (s *TokenSettings) Enabled() bool { return s.Keys != "" }

const (
	// refetchAfter is how soon keys are fetched again for a token whose key is not known.
	refetchAfter = 10 * time.Second
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20
	// maxTried bounds the keys that a token without a key id is tried with.
	maxTried = 16
)

// tokenAlgorithms are the signatures that are accepted: those with a public key. With one by a
// shared secret, whoever can check a token could make one.
var tokenAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// verifier checks tokens. The URLs in the header of a token (jku, x5u) are not looked at: keys come
// from where the settings say.
type verifier struct {
	settings TokenSettings
	log      *slog.Logger
	client   *http.Client

	mu      sync.Mutex
	keys    *jose.JSONWebKeySet
	fetched time.Time // when they were last asked for
	failure error     // of that
	asking  *asking   // nil: no fetch is in flight
}

func newVerifier(s TokenSettings, log *slog.Logger) (*verifier, error) {
	v := &verifier{settings: s, log: log, client: &http.Client{
		Timeout: fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the keys are not where the settings say: redirects are not followed")
		},
	}}
	if _, err := v.keySet(false); err != nil {
		if !isURL(s.Keys) {
			return nil, &FileError{Setting: "authentication.jwt.keys", Err: err}
		}
		log.Warn("the keys that sign tokens cannot be fetched yet", "err", err)
	}
	return v, nil
}

func (v *verifier) close() {
	if v != nil {
		v.client.CloseIdleConnections()
	}
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")
}

// asking is a fetch of the keys that is in flight.
type asking struct {
	done chan struct{}
	// all is set where everyone waits for it: there are no keys, or they are too old.
	all bool
}

// keySet returns the keys of the issuer. afresh has them fetched again unless that was done just
// now. Keys that cannot be fetched again are used on. A fetch for a token whose key is not known
// keeps only such tokens waiting: anybody can send one.
func (v *verifier) keySet(afresh bool) (*jose.JSONWebKeySet, error) {
	v.mu.Lock()
	asked, mine := v.asking, false
	if asked == nil {
		age := time.Since(v.fetched)
		all := v.keys == nil && age > time.Second || age > v.settings.Refresh
		if mine = all || afresh && age > refetchAfter; mine {
			asked = &asking{make(chan struct{}), all}
			v.asking, v.fetched = asked, time.Now()
		}
	}
	v.mu.Unlock()
	switch {
	case mine:
		v.ask(asked)
	case asked != nil && (afresh || asked.all):
		<-asked.done
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys == nil {
		return nil, v.failure
	}
	return v.keys, nil
}

// ask fetches the keys, and lets those go on who wait for it.
func (v *verifier) ask(a *asking) {
	keys, err := (*jose.JSONWebKeySet)(nil), errNotFetched
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.failure = err; err == nil {
			v.keys = keys
		} else if v.keys != nil {
			v.log.Warn("the keys that sign tokens cannot be fetched again, the former ones are used", "err", err)
		}
		v.asking = nil
		close(a.done)
	}()
	keys, err = v.fetch()
}

// errNotFetched is the failure of a fetch that did not end.
var errNotFetched = errors.New("cannot read the keys that sign tokens")

// fetch reads the set of keys, and drops those that are secret, and those that are not understood:
// an issuer may have keys for others, and keys of a kind that is new (RFC 7517, section 5).
func (v *verifier) fetch() (*jose.JSONWebKeySet, error) {
	text, err := v.read()
	if err != nil {
		return nil, fmt.Errorf("cannot read the keys that sign tokens: %w", err)
	}
	var all struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("cannot read the keys that sign tokens: %w", err)
	}
	set, unread := &jose.JSONWebKeySet{}, error(nil)
	for _, text := range all.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(text); err != nil {
			unread = err
		} else if k.IsPublic() && k.Use != "enc" {
			set.Keys = append(set.Keys, k)
		}
	}
	switch {
	case len(set.Keys) > 0:
		return set, nil
	case unread != nil:
		return nil, fmt.Errorf("cannot use the keys that sign tokens: %w", unread)
	}
	return nil, errors.New("cannot use the keys that sign tokens: there is no public key among them")
}

func (v *verifier) read() ([]byte, error) {
	if !isURL(v.settings.Keys) {
		return os.ReadFile(v.settings.Keys)
	}
	resp, err := v.client.Get(v.settings.Keys)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has the status %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		err = fmt.Errorf("the answer is larger than %d bytes", maxKeySet)
	}
	return text, err
}

// claims are what is looked at of a token.
type claims struct {
	jwt.Claims
	all map[string]any
}

// verify returns the claims of a valid token.
func (v *verifier) verify(text string) (*claims, error) {
	token, err := jwt.ParseSigned(text, tokenAlgorithms)
	if err != nil || len(token.Headers) != 1 {
		return nil, errors.New("it is no token with one signature of a kind that is accepted")
	}
	for _, afresh := range []bool{false, true} {
		set, err := v.keySet(afresh)
		if err != nil {
			return nil, apierr.KeysAway.Wrap(err, "The token cannot be checked: the keys of its issuer cannot be fetched.")
		}
		for _, k := range candidates(set, token.Headers[0].KeyID) {
			c := &claims{}
			if token.Claims(k.Key, &c.Claims, &c.all) == nil {
				return c, v.valid(c)
			}
		}
	}
	return nil, errors.New("no key of the issuer has signed it")
}

// candidates are the keys that may have signed a token.
func candidates(set *jose.JSONWebKeySet, id string) []jose.JSONWebKey {
	if id != "" {
		return set.Key(id)
	}
	return set.Keys[:min(len(set.Keys), maxTried)]
}

// valid checks what a token says of itself.
func (v *verifier) valid(c *claims) error {
	if c.Expiry == nil {
		return errors.New("it has no end (exp)")
	}
	return c.ValidateWithLeeway(jwt.Expected{Issuer: v.settings.Issuer, AnyAudience: v.settings.Audience, Time: time.Now()}, v.settings.Skew)
}

// member returns what a path of names with dots leads to.
func member(all map[string]any, path string) any {
	if value, ok := all[path]; ok { // names such as https://example.com/roles have dots of their own
		return value
	}
	first, rest, more := strings.Cut(path, ".")
	if inner, ok := all[first].(map[string]any); ok && more {
		return member(inner, rest)
	}
	return nil
}

// textsOf reads a claim with one or several words: a list, or a text with blanks between.
func textsOf(value any) (list []string) {
	switch value := value.(type) {
	case string:
		return strings.Fields(value)
	case []any:
		for _, v := range value {
			if text, ok := v.(string); ok {
				list = append(list, text)
			}
		}
	}
	return list
}

// token identifies by a signed token. tag is the keyed hash of the header, by which a token that
// was checked is known again until its end.
func (a *Access) token(p *policy, c Credentials, text []byte, tag [sha256.Size]byte) (*Identity, error) {
	if !p.logins.mayFail(c.Addr) {
		return nil, apierr.TooManyLogins.New("Logins from this address have failed too often. Wait, and send a valid token.")
	}
	found, err := a.tokens.verify(string(text))
	if apierr.KeysAway.Is(err) {
		return nil, err
	}
	if err != nil {
		return nil, p.badToken(c.Addr, err)
	}
	name, ok := member(found.all, a.settings.Tokens.NameClaim).(string)
	if !ok || name == "" {
		return nil, p.badToken(c.Addr, errors.New("it has no name"))
	}
	var roles []string
	if claim := a.settings.Tokens.RolesClaim; claim != "" {
		roles = textsOf(member(found.all, claim))
	}
	id := p.name(Token, name, roles)
	p.rememberUntil(tag, id, found.Expiry.Time().Add(a.settings.Tokens.Skew))
	return id, nil
}

// badToken refuses a token. The cause is for the log: a client that could read it would learn how
// to make a better one.
func (p *policy) badToken(addr netip.Addr, cause error) error {
	p.logins.fail(addr)
	return apierr.Unauthenticated.Wrap(cause, "The credentials are not valid.")
}
