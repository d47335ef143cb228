package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"millrace/internal/apierr"
	"millrace/internal/bounded"
)

const (
	// maxRemembered bounds the good credentials that are remembered.
	maxRemembered = 10_000
	// waitingLogins bounds the checks that wait for one of the slots, loginWait how long.
	waitingLogins = 64
	loginWait     = 3 * time.Second
	// An address may fail so often at once, and once more each failEvery.
	maxFailed = 20
	failEvery = time.Second
	// maxAddresses bounds the addresses whose failures are counted.
	maxAddresses = 10_000
	// maxCredentials bounds the value of Authorization that is looked at.
	maxCredentials = 16 << 10
)

// logins bounds the work that credentials make: hashing takes tens of milliseconds of a core, and
// anybody may ask for it. It outlives the snapshots.
type logins struct {
	macs      sync.Pool // of *mac
	slots     chan struct{}
	verifying chan struct{} // the slots of checks by Kafka, which wait and do not compute
	waiting   chan struct{}

	mu     sync.Mutex
	failed *bounded.Map[netip.Addr, *rate.Limiter]
}

// mac computes the keyed hash by which credentials are remembered. The key is of this process, so
// that what is in memory cannot be compared with anything outside.
type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

func newLogins() *logins {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails
	slots := max(1, runtime.GOMAXPROCS(0)/4)
	l := &logins{slots: make(chan struct{}, slots), verifying: make(chan struct{}, maxVerifying), waiting: make(chan struct{}, waitingLogins), failed: bounded.New[netip.Addr, *rate.Limiter](maxAddresses, nil)}
	l.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, key)} }
	return l
}

// tag returns the keyed hash of a credential.
func (l *logins) tag(credential []byte) [sha256.Size]byte {
	m := l.macs.Get().(*mac)
	m.Reset()
	m.Write(credential)
	m.Hash.Sum(m.sum[:0])
	sum := m.sum
	l.macs.Put(m)
	return sum
}

// admit waits for a slot to check a credential in; the caller calls done. It refuses an address
// that has failed too often, and everybody while too many wait.
func (l *logins) admit(addr netip.Addr) (done func(), err error) { return l.admitTo(l.slots, addr) }

// admitTo is admit to one of the given slots.
func (l *logins) admitTo(slots chan struct{}, addr netip.Addr) (done func(), err error) {
	if !l.mayFail(addr) {
		return nil, apierr.TooManyLogins.New("Logins from this address have failed too often. Wait, and send the right credentials.")
	}
	select {
	case l.waiting <- struct{}{}:
	default:
		return nil, apierr.TooManyLogins.Err()
	}
	defer func() { <-l.waiting }()
	timer := time.NewTimer(loginWait)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-timer.C:
		return nil, apierr.TooManyLogins.Err()
	}
}

// mayFail reports whether the address may fail once more.
func (l *logins) mayFail(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, ok := l.failed.Get(addr)
	return !ok || limit.Tokens() >= 1
}

// fail counts a failed attempt.
func (l *logins) fail(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, ok := l.failed.Get(addr)
	if !ok {
		limit = rate.NewLimiter(rate.Every(failEvery), maxFailed)
		l.failed.Put(addr, limit)
	}
	limit.Allow()
}

// strangers is what the password of an unknown name is compared with where the file has none.
var strangers = sync.OnceValue(func() secret {
	h, err := HashPassword("decoy")
	if err != nil {
		return plainText("decoy")
	}
	return bcryptHash(h)
})

// decoy returns what the password of an unknown name is compared with, so that the time of a
// refusal does not tell which names there are: the password of somebody of the file, as its
// passwords may have forms and costs of all kinds, and for one name always that of the same.
func (p *policy) decoy(name string) secret {
	if len(p.names) == 0 {
		return strangers()
	}
	sum := p.logins.tag([]byte(name))
	return p.users[p.names[binary.BigEndian.Uint64(sum[:])%uint64(len(p.names))]].secret
}

// login checks the value of an Authorization header with the scheme Basic. tag is its keyed hash.
func (p *policy) login(c Credentials, encoded []byte, tag [sha256.Size]byte) (*Identity, error) {
	name, password, err := splitBasic(string(encoded))
	if err != nil {
		return nil, err
	}
	done, err := p.logins.admit(c.Addr)
	if err != nil {
		return nil, err
	}
	defer done()
	if id := p.remembered(tag); id != nil { // another request has checked it meanwhile
		return id, nil
	}
	u := p.users[name]
	var against secret
	if u != nil {
		against = u.secret
	} else {
		against = p.decoy(name)
	}
	if !against.matches(password) || u == nil {
		p.logins.fail(c.Addr)
		return nil, errWrong
	}
	id := p.userIdentity(u)
	p.remember(tag, id)
	return id, nil
}

// errWrong is the refusal of every wrong credential.
var errWrong = apierr.Unauthenticated.New("The credentials are not valid.")
