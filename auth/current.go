package auth

import (
	"bytes"
	"time"
)

// OnReload has changed called each time that the files were read again and differ.
func (a *Access) OnReload(changed func()) {
	if a != nil {
		a.changed.Store(&changed)
	}
}

// Current returns the identity of a caller as the files are now. It is nil for one whose
// credentials the files no longer have: a key or a user that was taken out, or a user with another
// password.
func (a *Access) Current(id *Identity) *Identity {
	p := a.policy.Load()
	if id.policy == p {
		return id
	}
	switch {
	case id.kind == Anonymous:
		return p.anonymous
	case id.kind == Key && id.sum != [32]byte{}: // not one that another node has identified
		k := p.keys[id.sum]
		if !k.expires.IsZero() && time.Now().After(k.expires) {
			return nil
		}
		return k.identity
	case id.kind == User && p.settings.Passwords != "":
		u, former := p.users[id.name], id.policy.users[id.name]
		switch {
		case u != nil && former != nil && u.credential == former.credential:
			return p.userIdentity(u)
		case u != nil || former != nil:
			return nil
		}
	}
	return p.name(id.kind, id.name, id.roles)
}

// Ends returns when the credentials of a caller end that has shown them just now; zero: they have
// no end.
func (a *Access) Ends(id *Identity, c Credentials) (end time.Time) {
	switch id.kind {
	case Key:
		return a.policy.Load().keys[id.sum].expires
	case Certificate:
		if c.Certificate != nil {
			return c.Certificate.NotAfter
		}
	case Token:
		scheme, rest, ok := bytes.Cut(c.Authorization, []byte(" "))
		if !ok || !bytes.EqualFold(scheme, []byte("Bearer")) {
			return end
		}
		if end, ok := endOf(string(bytes.TrimLeft(rest, " "))); ok {
			return end.Add(a.settings.Tokens.Skew)
		}
	}
	return end
}
