package api

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/admin"
	"millrace/batch"
	"millrace/ingest"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/metadata"
	"millrace/reader"
	"millrace/server"
)

// Rights are the parts that ask Kafka, with the rights of one principal: of the node, or of a
// caller.
type Rights struct {
	Producer *batch.Producer
	Metadata *metadata.Cache
	Admin    *admin.Admin
	Reader   *reader.Reader
	// Ended, if not nil, is for who closes the parts, to call at the end.
	Ended func()
}

// Delegation says how callers use Kafka with rights of their own.
type Delegation struct {
	// Open returns the parts of a login, which Close ends. It waits until Kafka has accepted the
	// login, or ctx ends.
	Open func(ctx context.Context, l *kafka.Login) (*Rights, error)
	// Close ends what Open has returned, with all that is not finished when ctx ends.
	Close func(ctx context.Context, r *Rights)
	// Max bounds the logins that have parts at a time, Idle is how long they keep them unused.
	Max  int
	Idle time.Duration
}

// principals are the parts and routes of the logins that callers have used of late. A request that
// is routed here is carried out by the routes of its caller's login: they hold no other parts, so
// nothing can fall back to the rights of the node. Records of different logins are in different
// producers, and so in no batch together.
type principals struct {
	d      Delegation
	routes func(r *Rights) ([]server.Route, *ingest.Ingest)
	life   context.Context // ends the janitor
	end    context.CancelFunc
	tasks  sync.WaitGroup

	mu   sync.Mutex
	all  map[kafka.LoginKey]*principal
	shut bool
}

// principal is one login with its parts.
type principal struct {
	login  *kafka.Login
	opened chan struct{} // closed when the fields below are set
	err    error         // why there are no parts
	rights *Rights
	routes []server.Route
	ingest *ingest.Ingest

	// Guarded by the mu of principals.
	users int // requests in progress
	used  time.Time
	gone  bool // closed with the last of them
}

const (
	// openTimeout bounds the opening of one principal's parts, closeTimeout their end.
	openTimeout, closeTimeout = 10 * time.Second, 10 * time.Second
	// failedFor is how soon a login that Kafka does not accept is tried again.
	failedFor = time.Second
)

func newPrincipals(d Delegation, routes func(r *Rights) ([]server.Route, *ingest.Ingest)) *principals {
	p := &principals{d: d, routes: routes, all: make(map[kafka.LoginKey]*principal)}
	p.life, p.end = context.WithCancel(context.Background())
	p.tasks.Go(p.janitor)
	return p
}

// acquire returns the parts of a login, which stay open until release. Errors:
// [apierr.TooManyPrincipals], [apierr.Draining], and what Kafka says of the login.
func (p *principals) acquire(l *kafka.Login) (*principal, error) {
	one, opens, err := p.enter(l)
	if err != nil {
		return nil, err
	}
	if opens {
		p.open(one)
	}
	<-one.opened
	if one.err != nil {
		p.release(one)
		return nil, one.err
	}
	return one, nil
}

// enter returns the principal of a login with one user more. opens says that there was none, and
// that the caller must open it.
func (p *principals) enter(l *kafka.Login) (one *principal, opens bool, err error) {
	now := time.Now()
	if end := l.Expires(); !end.IsZero() && now.After(end) {
		return nil, false, apierr.Unauthenticated.New("The token has ended.")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if one = p.all[l.Key()]; one == nil {
		switch {
		case p.shut:
			return nil, false, apierr.Draining.Err()
		case len(p.all) >= p.d.Max && !p.evict():
			return nil, false, apierr.TooManyPrincipals.Err()
		}
		one, opens = &principal{login: l, opened: make(chan struct{})}, true
		p.all[l.Key()] = one
	}
	one.users++
	one.used = now
	return one, opens, nil
}

// open opens the parts of a principal that was just entered.
func (p *principals) open(one *principal) {
	ctx, cancel := context.WithTimeout(p.life, openTimeout)
	defer cancel()
	rights, err := p.d.Open(ctx, one.login)
	p.mu.Lock() // a new table of the front door comes before or after
	defer p.mu.Unlock()
	defer close(one.opened)
	if one.rights, one.err = rights, err; err == nil {
		one.routes, one.ingest = p.routes(rights)
	}
}

// release gives back what acquire has returned.
func (p *principals) release(one *principal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one.users--
	one.used = time.Now()
	if one.gone && one.users == 0 {
		p.close(one)
	}
}

// drop has the next request of the login open new parts. These end with the last request that uses
// them. The caller holds p.mu.
func (p *principals) drop(one *principal) {
	if one.gone {
		return
	}
	one.gone = true
	delete(p.all, one.login.Key())
	if one.users == 0 {
		p.close(one)
	}
}

// close ends the parts of a principal in the background. The caller holds p.mu.
func (p *principals) close(one *principal) {
	if one.rights == nil {
		return
	}
	p.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		p.d.Close(ctx, one.rights)
	})
}

