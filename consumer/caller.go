package consumer

import (
	"context"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// Caller is who a request about an instance comes from.
type Caller struct {
	// Owner is the principal, as in [InstanceOptions].
	Owner string
	// Login is what its requests show to Kafka; nil: what the node does.
	Login *kafka.Login
}

type callerKey struct{}

// WithCaller returns a context for [Manager.Adopt] on behalf of the caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// Admits returns an error if the instance of a definition cannot be adopted by a request with this
// context, though it may be by another one: where the caller shows Kafka a login of its own, so
// must the instance, and it needs the login of its owner. For anybody else it is not there.
func (m *Manager) Admits(ctx context.Context, text []byte) error {
	d, err := readDefinition(text)
	if err != nil {
		return nil // Adopt says what is wrong with it
	}
	c, _ := ctx.Value(callerKey{}).(Caller)
	if d.Delegated && c.Login == nil || c.Login != nil && c.Owner != d.Options.Owner {
		return apierr.InstanceNotFound.Err()
	}
	return nil
}

// loginOf returns what an instance that is adopted shows to Kafka.
func loginOf(ctx context.Context) *kafka.Login {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c.Login
}

// Renew has the instance show Kafka a newer login of its owner, from the next connection on. It
// changes nothing for an instance that shows what the node does.
func (i *Instance) Renew(l *kafka.Login) {
	if i.login != nil {
		i.login.Renew(l)
	}
}

// cluster asks Kafka with the rights that the instance has.
func (i *Instance) cluster() *cluster {
	if i.own != nil {
		return i.own
	}
	return i.m.cluster
}

// base are the settings of the connections of the instance's own clients.
func (i *Instance) base() kafka.Settings {
	if i.own != nil {
		return i.own.base
	}
	return i.m.base
}
