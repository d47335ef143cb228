package schema

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// serve answers with h at the URL that it returns.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// closedURL returns a URL that refuses connections.
func closedURL(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// mute accepts requests and responds to none until the test ends; asked counts them.
func mute(t testing.TB) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	done := make(chan struct{})
	url = serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-done:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(done) }) // before the server's own end, which waits for its requests
	return url, asked
}

func TestOtherURLsTakeOver(t *testing.T) {
	silent, asked := mute(t)
	var failures atomic.Int32
	failing := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		failures.Add(1)
		http.Error(w, `{"error_code":50001,"message":"store"}`, http.StatusInternalServerError)
	})
	for name, first := range map[string]string{"closed": closedURL(t), "silent": silent, "failing": failing} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			s := usual(first, f.URL())
			s.Timeout = time.Second
			r := open(t, s)
			mustResolve(t, r, text("t", userText))
			before := asked.Load() + failures.Load()
			mustResolve(t, r, text("u", userText))
			if asked.Load()+failures.Load() != before {
				t.Error("the URL that failed was asked first again")
			}
		})
	}
}

func TestNoURLAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		url  func(t *testing.T) string
		kind *apierr.Kind
		say  string
	}{
		"closed": {func(t *testing.T) string { return closedURL(t) }, apierr.RegistryAway, "cannot be reached"},
		"silent": {func(t *testing.T) string { u, _ := mute(t); return u }, apierr.RegistryTimedOut, "did not answer in time"},
		"cut off": {func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				_, _ = w.Write([]byte("{"))
			})
		}, apierr.RegistryAway, "cannot be reached"},
		"500": {func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, `{"error_code":50001,"message":"the store is away"}`, http.StatusInternalServerError)
			})
		}, apierr.RegistryAway, "failed with the HTTP status 500"},
		"429": {func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
		}, apierr.RegistryAway, "failed"},
		"web page": {func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
		}, apierr.RegistryFailed, "is not that of a schema registry"},
		"missing page": {func(t *testing.T) string { return serve(t, http.NotFound) }, apierr.RegistryFailed, "is not that of a schema registry"},
		"endless": {func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for page := make([]byte, 1<<16); ; {
					if _, err := w.Write(page); err != nil {
						return
					}
				}
			})
		}, apierr.RegistryFailed, "too large"},
		"no id": {func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":4294967296}`)) })
		}, apierr.RegistryFailed, "the id 4294967296"},
	} {
		t.Run(name, func(t *testing.T) {
			s := usual(c.url(t))
			s.Timeout = 300 * time.Millisecond
			if c.kind != apierr.RegistryTimedOut {
				s.Timeout = 20 * time.Second
			}
			_, err := open(t, s).Resolve(context.Background(), text("t", userText))
			wantError(t, err, c.kind, c.say)
		})
	}
}

// While the registry is away, cached schemas still work, and other look-ups fail at once without
// a request.
func TestRegistryAway(t *testing.T) {
	f := newFake(t)
	var away atomic.Bool
	var asked atomic.Int32
	f.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if away.Load() {
			asked.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return away.Load()
	})
	r := open(t, usual(f.URL()))
	got := mustResolve(t, r, text("t", userText))
	if _, err := r.ByID(context.Background(), codec.Avro, codec.SchemaID{Number: got.ID}); err != nil {
		t.Fatal(err)
	}
	away.Store(true)
	for range 3 {
		_, err := r.Resolve(context.Background(), text("t", otherText))
		wantError(t, err, apierr.RegistryAway, "failed with the HTTP status 503")
		wantLogged(t, err, f.URL())
		_, err = r.ByID(context.Background(), codec.Avro, codec.SchemaID{Number: 77})
		wantError(t, err, apierr.RegistryAway, "failed with the HTTP status 503")
		wantLogged(t, err, f.URL())
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("a registry that was away was asked %d times", n)
	}
	mustResolve(t, r, text("t", userText))
	if _, ok, err := r.Cached(codec.Avro, codec.SchemaID{Number: got.ID}); !ok || err != nil {
		t.Errorf("the cache has %v, %v", ok, err)
	}
	away.Store(false)
	testkit.Eventually(t, 10*time.Second, "the registry to be asked again", func() bool {
		_, err := r.Resolve(context.Background(), text("t", otherText))
		return err == nil
	})
	if s := r.Stats(); s.Away != 1 || s.Answered < 3 || s.Hits == 0 || s.Misses == 0 || s.Cached != 4 || s.Time <= 0 {
		t.Errorf("the figures are %+v", s)
	}
}

