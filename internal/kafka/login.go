package kafka

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// The SASL mechanisms of a [Login].
const (
	Plain       = "PLAIN"
	Scram256    = "SCRAM-SHA-256"
	Scram512    = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
)

// Login is what connections show a broker that are opened for one principal, in place of the
// credentials of the node. It is immutable. No way of printing it shows the secret.
type Login struct {
	mechanism, user, secret string
	expires                 time.Time
	key                     LoginKey
}

// LoginKey tells logins apart.
type LoginKey [sha256.Size]byte

// NewLogin returns a login with a password, or with a token for [OAuthBearer]. user is only for
// people in that case. The zero expires is no end.
func NewLogin(mechanism, user, secret string, expires time.Time) *Login {
	l := &Login{mechanism: mechanism, user: user, secret: secret, expires: expires}
	var text []byte
	for _, part := range [...]string{mechanism, user, secret} {
		text = append(binary.AppendUvarint(text, uint64(len(part))), part...)
	}
	l.key = sha256.Sum256(text)
	return l
}

// Key tells the login from others: with another password it is another one.
func (l *Login) Key() LoginKey { return l.key }

// Expires is when the login is no longer valid; zero: that is not known.
func (l *Login) Expires() time.Time { return l.expires }

// String names the login without its secret.
func (l *Login) String() string { return l.mechanism + ":" + l.user }

// GoString implements [fmt.GoStringer].
func (l *Login) GoString() string { return l.String() }

// MarshalText implements [encoding.TextMarshaler].
func (l *Login) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// LogValue implements [slog.LogValuer].
func (l *Login) LogValue() slog.Value { return slog.StringValue(l.String()) }

// SASL returns the mechanism that shows the login.
func (l *Login) SASL() sasl.Mechanism {
	switch l.mechanism {
	case Scram256:
		return scram.Auth{User: l.user, Pass: l.secret}.AsSha256Mechanism()
	case Scram512:
		return scram.Auth{User: l.user, Pass: l.secret}.AsSha512Mechanism()
	case OAuthBearer:
		return oauth.Auth{Token: l.secret}.AsMechanism()
	}
	return plain.Auth{User: l.user, Pass: l.secret}.AsMechanism()
}

// RenewableLogin is a login of which a newer one may take the place: connections that are opened,
// or authenticated again, from then on show that. All methods may be called concurrently.
type RenewableLogin struct{ current atomic.Pointer[Login] }

// NewRenewableLogin returns one that begins with l.
func NewRenewableLogin(l *Login) *RenewableLogin {
	r := &RenewableLogin{}
	r.current.Store(l)
	return r
}

// Renew makes l the current login. One of another mechanism is of another principal, and changes
// nothing.
func (r *RenewableLogin) Renew(l *Login) {
	if now := r.current.Load(); l != nil && l.mechanism == now.mechanism && l.key != now.key {
		r.current.Store(l)
	}
}

// SASL returns the mechanism that shows the login that is current then.
func (r *RenewableLogin) SASL() sasl.Mechanism { return renewed{r} }

type renewed struct{ login *RenewableLogin }

// Name implements [sasl.Mechanism].
func (r renewed) Name() string { return r.login.current.Load().mechanism }

// Authenticate implements [sasl.Mechanism].
func (r renewed) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	return r.login.current.Load().SASL().Authenticate(ctx, host)
}

// As returns the settings of connections that show the mechanism to brokers.
func (s Settings) As(m sasl.Mechanism) Settings {
	s.SASL = m
	return s
}
