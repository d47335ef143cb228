package loadtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"millrace/codec/json"
)

const (
	// hitHeader carries the number of a produce request from the place that
	// made it to the transport, and back on the answer. It never leaves this
	// process.
	hitHeader = "X-Loadtest-Hit"
	// vegetaHeader is vegeta's own numbering, which is of no use to a proxy.
	vegetaHeader = "X-Vegeta-Seq"

	mediaV2 = "application/vnd.kafka.v2+json"
)

// mediaOf is the media type of records in format.
func mediaOf(format string) string { return "application/vnd.kafka." + format + ".v2+json" }

// endpoint is the proxy under test and how to speak to it.
type endpoint struct {
	base    string // URL without a trailing slash and without credentials
	headers http.Header
	secrets []string // values that must not be shown
	client  *http.Client
}

// newEndpoint checks o.URL and builds the connections' pool.
func newEndpoint(o Options, timeout time.Duration) (*endpoint, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// Not the URL itself: there may be a password in it.
		return nil, fmt.Errorf("cannot use the proxy's URL: it must be http://HOST:PORT or https://HOST:PORT")
	}
	e := &endpoint{headers: http.Header{}}
	for name, values := range o.Headers {
		e.headers[http.CanonicalHeaderKey(name)] = values
		e.secrets = append(e.secrets, values...)
	}
	if user := u.User; user != nil {
		password, _ := user.Password()
		req := http.Request{Header: e.headers}
		req.SetBasicAuth(user.Username(), password)
		e.secrets = append(e.secrets, e.headers.Get("Authorization"), password)
		u.User = nil
	}
	e.base = strings.TrimRight(u.String(), "/")
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	e.client = &http.Client{
		// A redirect would be measured as two requests, and would carry the
		// headers to a place that nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     newWire(u.Scheme, address, o.TLS, timeout),
	}
	return e, nil
}

func cloneTLS(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	return c.Clone()
}

// close ends the idle connections.
func (e *endpoint) close() { e.client.CloseIdleConnections() }

// header returns our headers with the given pairs, for one request to keep.
func (e *endpoint) header(pairs ...string) http.Header {
	h := make(http.Header, len(e.headers)+len(pairs)/2+1)
	for name, values := range e.headers {
		h[name] = values
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			h[pairs[i]] = []string{pairs[i+1]}
		}
	}
	return h
}

// call makes one request outside of the measurement.
func (e *endpoint) call(ctx context.Context, method, path, contentType, body string) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, e.base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("cannot make a request to %s: %w", path, err)
	}
	req.Header = e.header("Content-Type", contentType)
	resp, err := e.client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot reach the proxy: %s", e.redact(err.Error()))
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// probeTimeout bounds the question whether there is a proxy at all.
const probeTimeout = 30 * time.Second

// Probe returns an error unless a Kafka REST proxy answers at o.URL. A run against anything else
// would count errors for as long as it was told to take.
func Probe(ctx context.Context, o Options) error {
	to, err := newEndpoint(o, probeTimeout)
	if err != nil {
		return err
	}
	defer to.close()
	return to.probe(ctx)
}

// probe asks for the topics. A proxy returns a list, or an error in its own form, such as that of
// a caller who may not list topics.
func (e *endpoint) probe(ctx context.Context) error {
	status, answer, err := e.call(ctx, http.MethodGet, "/topics", "", "")
	if err != nil {
		return err
	}
	var topics []string
	var refused struct {
		Code *int `json:"error_code"`
	}
	switch {
	case status == http.StatusOK && json.Unmarshal(answer, &topics) == nil,
		status >= http.StatusBadRequest && json.Unmarshal(answer, &refused) == nil && refused.Code != nil:
		return nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("cannot use %s: it answers GET /topics with %d; --header 'Authorization: …' sends credentials", e.base, status)
	}
	return fmt.Errorf("%s is no Kafka REST proxy: it answers GET /topics with %d and %s", e.base, status, e.redact(opening(answer)))
}

// opening returns the beginning of a response, in quotes.
func opening(answer []byte) string {
	const most = 60
	if len(answer) > most {
		answer = append(bytes.Clone(answer[:most]), "…"...)
	}
	return fmt.Sprintf("%q", answer)
}

// redact takes the values of our headers out of a text from outside.
func (e *endpoint) redact(text string) string {
	for _, s := range e.secrets {
		for _, word := range append([]string{s}, strings.Fields(s)...) {
			// A short word such as "Basic" or "1" is no secret and may be
			// part of any sentence.
			if len(word) > 6 {
				text = strings.ReplaceAll(text, word, "***")
			}
		}
	}
	return text
}

// transport stands between vegeta and the network for one flow: it notes the
// time when a request really leaves, and lets an answer be matched with it.
type transport struct {
	base http.RoundTripper
	sent func(request uint64)
}

// RoundTrip implements http.RoundTripper. It changes the headers of requests
// and answers, which are all ours.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	hit := req.Header[hitHeader]
	delete(req.Header, hitHeader)
	delete(req.Header, vegetaHeader)
	if len(hit) == 1 {
		if n, err := strconv.ParseUint(hit[0], 10, 64); err == nil {
			t.sent(n)
		}
	}
	resp, err := t.base.RoundTrip(req)
	if resp != nil && len(hit) == 1 {
		resp.Header[hitHeader] = hit
	}
	return resp, err
}

// ReadHeaders reads "Name: value" lines, in which ${NAME} stands for a variable
// of the environment and a leading @ of the value for a file that holds it, so
// that secrets need not stand on a command line. Errors name the header only.
func ReadHeaders(lines []string) (http.Header, error) {
	h := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, fmt.Errorf("cannot use a header: it must be written Name: value")
		}
		if file, isFile := strings.CutPrefix(value, "@"); isFile {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("cannot read header %s: %w", name, err)
			}
			value = strings.TrimSpace(string(text))
		} else {
			value = os.Expand(value, os.Getenv)
		}
		if strings.ContainsAny(value, "\r\n") {
			return nil, fmt.Errorf("cannot use header %s: its value has more than one line", name)
		}
		h[http.CanonicalHeaderKey(name)] = append(h[http.CanonicalHeaderKey(name)], value)
	}
	return h, nil
}
