package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"net/netip"
	"slices"
)

// Kind is how a caller has shown who it is.
type Kind uint8

// The kinds of identities.
const (
	// Anonymous has shown nothing.
	Anonymous Kind = iota
	// User has a name and a password.
	User
	// Key has an API key.
	Key
	// Certificate has a client certificate.
	Certificate
	// Token has a signed token (JWT).
	Token
)

var kindNames = [...]string{Anonymous: "anonymous", User: "user", Key: "key", Certificate: "cert", Token: "jwt"}

// String returns the word for the kind in a rule.
func (k Kind) String() string { return kindNames[k] }

// Credentials are what a request shows of its caller. They are borrowed: views of the request.
type Credentials struct {
	// Authorization is the value of that header, Key that of X-Api-Key or of a query parameter.
	Authorization, Key []byte
	// Certificate is that of the client, whose chain was verified; nil without one.
	Certificate *x509.Certificate
	// Addr is the address of the client, which bounds its failed attempts.
	Addr netip.Addr
}

// Identity is a caller with its rights. It is immutable and belongs to one snapshot of the files.
// A nil Identity is that of a node which asks nobody who they are: it may do everything.
type Identity struct {
	kind      Kind
	name      string
	principal string // kind:name
	roles     []string
	rights    rights
	limits    []limit
	sum       [sha256.Size]byte // of a key
	login     *Login            // of the file of logins; nil: it has none
	policy    *policy
}

// Principal returns the identity's name in rules, logs and the ownership of consumer instances:
// its kind, a colon, and its name. It is empty for a nil Identity.
func (id *Identity) Principal() string {
	if id == nil {
		return ""
	}
	return id.principal
}

// Anonymous reports whether the caller has shown nothing.
func (id *Identity) Anonymous() bool { return id != nil && id.kind == Anonymous }

// Roles returns the roles of the identity. The caller must not change them.
func (id *Identity) Roles() []string {
	if id == nil {
		return nil
	}
	return id.roles
}

func (id *Identity) has(role string) bool { return slices.Contains(id.roles, role) }
