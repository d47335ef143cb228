package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/time/rate"

	"millrace/internal/apierr"
)

// client makes the requests to the registry, at the first of its URLs that responds. pkg/sr can
// take several URLs itself, but begins with the first one each time and gives a dead one all the
// time available; and it shows passwords of URLs in its errors. So client has one of its clients
// for each URL.
type client struct {
	sites   []*site
	current atomic.Int32 // the site that responded last
	http    *http.Client
	breaker breaker
	figures figures
	log     *slog.Logger
	timeout time.Duration  // of a look-up
	refused rate.Sometimes // logs that this node is refused, which its clients cannot mend
}

// site is one URL.
type site struct {
	*sr.Client
	shown string // the URL without a password
}

func newClient(s Settings, log *slog.Logger) (*client, error) {
	transport := &http.Transport{
		TLSClientConfig:   s.TLS.Clone(),
		ForceAttemptHTTP2: true,
		// With HTTP/2 a request that times out leaves its connection in use, though it may lead
		// nowhere, until TCP gives up after a quarter of an hour. One that is silent is asked.
		HTTP2:               &http.HTTP2Config{SendPingTimeout: s.Timeout / 3, PingTimeout: s.Timeout / 3},
		TLSHandshakeTimeout: s.Timeout,
		// A registry is not built for thousands of concurrent requests.
		MaxConnsPerHost:     32,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     30 * time.Second,
	}
	c := &client{http: &http.Client{Transport: sized{transport}}, log: log, timeout: s.Timeout, refused: rate.Sometimes{First: 1, Interval: time.Minute}}
	for _, text := range s.URLs {
		u, err := url.Parse(text)
		if err != nil { // its text may hold a password
			return nil, errors.New("cannot parse a URL of the schema registry")
		}
		user, password := s.User, s.Password
		if u.User != nil && user == "" && s.BearerToken == "" {
			user = u.User.Username()
			password, _ = u.User.Password()
		}
		u.User = nil
		options := []sr.ClientOpt{
			sr.URLs(u.String()), sr.HTTPClient(c.http), sr.UserAgent("millrace"), sr.PreReq(repeatable),
		}
		if user != "" {
			options = append(options, sr.BasicAuth(user, password))
		}
		if s.BearerToken != "" {
			options = append(options, sr.BearerToken(s.BearerToken))
		}
		one, err := sr.NewClient(options...)
		if err != nil {
			return nil, fmt.Errorf("cannot make a client of the schema registry %s: %w", u, err)
		}
		c.sites = append(c.sites, &site{one, u.String()})
	}
	return c, nil
}

// repeatable lets the transport retry a request on a new connection when the registry had closed
// the old one: registering is idempotent. The header without a value is a signal to net/http and
// is not sent.
func repeatable(r *http.Request) error {
	r.Header["X-Idempotency-Key"] = nil
	return nil
}

// call makes one request with ask, at the site that responded last and then at the others, within
// ctx's deadline, of which each site gets its share. The error is the registry's response, a
// [*sr.ResponseError], or one of ours.
func (c *client) call(ctx context.Context, ask func(context.Context, *sr.Client) error) (err error) {
	probe, err := c.breaker.enter()
	if err != nil {
		return err
	}
	hurried := c.hurried(ctx)
	defer func() {
		if hurried && apierr.RegistryTimedOut.Is(err) {
			c.breaker.abandon(probe)
			return
		}
		c.breaker.leave(probe, err)
	}()
	return c.callAny(ctx, ask)
}

// hurried reports whether most of the time of ctx's look-up has been spent, by a compiler or other
// calls: that the registry does not respond in what is left is no outage.
func (c *client) hurried(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < c.timeout/2
}

func (c *client) callAny(ctx context.Context, ask func(context.Context, *sr.Client) error) (err error) {
	if len(c.sites) == 0 {
		return apierr.UnsupportedMedia.New("This node has no schema registry, which the format needs.")
	}
	start := int(c.current.Load())
	for i := range c.sites {
		at := (start + i) % len(c.sites)
		err = c.callOne(ctx, c.sites[at], len(c.sites)-i, ask)
		if !isOutage(err) && !isFault(err) {
			c.current.Store(int32(at))
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return err
}

// callOne makes the request at one site, within its share of the time that ctx leaves for so many
// sites.
func (c *client) callOne(ctx context.Context, s *site, sites int, ask func(context.Context, *sr.Client) error) error {
	began := time.Now()
	if deadline, ok := ctx.Deadline(); ok && sites > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(sites))
		defer cancel()
	}
	err := ask(ctx, s.Client)
	if err != nil {
		err = fault(ctx, s.shown, err)
	}
	if apierr.Unauthenticated.Is(err) || apierr.Unauthorized.Is(err) {
		c.refused.Do(func() { c.log.Warn("the schema registry refuses this node", "err", err) })
	}
	c.figures.add(err, time.Since(began))
	return err
}

func (c *client) close() { c.http.CloseIdleConnections() }

// breaker is the circuit breaker of a registry that does not respond: after a failure all
// requests fail at once for a moment, then one request may probe it.
type breaker struct {
	mu      sync.Mutex
	last    error // error of the failure; nil while the registry responds
	until   time.Time
	testing bool // a probe is in flight
}

// breakTime is how long a registry that did not respond gets no request.
const breakTime = time.Second

// enter returns an error while the breaker is open. A caller that gets no error must call leave or
// abandon, with probe as enter returned it.
func (b *breaker) enter() (probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.last == nil:
		return false, nil
	case b.testing || time.Now().Before(b.until):
		return false, b.last
	}
	b.testing = true
	return true, nil
}

// leave records the result of a request, which may have begun before the breaker opened.
func (b *breaker) leave(probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.testing = false
	}
	if b.last = nil; isOutage(err) && !isOwn(err) {
		b.last, b.until = err, time.Now().Add(breakTime)
	}
}

// abandon is leave for a request whose result tells nothing of the registry.
func (b *breaker) abandon(probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.testing = b.testing && !probe
}

func isOutage(err error) bool {
	return apierr.RegistryAway.Is(err) || apierr.RegistryTimedOut.Is(err)
}

// isFault reports whether a site does not work with this node, so that another one may.
func isFault(err error) bool {
	return apierr.RegistryFailed.Is(err) || apierr.Unauthenticated.Is(err) || apierr.Unauthorized.Is(err)
}

// isOwn reports whether an outage may be one of this request only. A request on which the
// registry fails must not open the breaker for the others.
func isOwn(err error) bool {
	var e *sr.ResponseError
	return errors.As(err, &e) && (e.StatusCode == http.StatusInternalServerError || e.StatusCode == http.StatusTooManyRequests)
}

// sized is a transport that bounds responses, which pkg/sr reads whole.
type sized struct{ *http.Transport }

// maxResponse bounds one response: the largest schema text, escaped, with the members around it.
const maxResponse = 8 << 20

// RoundTrip implements [http.RoundTripper].
func (b sized) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = &sizedBody{resp.Body, maxResponse}
	}
	return resp, err
}

type sizedBody struct {
	io.ReadCloser
	left int
}

var errResponseTooLarge = fmt.Errorf("the response has more than %d bytes", maxResponse)

// errCut reports that a response was cut. pkg/sr returns the error of reading the body as it is,
// and has no type of its own for it.
type errCut struct{ error }

func (b *sizedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return 0, errResponseTooLarge
	}
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader returns io.EOF itself
		err = errCut{err}
	}
	return n, err
}