// A request on which the registry fails opens no breaker for others, and is not repeated at once.
func TestQuestionThatTheRegistryFailsOver(t *testing.T) {
	f := newFake(t)
	f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		fails := strings.Contains(r.URL.Path, "poison")
		if fails {
			http.Error(w, `{"error_code":50001,"message":"oh"}`, http.StatusInternalServerError)
		}
		return fails
	})
	r := open(t, usual(f.URL()))
	for range 3 {
		_, err := r.Resolve(context.Background(), text("poison", userText))
		wantError(t, err, apierr.RegistryAway, "failed with the HTTP status 500")
		wantLogged(t, err, "oh")
	}
	if asked := f.take(); asked != "POST /subjects/poison-value" {
		t.Errorf("asked %s", asked)
	}
	mustResolve(t, r, text("t", userText))
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker
		down := apierr.RegistryAway.New("down")
		enter := func(what string, mayAsk, isProbe bool) {
			t.Helper()
			if probe, err := b.enter(); (err == nil) != mayAsk || probe != isProbe {
				t.Errorf("%s: %v, to try: %v", what, err, probe)
			}
		}
		for range 3 {
			enter("to begin with", true, false)
			b.leave(false, errors.New("an answer"))
		}
		enter("before a failure", true, false)
		enter("another before it", true, false)
		b.leave(false, down)
		if _, err := b.enter(); err != error(down) {
			t.Errorf("after a failure: %v", err)
		}
		time.Sleep(breakTime)
		enter("later", true, true)
		enter("a second one beside the first", false, false)
		b.leave(false, down) // the other one, begun before
		time.Sleep(breakTime)
		enter("a second one, after an older question has failed", false, false)
		b.leave(true, down)
		enter("after another failure", false, false)
		time.Sleep(breakTime)
		enter("later again", true, true)
		b.leave(true, nil)
		for range 2 { // at once
			enter("after a success", true, false)
		}
	})
}

func TestWhoGivesUpLeavesTheLookUpToOthers(t *testing.T) {
	f := newFake(t)
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	f.Intercept(func(http.ResponseWriter, *http.Request) bool {
		arrived <- struct{}{}
		<-release
		return false
	})
	r := open(t, usual(f.URL()))
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		_, err := r.Resolve(ctx, text("t", userText))
		wantError(t, err, apierr.RegistryTimedOut, "in time")
	})
	<-arrived
	var ids sync.Map
	for range 20 {
		waiting.Go(func() {
			got, err := r.Resolve(context.Background(), text("t", userText))
			if err != nil {
				t.Error(err)
			}
			ids.Store(got.ID, true)
		})
	}
	cancel()
	close(release)
	waiting.Wait()
	if asked := f.take(); asked != "POST /subjects/t-value, POST /subjects/t-value/versions" {
		t.Errorf("21 questions at once asked %s", asked)
	}
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("there are %d ids", n)
	}
}

func TestCloseEndsLookUps(t *testing.T) {
	url, asked := mute(t)
	r := open(t, usual(url))
	failed := make(chan error)
	go func() {
		_, err := r.Resolve(context.Background(), text("t", userText))
		failed <- err
	}()
	testkit.Eventually(t, 10*time.Second, "a request", func() bool { return asked.Load() > 0 })
	r.Close()
	if err := <-failed; !apierr.RegistryTimedOut.Is(err) {
		t.Errorf("got %v", err)
	}
}

