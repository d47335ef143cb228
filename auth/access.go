package auth

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/bounded"
)

// Settings say who callers can be and where their rights stand. With none of the files, and
// neither certificates nor tokens, nobody is asked who they are.
type Settings struct {
	// Realm is named to a client that must show credentials (authentication.realm).
	Realm string
	// Passwords, Keys and Rules are files; empty: there is none.
	Passwords, Keys, Rules string
	// Roles are those of which a user with a password must have one; * or none: any user.
	Roles []string
	// SkipPaths are paths, or patterns of such, of routes that everybody may use.
	SkipPaths []string
	// Certificates makes the subject of a verified client certificate an identity, with the name
	// that Mapping makes of it.
	Certificates bool
	Mapping      Mapping
	// Tokens are signed tokens that are accepted.
	Tokens TokenSettings
	// Delegation says with which rights callers use Kafka.
	Delegation Delegation
	// Limits are quotas beside those of the file of rules. They hold where nobody is asked, too.
	Limits []Limit
}

// Limit bounds requests a second, for each address or for all together.
type Limit struct {
	Name       string // of the setting
	Requests   float64
	PerAddress bool
	Paths      []string // patterns; none: all
}

// Enabled reports whether callers are asked who they are.
func (s *Settings) Enabled() bool {
	return s.Passwords != "" || s.Keys != "" || s.Rules != "" || s.Certificates || s.Tokens.Enabled() || s.Delegation.Enabled()
}

// FileError says that a file of the settings cannot be used.
type FileError struct {
	// Setting is the name of the setting that names the file.
	Setting string
	Err     error
}

