package check

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	mediaV2 = "application/vnd.kafka.v2+json"
	// maxAnswer bounds a response's body.
	maxAnswer = 256 << 20
	// dialTimeout bounds the opening of a connection.
	dialTimeout = 5 * time.Second
)

// mediaOf is the media type of records in format.
func mediaOf(format string) string { return "application/vnd.kafka." + format + ".v2+json" }

// endpoint is a proxy, or one of its nodes.
type endpoint struct {
	host    string // HOST:PORT to dial
	name    string // the Host header
	path    string // before each path of the API
	secure  *tls.Config
	headers http.Header
}

// newEndpoint checks a URL. Errors don't show it, because a password may be in it.
func newEndpoint(raw string, headers http.Header, secure *tls.Config) (*endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("cannot use the proxy's URL: it must be http://HOST:PORT or https://HOST:PORT")
	}
	e := &endpoint{host: u.Host, name: u.Host, path: strings.TrimRight(u.EscapedPath(), "/"), headers: headers.Clone()}
	if e.headers == nil {
		e.headers = http.Header{}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		(&http.Request{Header: e.headers}).SetBasicAuth(u.User.Username(), password)
	}
	if u.Port() == "" {
		e.host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	if u.Scheme == "https" {
		if e.secure = secure.Clone(); e.secure == nil {
			e.secure = &tls.Config{}
		}
		if e.secure.ServerName == "" {
			e.secure.ServerName = u.Hostname()
		}
	}
	return e, nil
}

// line is a client's way to the proxy: one connection at a time, one request at a time, no
// retry and no redirect, so that what was sent and what came back is known exactly.
// net/http's transport sends a GET again by itself when a connection ends under it.
type line struct {
	endpoints []*endpoint
	at        int // the endpoint in use
	timeout   time.Duration
	number    int // of the connection
	conn      net.Conn
	reader    *bufio.Reader
}

func newLine(endpoints []*endpoint, first int, timeout time.Duration) *line {
	return &line{endpoints: endpoints, at: first % len(endpoints), timeout: timeout}
}

// request is what is sent.
type request struct {
	method, path        string
	contentType, accept string
	body                []byte
}

// response is what came of a request. Status is 0 when there was none.
type response struct {
	status int
	body   []byte
	sent   bool // bytes of the request may have left
	late   bool // the time was over
	err    error
}

// do sends a request and waits for its response, for the line's timeout at most. After any
// error the connection is closed, and the next request opens one to the next endpoint.
func (l *line) do(ctx context.Context, q request) response {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	var r response
	if r.err = l.open(ctx); r.err == nil {
		deadline, _ := ctx.Deadline()
		r.err = l.conn.SetDeadline(deadline)
	}
	if r.err == nil {
		r.err = l.exchange(q, &r)
	}
	if r.err != nil {
		var timeout net.Error
		r.late = r.sent && (ctx.Err() != nil || errors.As(r.err, &timeout) && timeout.Timeout())
		r.status, r.body = 0, nil
		l.close()
		l.at = (l.at + 1) % len(l.endpoints)
	}
	return r
}

func (l *line) open(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	e := l.endpoints[l.at]
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", e.host)
	if err == nil && e.secure != nil {
		secured := tls.Client(conn, e.secure)
		if err = secured.HandshakeContext(ctx); err != nil {
			conn.Close()
		}
		conn = secured
	}
	if err != nil {
		return fmt.Errorf("cannot reach the proxy: %w", err)
	}
	l.conn, l.reader = conn, bufio.NewReader(conn)
	l.number++
	return nil
}

func (l *line) exchange(q request, r *response) error {
	e := l.endpoints[l.at]
	req, err := http.NewRequest(q.method, "http://"+e.name+e.path+q.path, bytes.NewReader(q.body))
	if err != nil {
		return err
	}
	for name, values := range e.headers {
		req.Header[name] = values
	}
	if q.contentType != "" {
		req.Header.Set("Content-Type", q.contentType)
	}
	if q.accept != "" {
		req.Header.Set("Accept", q.accept)
	}
	var text bytes.Buffer
	if err := req.Write(&text); err != nil {
		return err
	}
	r.sent = true
	if _, err := l.conn.Write(text.Bytes()); err != nil {
		return err
	}
	resp, err := http.ReadResponse(l.reader, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return err
	}
	r.status = resp.StatusCode
	if resp.Close {
		l.close()
	}
	return nil
}

// close ends the connection, if there is one.
func (l *line) close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn, l.reader = nil, nil
	}
}
