package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"go.yaml.in/yaml/v3"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// Login is what a caller's requests show to Kafka.
type Login = kafka.Login

// Delegation says with which rights the requests of a caller reach Kafka. While it is on, no
// request of a caller is carried out with those of the node.
type Delegation struct {
	// Passwords is the SASL mechanism by which the name and password of a caller (Basic) log in to
	// Kafka; empty: they do not. Without a file of passwords Kafka is who checks them.
	Passwords string
	// Tokens has the token of a caller log in to Kafka (OAUTHBEARER).
	Tokens bool
	// Logins is a file with logins of callers that bring none for Kafka; empty: there is none.
	Logins string
	// Clear says that not all connections to Kafka are encrypted, so that no login is by PLAIN.
	Clear bool
}

// Enabled reports whether callers use Kafka with rights of their own.
func (d *Delegation) Enabled() bool { return d.Passwords != "" || d.Tokens || d.Logins != "" }

// The setting that names the file of logins.
const loginsSetting = "authentication.kafka.logins.file"

const (
	// verifyTimeout bounds the check of a password by Kafka.
	verifyTimeout = 10 * time.Second
	// verifiedFor is how long Kafka is not asked again for a password that it has accepted.
	verifiedFor = 5 * time.Minute
	// maxVerifying bounds the passwords that Kafka checks at a time.
	maxVerifying = 16
)

// mapped is one entry of a file of logins.
type mapped struct {
	// The login is for the callers that Who names, as in a rule.
	Who       []string `yaml:"who"`
	Mechanism string   `yaml:"mechanism"`
	Username  string   `yaml:"username"`
	Password  string   `yaml:"password"`

	line  int
	login *Login
}

// UnmarshalYAML implements [yaml.Unmarshaler]: it notes the line of the entry.
func (m *mapped) UnmarshalYAML(n *yaml.Node) error {
	if err := onlyKeys(n, "who", "mechanism", "username", "password"); err != nil {
		return err
	}
	type plain mapped
	if err := n.Decode((*plain)(m)); err != nil {
		return fmt.Errorf("line %d: each member of an entry is text, and who a list", n.Line) // the cause would quote a password
	}
	m.line = n.Line
	return nil
}

// passwordMechanisms are those for a name and a password.
var passwordMechanisms = []string{kafka.Plain, kafka.Scram256, kafka.Scram512}

func (m *mapped) check() error {
	switch {
	case !slices.Contains(passwordMechanisms, m.Mechanism):
		return fmt.Errorf("the mechanism is not one of %s", strings.Join(passwordMechanisms, ", "))
	case m.Username == "" || m.Password == "":
		return errors.New("username or password is missing")
	}
	return checkWho(m.Who)
}

// parseLogins reads a file of logins, for connections of which some may be in the clear. Errors
// name the line and quote no password.
func parseLogins(data []byte, inClear bool) ([]mapped, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var f struct {
		Logins []mapped `yaml:"logins"`
	}
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := onlyDocument(d); err != nil {
		return nil, err
	}
	for i := range f.Logins {
		m := &f.Logins[i]
		err := m.check()
		if err == nil && inClear && m.Mechanism == kafka.Plain {
			err = errors.New("anybody on the way reads a password that is sent by PLAIN over SASL_PLAINTEXT; allowed: SCRAM, or SASL_SSL")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", m.line, err)
		}
		m.login = kafka.NewLogin(m.Mechanism, m.Username, m.Password, time.Time{})
	}
	return f.Logins, nil
}

// mappedLogin returns the login that the file has for an identity, nil if it has none. The first
// entry that names it counts.
func (p *policy) mappedLogin(id *Identity) *Login {
	for i := range p.mapped {
		if names(p.mapped[i].Who, id, false) {
			return p.mapped[i].login
		}
	}
	return nil
}

// Delegates reports whether callers use Kafka with rights of their own.
func (a *Access) Delegates() bool { return a != nil && a.settings.Delegation.Enabled() }

