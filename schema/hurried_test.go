package schema

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/internal/apierr"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// slow is a registry that answers each question after that time.
func slow(after time.Duration) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(after):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		body := io.NopCloser(strings.NewReader(`{"id":1,"version":1,"schema":"{\"type\":\"x\"}"}`))
		return &http.Response{StatusCode: http.StatusOK, Body: body, Request: r}, nil
	})
}

// A schema whose compilation takes most of the time of its look-up leaves the registry too little.
// That is no outage of the registry: the look-ups of others go on.
func TestTimeThatTheCompilerTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := usual("http://registry")
		r := open(t, s)
		r.client.http.Transport = slow(s.Timeout / 5)
		r.formats[codec.Avro].compile = func(text string, references []reference) (compiled, error) {
			if text == userText {
				time.Sleep(s.Timeout * 9 / 10)
			}
			return compileRaw(text, references)
		}
		_, err := r.Resolve(context.Background(), text("t", userText))
		wantError(t, err, apierr.RegistryTimedOut, "did not answer in time")
		mustResolve(t, r, text("t", otherText))
	})
}

// Such a look-up tells nothing of a registry that was away either: the next one finds out.
func TestHurriedProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := usual("http://registry")
		r := open(t, s)
		r.client.breaker.leave(false, apierr.RegistryAway.New("away"))
		time.Sleep(breakTime)

		hurried, cancel := context.WithTimeout(context.Background(), s.Timeout/10)
		defer cancel()
		wait := func(ctx context.Context, _ *sr.Client) error { <-ctx.Done(); return ctx.Err() }
		if err := r.client.call(hurried, wait); !apierr.RegistryTimedOut.Is(err) {
			t.Errorf("the hurried one got %v", err)
		}
		if probe, err := r.client.breaker.enter(); !probe || err != nil {
			t.Errorf("the next one is a probe: %v, %v", probe, err)
		}
	})
}
