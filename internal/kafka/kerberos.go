package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/krberror"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"
)

// Kerberos is how the node gets the tickets that it shows to brokers (SASL/GSSAPI).
type Kerberos struct {
	// Config is the file that says where the KDC of a realm is, as krb5.conf.
	Config string
	// Keytab is the file with the keys of the principal.
	Keytab string
	// Principal and Realm are who the node is: rest and EXAMPLE.COM of rest@EXAMPLE.COM.
	Principal, Realm string
	// Service is the name of the brokers' own principals: kafka of kafka/HOST@EXAMPLE.COM.
	Service string
}

var kdc = &giver{"ticket of Kerberos", "The KDC of Kafka's realm", "gets no ticket of Kerberos for it (sasl.jaas.config, sasl.kerberos.service.name)"}

// Mechanism returns the mechanism, of which all connections share the tickets. It reads both files,
// and asks nobody. The error says what is wrong with them.
func (k Kerberos) Mechanism() (sasl.Mechanism, error) {
	t := &tickets{from: k}
	own, err := t.current()
	if err != nil {
		return nil, err
	}
	t.release(own)
	return t, nil
}

var _ sasl.ClosingMechanism = (*tickets)(nil)

// tickets are the tickets of a principal. They are of one state of the keytab: when the file
// changes, its keys have been renewed, and the KDC would refuse the former ones.
type tickets struct {
	from Kerberos

	mu     sync.Mutex
	client *ticketClient
	read   time.Time // the time of the keytab
}

// ticketClient is a client of the KDC. It is ended when nobody uses it any more: one that ends
// meanwhile has lost its name and its keys, and the KDC refuses it.
type ticketClient struct {
	*client.Client
	users int  // guarded by tickets.mu, as is the next
	over  bool // no new users
}

// current returns the client of the keytab as it is now. The caller releases it.
func (t *tickets) current() (*ticketClient, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.from.Keytab)
	if err != nil {
		return nil, fmt.Errorf("cannot read the keytab: %w", err)
	}
	if t.client != nil && info.ModTime().Equal(t.read) {
		t.client.users++
		return t.client, nil
	}
	conf, err := config.Load(t.from.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s: %w", t.from.Config, err)
	}
	keys, err := keytab.Load(t.from.Keytab)
	if err != nil {
		return nil, fmt.Errorf("cannot use the keytab %s: %w", t.from.Keytab, err)
	}
	t.giveUp()
	own := client.NewWithKeytab(t.from.Principal, t.from.Realm, keys, conf, client.DisablePAFXFAST(true))
	t.client, t.read = &ticketClient{Client: own, users: 1}, info.ModTime()
	return t.client, nil
}

// giveUp lets go of the client, whose session is renewed in the background otherwise, without end.
// The caller holds mu.
func (t *tickets) giveUp() {
	if c := t.client; c != nil {
		t.client, c.over = nil, true
		c.endUnused()
	}
}

// release ends a use of a client.
func (t *tickets) release(c *ticketClient) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.users--
	c.endUnused()
}

func (c *ticketClient) endUnused() {
	if c.over && c.users == 0 {
		c.Destroy()
	}
}

// Close implements [sasl.ClosingMechanism]: a client of Kafka that shares the tickets has ended.
// They are given up, with the goroutine that renews them, and the next connection of another client
// gets new ones.
func (t *tickets) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.giveUp()
}

// Name implements [sasl.Mechanism].
func (t *tickets) Name() string { return "GSSAPI" }

// Authenticate implements [sasl.Mechanism].
func (t *tickets) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	own, err := t.current()
	if err != nil {
		return nil, nil, &tokenError{from: kdc, cause: err}
	}
	defer t.release(own)
	auth := kerberos.Auth{Client: own.Client, Service: t.from.Service, PersistAfterAuth: true}
	session, first, err := auth.AsMechanism().Authenticate(ctx, host)
	if err != nil {
		err = noTicket(own.Client, err)
	}
	return session, first, err
}

// noTicket returns the error of a connection for which there is no ticket. gokrb5 hides the type of
// the error of a login behind that of a connection, so the login is tried by itself.
func noTicket(own *client.Client, err error) error {
	if failed := own.Login(); failed != nil {
		err = failed
	}
	var of krberror.Krberror
	// A response that the keys do not decrypt is for other keys of the principal.
	refused := errors.As(err, &of) && (of.RootCause == krberror.KDCError || of.RootCause == krberror.DecryptingError)
	return &tokenError{from: kdc, refused: refused, cause: err}
}
