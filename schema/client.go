package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/internal/apierr"
)

// client makes the calls to the registry, at whichever of its URLs answers.
// pkg/sr can take several URLs itself, but begins with the first one each time
// and gives a dead one all the time there is; and it shows passwords of URLs in
// its errors. So there is one of its clients for each URL.
type client struct {
	sites   []*site
	current atomic.Int32 // the site that answered last
	http    *http.Client
	breaker breaker
	figures figures
}

// site is one URL.
type site struct {
	*sr.Client
	shown string // the URL without a password
}

func newClient(s Settings) (*client, error) {
	transport := &http.Transport{
		TLSClientConfig:     s.TLS.Clone(),
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: s.Timeout,
		// A registry is not there for thousands of questions at once.
		MaxConnsPerHost:     32,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     30 * time.Second,
	}
	c := &client{http: &http.Client{Transport: bounded{transport}}}
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

// repeatable lets the transport send a request again on a new connection when
// the registry had closed the old one: to register twice is to register once.
// The header without a value is a word to net/http and is not sent.
func repeatable(r *http.Request) error {
	r.Header["X-Idempotency-Key"] = nil
	return nil
}

// call has ask make one request, at the site that answered last and then at the
// others, within ctx's deadline, of which each gets its share. The error is what
// the registry answered, a [*sr.ResponseError], or one of ours.
func (c *client) call(ctx context.Context, ask func(context.Context, *sr.Client) error) (err error) {
	probe, err := c.breaker.enter()
	if err != nil {
		return err
	}
	defer func() { c.breaker.leave(probe, err) }()
	return c.callAny(ctx, ask)
}

func (c *client) callAny(ctx context.Context, ask func(context.Context, *sr.Client) error) (err error) {
	if len(c.sites) == 0 {
		return apierr.UnsupportedMedia.New("This server has no schema registry, which the format needs.")
	}
	start := int(c.current.Load())
	for i := range c.sites {
		at := (start + i) % len(c.sites)
		err = c.callOne(ctx, c.sites[at], len(c.sites)-i, ask)
		if !isOutage(err) && !apierr.RegistryFailed.Is(err) {
			c.current.Store(int32(at))
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return err
}

// callOne asks one site; it may take its share of the time that ctx leaves for
// so many sites.
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
	c.figures.add(err, time.Since(began))
	return err
}

func (c *client) close() { c.http.CloseIdleConnections() }

// breaker keeps questions away from a registry that does not answer: after a
// failure all fail at once for a moment, then one may try.
type breaker struct {
	mu      sync.Mutex
	last    error // of the failure; nil while the registry answers
	until   time.Time
	testing bool // by the one question that may
}

// breakTime is how long a registry that did not answer is left alone.
const breakTime = time.Second

// enter returns an error while no question may be asked; who gets none must
// call leave, and tell it whether it was the one that may try.
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

// leave takes what came of a question, which may have been asked before the
// registry was found to be away.
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

func isOutage(err error) bool {
	return apierr.RegistryAway.Is(err) || apierr.RegistryTimedOut.Is(err)
}

// isOwn reports whether an outage may be one of this question only: one that
// has the registry fail must not keep the others from it.
func isOwn(err error) bool {
	var e *sr.ResponseError
	return errors.As(err, &e) && (e.StatusCode == http.StatusInternalServerError || e.StatusCode == http.StatusTooManyRequests)
}

// bounded is a transport whose answers have an end, as pkg/sr reads them whole.
type bounded struct{ *http.Transport }

// maxAnswer bounds one answer: the largest schema text, escaped, with what
// stands around it.
const maxAnswer = 8 << 20

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, maxAnswer}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errAnswerTooLarge = fmt.Errorf("the answer has more than %d bytes", maxAnswer)

// errCut says that an answer ended before its end. pkg/sr hands on what its
// reading of the body failed with, and has no name of its own for that.
type errCut struct{ error }

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return 0, errAnswerTooLarge
	}
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader returns io.EOF itself
		err = errCut{err}
	}
	return n, err
}