// PasswordCheck asks Kafka whether a login is valid. It returns nil, or an error that is
// [apierr.Unauthenticated] if the login is not.
type PasswordCheck func(ctx context.Context, l *Login) error

// CheckPasswordsBy sets what asks Kafka about passwords. It is called before the first request
// comes.
func (a *Access) CheckPasswordsBy(check PasswordCheck) { a.check = check }

// Login returns what the requests of a caller show to Kafka, given the credentials that it has
// shown here. passed is true where they are these credentials. It is nil where callers use Kafka
// with the rights of the node. Errors: [apierr.Unauthorized] for a caller that has no login: that
// of the node never takes its place.
func (a *Access) Login(id *Identity, c Credentials) (l *Login, passed bool, err error) {
	if !a.Delegates() {
		return nil, false, nil
	}
	if id == nil {
		id = a.policy.Load().anonymous
	}
	if id.login != nil {
		return id.login, false, nil
	}
	scheme, rest, _ := strings.Cut(string(c.Authorization), " ")
	rest = strings.TrimLeft(rest, " ")
	d := &a.settings.Delegation
	switch {
	case id.kind == User && d.Passwords != "" && strings.EqualFold(scheme, "Basic"):
		name, password, err := splitBasic(rest)
		if err == nil && name == id.name {
			return kafka.NewLogin(d.Passwords, name, password, time.Time{}), true, nil
		}
	case id.kind == Token && d.Tokens && strings.EqualFold(scheme, "Bearer"):
		if end, ok := endOf(rest); ok {
			return kafka.NewLogin(kafka.OAuthBearer, id.name, rest, end), true, nil
		}
	}
	return nil, false, a.noLogin(id)
}

// noLogin is the error of a caller without rights in Kafka.
func (a *Access) noLogin(id *Identity) error {
	if id.Anonymous() {
		return apierr.Unauthenticated.New("This needs credentials, which are those for Kafka.")
	}
	return apierr.Unauthorized.New("The caller %s has no credentials for Kafka: neither does it show any that are passed on, nor is it in authentication.kafka.logins.file.", id.principal)
}

// endOf returns the end of a token that was checked before, on this node or on the one that has
// forwarded the request.
func endOf(text string) (end time.Time, ok bool) {
	token, err := jwt.ParseSigned(text, tokenAlgorithms)
	if err != nil {
		return end, false
	}
	var c jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&c); err != nil || c.Expiry == nil {
		return end, false
	}
	return c.Expiry.Time(), true
}

// splitBasic returns name and password of the credentials of Basic.
func splitBasic(encoded string) (name, password string, err error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	name, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok {
		return "", "", apierr.Unauthenticated.New("The Authorization header has not the form of Basic: base64 of name, colon and password (RFC 7617).")
	}
	return name, password, nil
}

// verify identifies a caller whose name and password Kafka checks. tag is the keyed hash of the
// header, by which it is known for some minutes.
func (a *Access) verify(p *policy, c Credentials, encoded string, tag [32]byte) (*Identity, error) {
	name, password, err := splitBasic(encoded)
	if err != nil {
		return nil, err
	}
	if name == "" || password == "" || strings.ContainsAny(name, "*:\x00") {
		return nil, errWrong
	}
	done, err := p.logins.admitTo(p.logins.verifying, c.Addr)
	if err != nil {
		return nil, err
	}
	defer done()
	if id := p.remembered(tag); id != nil { // another request has asked meanwhile
		return id, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
	defer cancel()
	if err := a.check(ctx, kafka.NewLogin(a.settings.Delegation.Passwords, name, password, time.Time{})); err != nil {
		if apierr.Unauthenticated.Is(err) {
			p.logins.fail(c.Addr)
			return nil, errWrong
		}
		return nil, err
	}
	id := p.name(User, name, nil)
	p.rememberUntil(tag, id, time.Now().Add(verifiedFor))
	return id, nil
}
