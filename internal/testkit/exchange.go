package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exchangeTimeout bounds one request and its answer.
const exchangeTimeout = 30 * time.Second

// RunExchanges plays the requests of a golden file against the server at base
// ("http://host:port") and fails t where an answer differs. The file looks so:
//
//	# A comment. Blank lines and comments stand between exchanges.
//	> POST /topics/${topic}
//	> Content-Type: application/vnd.kafka.json.v2+json
//	>
//	> {"records":[{"value":1}]}
//	< 200
//	< Content-Type: application/vnd.kafka.v2+json
//	< !Retry-After
//	<
//	< {"offsets":[{"partition":0,"offset":${o:*},…
//
// "> " and "< " (or a bare ">" or "<") begin every line of a request and of its answer. The
// request goes out just as written, plus Host, and Content-Length where it has a body; each may
// be given instead. With Transfer-Encoding: chunked every body line becomes a chunk. Lines of a
// body are joined by newlines, with none after the last.
//
// The answer's status and body must be those of the file; no body in the file
// means that it must be empty, and the one line "..." allows any. Of the headers
// only those in the file are compared: a name must have just the listed values,
// in order, and "!Name" says that it must be absent.
//
// ${name} is replaced by vars, which is extended: base, host ("host:port") and
// cr (a carriage return) are always there. In answers ${name:*} matches one or
// more characters, as few as possible, and ${name:regexp} what it says; a
// matched text gets the name for the rest of the file, ${:*} drops it.
//
// The file's exchanges share a connection as long as the server keeps it.
func RunExchanges(t *testing.T, file, base string, vars map[string]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("cannot read exchanges: %v", err)
	}
	if err := playExchanges(file, string(text), base, vars); err != nil {
		t.Error(err)
	}
}

// playExchanges plays text and returns all that differed. After an exchange
// that went wrong the rest is still played, unless a variable is missing.
func playExchanges(file, text, base string, vars map[string]string) error {
	all, err := parseExchanges(file, text)
	if err != nil {
		return err
	}
	host := strings.TrimPrefix(base, "http://")
	known := map[string]string{"base": base, "host": host, "cr": "\r"}
	for name, value := range vars {
		known[name] = value
	}
	p := player{file: file, host: host, vars: known}
	defer p.hangUp()
	var errs []error
	for _, ex := range all {
		errs = append(errs, p.play(ex)...)
	}
	return errors.Join(errs...)
}

// player plays the exchanges of one file over one connection.
type player struct {
	file, host string
	vars       map[string]string
	conn       net.Conn // nil when the next exchange needs a new one
	in         *bufio.Reader
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	last   bool // the server closes the connection after it
}

func (p *player) play(ex *exchange) []error {
	request, err := p.request(ex)
	if err != nil {
		return []error{p.errorf(ex.line, "%w", err)}
	}
	got, err := p.roundTrip(ex.method, request)
	if err != nil {
		p.hangUp()
		return []error{p.errorf(ex.line, "%s %s: %w", ex.method, ex.target, err)}
	}
	var errs []error
	if got.status != ex.status {
		errs = append(errs, p.errorf(ex.statusLine, "%s %s: want status %d, have %d with body\n\t%s",
			ex.method, ex.target, ex.status, got.status, got.body))
	}
	errs = append(errs, p.checkHeader(ex, got)...)
	if err := p.checkBody(ex, got); err != nil {
		errs = append(errs, err)
	}
	return errs
}

func (p *player) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", p.file, line, fmt.Errorf(format, args...))
}

// request renders what goes onto the wire.
func (p *player) request(ex *exchange) ([]byte, error) {
	body := strings.Join(ex.body, "\n")
	var head strings.Builder
	given := map[string]string{}
	fmt.Fprintf(&head, "%s %s HTTP/1.1\n", ex.method, ex.target)
	for _, f := range ex.header {
		given[http.CanonicalHeaderKey(f.name)] = f.value
		fmt.Fprintf(&head, "%s: %s\n", f.name, f.value)
	}
	body, err := expand(body, p.vars)
	if err != nil {
		return nil, err
	}
	if _, ok := given["Host"]; !ok {
		head.WriteString("Host: ${host}\n")
	}
	_, sized := given["Content-Length"]
	switch {
	case strings.EqualFold(given["Transfer-Encoding"], "chunked"):
		body = chunked(strings.Split(body, "\n"))
	case ex.body != nil && !sized:
		fmt.Fprintf(&head, "Content-Length: %d\n", len(body))
	}
	out, err := expand(head.String(), p.vars)
	if err != nil {
		return nil, err
	}
	return []byte(strings.ReplaceAll(out, "\n", "\r\n") + "\r\n" + body), nil
}

// chunked sends each line, with its newline, as one chunk.
func chunked(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "%x\r\n%s\n\r\n", len(line)+1, line)
	}
	return b.String() + "0\r\n\r\n"
}