func TestCredentials(t *testing.T) {
	const basic = "Basic dTpodW50ZXIy" // u:hunter2
	for name, c := range map[string]struct {
		header string
		change func(*Settings)
	}{
		"basic":  {basic, func(s *Settings) { s.User, s.Password = "u", "hunter2" }},
		"url":    {basic, func(s *Settings) { s.URLs[0] = strings.Replace(s.URLs[0], "//", "//u:hunter2@", 1) }},
		"bearer": {"Bearer hunter2", func(s *Settings) { s.BearerToken = "hunter2" }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, srfake.WithAuth(c.header))
			s := usual(f.URL())
			c.change(&s)
			mustResolve(t, open(t, s), text("t", userText))

			s.Password, s.BearerToken, s.URLs[0] = "", "", strings.Replace(s.URLs[0], "hunter2", "wrong-one", 1)
			_, err := open(t, s).Resolve(context.Background(), text("t", userText))
			kind := apierr.Unauthorized // the fake's response to a wrong password
			if name == "bearer" {
				kind = apierr.Unauthenticated
			}
			wantError(t, err, kind, "The schema registry refuses")
			if strings.Contains(err.Error(), "wrong-one") {
				t.Errorf("a password is shown: %v", err)
			}
			closed := usual(strings.Replace(closedURL(t), "//", "//u:hunter2@", 1))
			_, err = open(t, closed).Resolve(context.Background(), text("t", userText))
			wantError(t, err, apierr.RegistryAway, "cannot be reached")
			if wantLogged(t, err, "http://127"); strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a password is shown: %v", err)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	f := srfake.NewRegistry()
	s := httptest.NewUnstartedServer(f.Handler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	settings := usual(s.URL)
	_, err := open(t, settings).Resolve(context.Background(), text("t", userText))
	wantError(t, err, apierr.RegistryFailed, "does not trust")
	settings.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	settings.TLS.RootCAs.AddCert(s.Certificate())
	mustResolve(t, open(t, settings), text("t", userText))
}

// A refusal of the registry is cached for a while, with the registry's message.
func TestRefusals(t *testing.T) {
	f := newFake(t)
	var refusing atomic.Bool
	refusing.Store(true)
	f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !refusing.Load() || !strings.HasSuffix(r.URL.Path, "/versions") {
			return false
		}
		status, code, message := http.StatusConflict, 409, "Schema being registered is incompatible\n  with an earlier one"
		if strings.Contains(r.URL.Path, "invalid") {
			status, code, message = http.StatusUnprocessableEntity, 42201, strings.Repeat("ü", 1000)
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error_code":%d,"message":%q}`, code, message)
		return true
	})
	r := open(t, usual(f.URL()))
	for range 3 {
		_, err := r.Resolve(context.Background(), text("t", userText))
		wantError(t, err, apierr.RegistryRefused, "refused the schema for the subject t-value: Schema being registered is incompatible with an earlier one.")
	}
	if asked := f.take(); strings.Count(asked, "/versions") != 1 {
		t.Errorf("three times the same asked %s", asked)
	}
	_, err := r.Resolve(context.Background(), text("invalid", userText))
	if wantError(t, err, apierr.InvalidSchema, "üü…"); len(err.(*apierr.Error).Message()) > 600 {
		t.Errorf("the message is long: %s", err.(*apierr.Error).Message())
	}
	refusing.Store(false)
	s := usual(f.URL())
	s.NegativeTTL = 0
	r = open(t, s)
	refusing.Store(true)
	_, err = r.Resolve(context.Background(), text("t", userText))
	wantError(t, err, apierr.RegistryRefused, "incompatible")
	refusing.Store(false)
	mustResolve(t, r, text("t", userText))
}

// A registry may have types of its own; a record with one cannot be decoded.
func TestUnknownType(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"schema":"x","schemaType":"XML"}`))
	})
	_, err := open(t, usual(url)).ByID(context.Background(), codec.Avro, codec.SchemaID{Number: 1})
	wantError(t, err, apierr.Undecodable, "a type that this node does not know")
}

// Schemas that refer to one another in a circle, or to more than is allowed, end in an error and
// not in an endless walk.
func TestEndlessReferences(t *testing.T) {
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var refs []string
		switch name := r.URL.Path; {
		case name == "/schemas/ids/1", strings.HasPrefix(name, "/subjects/b/"):
			refs = []string{"a"}
		case strings.HasPrefix(name, "/subjects/a/"):
			refs = []string{"b"}
		case name == "/schemas/ids/2":
			for i := range maxReferences + 1 {
				refs = append(refs, fmt.Sprintf("many%d", i))
			}
		}
		var list []string
		for _, ref := range refs {
			list = append(list, fmt.Sprintf(`{"name":%q,"subject":%q,"version":1}`, ref, ref))
		}
		_, _ = fmt.Fprintf(w, `{"schema":"{\"type\":\"x\"}","references":[%s]}`, strings.Join(list, ","))
	})
	r := open(t, usual(url))
	_, err := r.ByID(context.Background(), codec.Avro, codec.SchemaID{Number: 1})
	wantError(t, err, apierr.Undecodable, "refers to itself by way of the subject a")
	_, err = r.ByID(context.Background(), codec.Avro, codec.SchemaID{Number: 2})
	wantError(t, err, apierr.Undecodable, "refers to more than")
	if n := asked.Load(); n > maxReferences+10 {
		t.Errorf("%d requests were made", n)
	}
}