// evict drops the principal that was not used for longest, unless all are in use. The caller holds
// p.mu.
func (p *principals) evict() bool {
	var oldest *principal
	for _, one := range p.all {
		if one.users == 0 && (oldest == nil || one.used.Before(oldest.used)) {
			oldest = one
		}
	}
	if oldest == nil {
		return false
	}
	p.drop(oldest)
	return true
}

// janitor drops what is idle, what Kafka has not accepted, and what belongs to a token that has
// ended.
func (p *principals) janitor() {
	tick := time.NewTicker(max(min(p.d.Idle/2, time.Second), 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-p.life.Done():
			return
		case now := <-tick.C:
			p.mu.Lock()
			for _, one := range p.all {
				if one.over(now, p.d.Idle) {
					p.drop(one)
				}
			}
			p.mu.Unlock()
		}
	}
}

// over reports whether the principal is to be dropped. The mu of principals is held.
func (one *principal) over(now time.Time, idle time.Duration) bool {
	end := one.login.Expires()
	if !end.IsZero() && now.After(end) {
		return true
	}
	select {
	case <-one.opened:
		if one.err != nil {
			idle = failedFor
		}
	default:
		return false
	}
	return one.users == 0 && now.Sub(one.used) >= idle
}

// closeAll ends all. No request may be in progress.
func (p *principals) closeAll() {
	p.mu.Lock()
	p.shut = true
	for _, one := range p.all {
		p.drop(one)
	}
	p.mu.Unlock()
	p.end()
	p.tasks.Wait()
}

// count returns how many logins have parts.
func (p *principals) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

// use is a principal in use by a request. fasthttp closes it when the response is written, or
// cannot be: a stream goes on after its handler has returned.
type use struct {
	of  *principals
	one *principal
}

var _ io.Closer = use{}

// Close implements [io.Closer].
func (u use) Close() error {
	u.of.release(u.one)
	return nil
}

// useKey is the key of a request's use.
type useKey struct{}

// of returns the parts for the caller of a request, which are kept until the response is written.
func (p *principals) of(s *server.Server, ctx *fasthttp.RequestCtx) (*principal, error) {
	if u, ok := ctx.UserValue(useKey{}).(use); ok {
		return u.one, nil
	}
	l, _, err := s.Login(ctx)
	if err != nil {
		return nil, err
	}
	one, err := p.acquire(l)
	if err != nil {
		return nil, err
	}
	ctx.SetUserValue(useKey{}, use{p, one})
	return one, nil
}

// delegated returns the routes of the node with the work done by those of the caller's login.
func (p *principals) delegated(s *server.Server, routes []server.Route) []server.Route {
	for i := range routes {
		routes[i].Handle = func(ctx *fasthttp.RequestCtx) error {
			one, err := p.of(s, ctx)
			if err != nil {
				return err
			}
			err = one.routes[i].Handle(ctx)
			if apierr.Unauthenticated.Is(err) { // Kafka no longer accepts the login
				p.mu.Lock()
				defer p.mu.Unlock()
				p.drop(one)
			}
			return err
		}
	}
	return routes
}

// setIngestRoutes makes t the table of all principals.
func (p *principals) setIngestRoutes(t *ingest.Table) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		if one.ingest != nil { // else it gets the table when it is opened
			one.ingest.SetRoutes(t)
		}
	}
}