// roundTrip sends a request and reads its answer, over the connection of the
// last exchange if that is still open.
func (p *player) roundTrip(method string, request []byte) (*answer, error) {
	if p.conn == nil {
		conn, err := net.DialTimeout("tcp", p.host, exchangeTimeout)
		if err != nil {
			return nil, err
		}
		p.conn, p.in = conn, bufio.NewReader(conn)
	}
	if err := p.conn.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		return nil, err
	}
	// A server may answer and hang up before it has read all of a request that
	// it refuses; the answer then still counts, so the write's error waits.
	_, writeErr := p.conn.Write(request)
	got, err := readAnswer(p.in, method)
	if err != nil {
		return nil, errors.Join(writeErr, fmt.Errorf("cannot read the answer: %w", err))
	}
	if n := p.in.Buffered(); n > 0 {
		return nil, fmt.Errorf("%d bytes came after the end of the answer", n)
	}
	if got.last {
		p.hangUp()
	}
	return got, nil
}

// readAnswer reads one answer. net/http's own reader would take the headers
// about framing and connection away, which the golden files want to see.
func readAnswer(in *bufio.Reader, method string) (*answer, error) {
	tp := textproto.NewReader(in)
	line, err := tp.ReadLine()
	if err != nil {
		return nil, err
	}
	var got answer
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %3d", &got.status); err != nil {
		return nil, fmt.Errorf("bad status line %q", line)
	}
	header, err := tp.ReadMIMEHeader()
	if err != nil {
		return nil, fmt.Errorf("bad header: %w", err)
	}
	got.header = http.Header(header)
	got.last = strings.EqualFold(got.header.Get("Connection"), "close")
	if got.status/100 == 1 {
		return readAnswer(in, method) // 100 Continue and its like announce the answer
	}
	var body io.Reader = in // until the end of the connection
	length, sized := got.header["Content-Length"]
	switch {
	case method == http.MethodHead || got.status == http.StatusNoContent || got.status == http.StatusNotModified:
		return &got, nil
	case strings.EqualFold(got.header.Get("Transfer-Encoding"), "chunked"):
		body = httputil.NewChunkedReader(in)
	case sized:
		n, err := strconv.Atoi(length[0])
		if err != nil {
			return nil, fmt.Errorf("bad Content-Length: %w", err)
		}
		text := make([]byte, n)
		_, err = io.ReadFull(in, text)
		got.body = string(text)
		return &got, err
	}
	text, err := io.ReadAll(body)
	got.last = got.last || body == in
	if err == nil && !got.last {
		_, err = tp.ReadLine() // the empty line after the last chunk
	}
	got.body = string(text)
	return &got, err
}

func (p *player) hangUp() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

func (p *player) checkHeader(ex *exchange, got *answer) []error {
	var errs []error
	listed := map[string][]field{}
	var names []string
	for _, f := range ex.want {
		key := http.CanonicalHeaderKey(f.name)
		if listed[key] == nil {
			names = append(names, key)
		}
		listed[key] = append(listed[key], f)
	}
	for _, name := range names {
		fields, have := listed[name], got.header.Values(name)
		line := fields[0].line
		switch {
		case fields[0].absent:
			if len(have) > 0 {
				errs = append(errs, p.errorf(line, "want no header %s, have %q", name, have))
			}
		case len(have) != len(fields):
			errs = append(errs, p.errorf(line, "want %d of header %s, have %q", len(fields), name, have))
		default:
			for i, f := range fields {
				errs = append(errs, p.checkText(f.line, "header "+name, f.value, have[i])...)
			}
		}
	}
	return errs
}

func (p *player) checkBody(ex *exchange, got *answer) error {
	if slices.Equal(ex.wantBody, []string{"..."}) {
		return nil
	}
	line := ex.bodyLine
	if ex.wantBody == nil {
		line = ex.statusLine
	}
	return errors.Join(p.checkText(line, "body", strings.Join(ex.wantBody, "\n"), got.body)...)
}

// checkText compares what came with a pattern of the file, and says where they part.
func (p *player) checkText(line int, what, pattern, got string) []error {
	ok, fits, err := match(pattern, got, p.vars)
	switch {
	case err != nil:
		return []error{p.errorf(line, "%s: %w", what, err)}
	case ok:
		return nil
	}
	return []error{p.errorf(line, "%s differs from byte %d on:\n\twant %s\n\thave %s\n\tfrom %s",
		what, fits, visible(pattern), visible(got), visible(got[fits:]))}
}

// visible quotes a text only as far as it must be to be read.
func visible(s string) string {
	if s == "" {
		return "(nothing)"
	}
	q := strconv.Quote(s)
	if q == `"`+strings.ReplaceAll(s, `"`, `\"`)+`"` {
		return s
	}
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