// Error implements error.
func (e *FileError) Error() string { return e.Setting + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// The settings that name files.
const (
	passwordsSetting = "authentication.passwords.file"
	keysSetting      = "authentication.keys.file"
	rulesSetting     = "authorization.rules.file"
)

// Access decides about callers. All methods may be called concurrently.
type Access struct {
	settings Settings
	log      *slog.Logger
	logins   *logins
	tokens   *verifier     // nil: no tokens are accepted
	check    PasswordCheck // nil unless Kafka checks passwords
	buckets  *buckets
	changed  atomic.Pointer[func()] // of OnReload
	policy   atomic.Pointer[policy]
	loading  sync.Mutex
}

// policy is a snapshot of all files, with what was learned under it.
type policy struct {
	settings  *Settings
	logins    *logins
	read      map[string][]byte // the files, to see whether they change
	rules     []rule
	quotas    []quota
	ruled     bool
	users     map[string]*user
	names     []string // of users, in order
	keys      map[[sha256.Size]byte]key
	mapped    []mapped
	skip      patterns
	anonymous *Identity
	buckets   *buckets // of Access: the state of quotas outlives the snapshot

	mu           sync.RWMutex
	known        *bounded.Map[[sha256.Size]byte, memory]
	certificates *bounded.Map[*x509.Certificate, *Identity]
	named        *bounded.Map[string, *Identity] // users, and callers of other nodes
}

// memory is an identity that a credential was checked for, until a time unless that is zero.
type memory struct {
	identity *Identity
	until    time.Time
}

// New reads the files and returns what decides by them. Settings that enable nothing give a nil
// Access, which asks nobody and limits nobody. Errors are [FileError] values.
func New(s Settings, log *slog.Logger) (*Access, error) {
	if !s.Enabled() && len(s.Limits) == 0 {
		return nil, nil
	}
	a := &Access{settings: s, log: log, logins: newLogins(), buckets: newBuckets()}
	p, err := a.load()
	if err != nil {
		return nil, err
	}
	a.policy.Store(p)
	if a.Asks() {
		a.warn(p)
	}
	if s.Tokens.Enabled() {
		if a.tokens, err = newVerifier(s.Tokens, log); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Asks reports whether callers are asked who they are. If not, all are anonymous and may do
// everything, within the limits.
func (a *Access) Asks() bool { return a != nil && a.settings.Enabled() }

// Check reports what is wrong with the files, without keeping anything.
func Check(s Settings) error {
	a := &Access{settings: s, logins: newLogins(), buckets: newBuckets()}
	_, err := a.load()
	return err
}

// Close closes the connections to where the keys of tokens are.
func (a *Access) Close() {
	if a != nil {
		a.tokens.close()
	}
}

// Files that differ hold once they have stayed the same for so long, and are looked at so often.
// One that is being written has its beginning only, which may allow what the rest denies.
const (
	settled = 100 * time.Millisecond
	looks   = 50
)

// Reload reads the files again. If one of them cannot be used, all stay as they were. changed is
// false where nothing differs.
func (a *Access) Reload() (changed bool, err error) {
	if a == nil {
		return false, nil
	}
	a.loading.Lock()
	defer a.loading.Unlock()
	next, err := a.load()
	if err != nil || next.sameFiles(a.policy.Load()) {
		return false, err
	}
	for look := 1; ; look++ {
		time.Sleep(settled)
		again, err := a.load()
		if err != nil {
			return false, err
		}
		if again.sameFiles(next) {
			break
		}
		if next = again; look == looks {
			return false, errors.New("the files of callers and rules do not stop to change")
		}
	}
	if next.sameFiles(a.policy.Load()) {
		return false, nil
	}
	a.policy.Store(next)
	a.warn(next)
	if changed := a.changed.Load(); changed != nil {
		(*changed)()
	}
	return true, nil
}

// sameFiles reports whether both were made of the same files.
func (p *policy) sameFiles(other *policy) bool {
	return maps.EqualFunc(p.read, other.read, func(a, b []byte) bool { return bytes.Equal(a, b) })
}

// load reads all files.
func (a *Access) load() (*policy, error) {
	s := &a.settings
	p := &policy{
		settings: s, logins: a.logins, buckets: a.buckets, read: map[string][]byte{}, ruled: s.Rules != "", users: map[string]*user{},
		known:        bounded.New[[sha256.Size]byte, memory](maxRemembered, nil),
		certificates: bounded.New[*x509.Certificate, *Identity](maxRemembered, nil),
		named:        bounded.New[string, *Identity](maxRemembered, nil),
	}
	for _, path := range s.SkipPaths {
		p.skip.add(path)
	}
	err := p.file(rulesSetting, s.Rules, func(data []byte) error {
		f, err := parseRules(data)
		if err == nil {
			p.rules, p.quotas = f.Rules, f.Quotas
		}
		return err
	})
	if err == nil {
		err = p.file(passwordsSetting, s.Passwords, func(data []byte) (err error) {
			p.users, err = parsePasswords(data)
			p.names = slices.Sorted(maps.Keys(p.users))
			return err
		})
	}
	if err == nil {
		err = p.file(loginsSetting, s.Delegation.Logins, func(data []byte) (err error) {
			p.mapped, err = parseLogins(data, s.Delegation.Clear)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	for _, l := range s.Limits {
		q := quota{Name: l.Name, Who: []string{"*"}, Per: perAll, Requests: l.Requests, Burst: 1}
		if l.PerAddress {
			q.Per = perAddress
		}
		q.setPaths(l.Paths)
		p.quotas = append(p.quotas, q)
	}
	a.buckets.name(p.quotas)
	if err := p.file(keysSetting, s.Keys, p.loadKeys); err != nil { // whose identities have logins and quotas
		return nil, err
	}
	p.anonymous = p.newIdentity(Anonymous, "", nil)
	return p, nil
}

// file reads a file of a setting, if there is one.
func (p *policy) file(setting, name string, parse func([]byte) error) error {
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(name)
	if err == nil {
		err = parse(data)
	}
	if err != nil {
		return &FileError{Setting: setting, Err: fmt.Errorf("cannot use %s: %w", name, err)}
	}
	p.read[setting] = data
	return nil
}

func (p *policy) loadKeys(data []byte) error {
	entries, err := parseKeys(data)
	if err != nil {
		return err
	}
	p.keys = make(map[[sha256.Size]byte]key, len(entries))
	for _, e := range entries {
		var sum [sha256.Size]byte
		if _, err := hex.Decode(sum[:], []byte(e.SHA256)); err != nil {
			return fmt.Errorf("cannot read the sha256 of the key %s: %w", e.ID, err)
		}
		id := p.newIdentity(Key, e.ID, e.Roles)
		id.sum = sum
		p.keys[sum] = key{id, e.Expires}
	}
	return nil
}

// warn says what an operator should know of the files.
func (a *Access) warn(p *policy) {
	weak := 0
	for _, u := range p.users {
		if u.weak {
			weak++
		}
	}
	if weak > 0 {
		a.log.Warn("the file of passwords shows passwords, or hashes that are quickly found: use bcrypt (htpasswd -nB NAME)", "passwords", weak)
	}
	if !p.ruled && !p.settings.Delegation.Enabled() {
		a.log.Warn("every identity may do everything: there is no file of rules (authorization.rules.file)")
	}
}

// newIdentity makes an identity with its rights.
func (p *policy) newIdentity(kind Kind, name string, roles []string) *Identity {
	id := &Identity{kind: kind, name: name, principal: kind.String() + ":" + name, roles: roles, policy: p}
	switch {
	case kind == User && !p.settings.admits(roles):
	case p.ruled:
		id.rights = compile(p.rules, id)
	default:
		id.rights.open = kind != Anonymous || !p.settings.Enabled()
	}
	id.limits = p.limitsOf(id)
	id.login = p.mappedLogin(id)
	return id
}

// admits reports whether a user with these roles may use the node at all (authentication.roles).
func (s *Settings) admits(roles []string) bool {
	return len(s.Roles) == 0 || slices.Contains(s.Roles, "*") || slices.Contains(s.Roles, "**") ||
		slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(s.Roles, r) })
}

// name returns the identity under which a principal is known, and makes it if it is new. One
// principal has one Identity at a time, so that its limits hold however many credentials it has.
func (p *policy) name(kind Kind, name string, roles []string) *Identity {
	key := fmt.Sprintf("%s %q %q", kind, name, roles) // quoted: a token's may have any character
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, ok := p.named.Get(key); ok {
		return id
	}
	id := p.newIdentity(kind, name, roles)
	p.named.Put(key, id)
	return id
}

func (p *policy) userIdentity(u *user) *Identity { return p.name(User, u.name, u.roles) }

// remembered returns the identity of a credential that was checked, or nil.
func (p *policy) remembered(tag [sha256.Size]byte) *Identity {
	p.mu.RLock()
	m, ok := p.known.Get(tag)
	p.mu.RUnlock()
	if !ok || !m.until.IsZero() && time.Now().After(m.until) {
		return nil
	}
	return m.identity
}

func (p *policy) remember(tag [sha256.Size]byte, id *Identity) { p.rememberUntil(tag, id, time.Time{}) }

func (p *policy) rememberUntil(tag [sha256.Size]byte, id *Identity, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known.Put(tag, memory{id, until})
}

// Identify returns the identity of a request's caller: that of its Authorization header, or else
// of its key, or else of its certificate, or else the anonymous one. Errors:
// [apierr.Unauthenticated] for credentials that are not valid, [apierr.TooManyLogins].
func (a *Access) Identify(c Credentials) (*Identity, error) {
	p := a.policy.Load()
	switch {
	case !a.settings.Enabled():
	case len(c.Authorization) > maxCredentials:
		return nil, errWrong
	case len(c.Authorization) > 0:
		return a.authorization(p, c)
	case len(c.Key) > 0:
		return p.key(c.Key)
	case c.Certificate != nil && a.settings.Certificates:
		return p.certificate(c.Certificate), nil
	}
	return p.anonymous, nil
}

// authorization identifies by the Authorization header.
func (a *Access) authorization(p *policy, c Credentials) (*Identity, error) {
	scheme, rest, _ := bytes.Cut(c.Authorization, []byte(" "))
	rest = bytes.TrimLeft(rest, " ")
	basic := bytes.EqualFold(scheme, []byte("Basic"))
	switch {
	case basic && (p.settings.Passwords != "" || p.settings.Delegation.Passwords != ""):
	case bytes.EqualFold(scheme, []byte("Bearer")):
		if bytes.HasPrefix(rest, []byte(keyPrefix)) {
			return p.key(rest)
		}
		if a.tokens == nil {
			return nil, errWrong
		}
	default:
		return nil, apierr.Unauthenticated.New("The scheme of the Authorization header is not one that this node accepts: %s.", a.Challenges())
	}
	tag := p.logins.tag(c.Authorization)
	if id := p.remembered(tag); id != nil {
		return id, nil
	}
	switch {
	case basic && p.settings.Passwords != "":
		return p.login(c, rest, tag)
	case basic:
		return a.verify(p, c, string(rest), tag)
	}
	return a.token(p, c, rest, tag)
}

// key identifies by an API key.
func (p *policy) key(secret []byte) (*Identity, error) {
	k, ok := p.keys[sha256.Sum256(secret)]
	if !ok || !k.expires.IsZero() && time.Now().After(k.expires) {
		return nil, errWrong
	}
	return k.identity, nil
}

// Challenges are the values of WWW-Authenticate, separated by commas (RFC 9110 §11.6.1).
func (a *Access) Challenges() string {
	s := &a.settings
	var all []string
	if s.Passwords != "" || s.Delegation.Passwords != "" {
		all = append(all, fmt.Sprintf("Basic realm=%q, charset=\"UTF-8\"", s.Realm))
	}
	if s.Keys != "" || s.Tokens.Enabled() || len(all) == 0 {
		all = append(all, fmt.Sprintf("Bearer realm=%q", s.Realm))
	}
	return strings.Join(all, ", ")
}

// Skips reports whether everybody may use the routes of a path (authentication.skip.paths).
func (a *Access) Skips(path string) bool { return a.policy.Load().skip.match(path) }

// Anonymous returns the identity of callers that show no credentials.
func (a *Access) Anonymous() *Identity { return a.policy.Load().anonymous }

// Named returns the identity of a caller that another node has identified by these credentials.
func (a *Access) Named(principal string, roles []string) *Identity {
	p := a.policy.Load()
	word, name, _ := strings.Cut(principal, ":")
	kind := slices.Index(kindNames[:], word)
	if kind <= int(Anonymous) {
		return p.anonymous
	}
	return p.name(Kind(kind), name, roles)
}

// Test returns the identity of a principal for a person who asks what it may do: a user or a key
// has the roles of its file, any other those that are given.
func (a *Access) Test(principal string, roles []string) (*Identity, error) {
	p := a.policy.Load()
	word, name, _ := strings.Cut(principal, ":")
	switch {
	case principal == kindNames[Anonymous]:
		return p.anonymous, nil
	case word == kindNames[User] && p.users[name] != nil:
		return p.userIdentity(p.users[name]), nil
	case word == kindNames[Key]:
		for _, k := range p.keys {
			if k.identity.name == name {
				return k.identity, nil
			}
		}
	case (word == kindNames[Certificate] || word == kindNames[Token]) && name != "":
		return a.Named(principal, roles), nil
	}
	return nil, fmt.Errorf("there is nobody of the name %q; allowed: user:NAME and key:ID of the files, cert:NAME, jwt:NAME, anonymous", principal)
}
