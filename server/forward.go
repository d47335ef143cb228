package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/cluster"
	"millrace/internal/apierr"
)

// The headers between nodes. A request that has the first was sent on by
// another node and is sent on no further.
const (
	// headerSecret proves that a node sends it.
	headerSecret = "X-Millrace-Secret"
	// headerMethod is the method of the request. All are sent on as POST,
	// which Go's HTTP client never sends twice by itself: a read that came
	// twice would confirm an answer that nobody got.
	headerMethod = "X-Millrace-Method"
	// headerAgain says that the answer to a request before this one was lost.
	// If it was a read, its records are to come again.
	headerAgain = "X-Millrace-Again"
	// headerElsewhere, in an answer, says that nothing was done, or nothing
	// that may not be done again, because the instance is not, or not much
	// longer, at the node that was asked.
	headerElsewhere = "X-Millrace-Elsewhere"
	// headerPage, in the answer to a read, numbers it for the notice of whether
	// it arrived. headerNotices says that a request is such notices.
	headerPage    = "X-Millrace-Page"
	headerNotices = "X-Millrace-Notices"
)

const (
	// patience is how long a request waits for an instance to get a new node.
	patience = 5 * time.Second
	// relook is how soon it looks again when nothing has changed.
	relook = 250 * time.Millisecond
	// peerDial bounds the opening of a connection to another node.
	peerDial = 2 * time.Second
	// maxWhole is the largest answer that is held as a whole; larger ones are streamed.
	maxWhole = 64 << 10
)

// Peering is how the nodes of one service talk to one another.
type Peering struct {
	// Secret is known to all nodes and nobody else.
	Secret string
	// TLS is for nodes that are reached by https://; nil means the system's roots.
	TLS *tls.Config
	// Lease is how long a node that does not show up still counts as alive.
	Lease time.Duration
}

// forwarder sends requests on to other nodes.
type forwarder struct {
	node                  *cluster.Node
	settings              Peering
	secret                [sha256.Size]byte
	client                *http.Transport
	pages                 *pages
	notices               *notices
	ways                  *ways
	answered, moved, lost atomic.Uint64
}

// newForwarder returns nil when there is no node, that is, no cluster.
func newForwarder(node *cluster.Node, s Peering) *forwarder {
	if node == nil {
		return nil
	}
	f := &forwarder{
		pages: newPages(), node: node, settings: s, secret: sha256.Sum256([]byte(s.Secret)),
		client: &http.Transport{
			// A stream may be silent, but not its connection.
			DialContext:         (&net.Dialer{Timeout: peerDial, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}).DialContext,
			TLSClientConfig:     s.TLS,
			TLSHandshakeTimeout: peerDial,
			DisableCompression:  true, // what the client accepts is passed on
			// The other side ends idle connections. That this one does so means
			// that it is gone: see [consumer.Passage].
			MaxIdleConnsPerHost: math.MaxInt32,
			IdleConnTimeout:     0,
		},
	}
	f.notices = &notices{post: f.postNotices, queues: make(map[string][]notice)}
	f.ways = &ways{post: f.postNotices, seen: make(map[string]seen)}
	return f
}

// Forwards returns how many requests were sent on: answered, refused because
// the instance is elsewhere, and without an answer.
func (s *Server) Forwards() (answered, moved, lost uint64) {
	if f := s.forwarder; f != nil {
		return f.answered.Load(), f.moved.Load(), f.lost.Load()
	}
	return 0, 0, 0
}

// forwardedKey stands among the user values of a request from another node.
type forwardedKey struct{}

func isForwarded(ctx *fasthttp.RequestCtx) bool { return ctx.UserValue(forwardedKey{}) != nil }

// receive gives a request from another node its method back. Errors: from who
// does not know the secret.
func (s *Server) receive(ctx *fasthttp.RequestCtx) error {
	if s.forwarder == nil {
		return nil
	}
	secret := ctx.Request.Header.Peek(headerSecret)
	if len(secret) == 0 {
		ctx.Request.Header.Del(headerAgain) // which is the nodes' to say
		return nil
	}
	sum := sha256.Sum256(secret)
	ctx.Request.Header.Del(headerSecret)
	if subtle.ConstantTimeCompare(sum[:], s.forwarder.secret[:]) != 1 {
		return apierr.Unauthorized.New("The header %s is for the other nodes of this service, and it does not have their secret.", headerSecret)
	}
	ctx.SetUserValue(forwardedKey{}, string(ctx.Request.Header.Method()))
	ctx.Request.Header.SetMethodBytes(ctx.Request.Header.Peek(headerMethod))
	ctx.Request.Header.Del(headerMethod)
	return nil
}

// markElsewhere tells the node that has sent the request that it may try again,
// here or elsewhere, when the error says that this node cannot serve it.
func markElsewhere(ctx *fasthttp.RequestCtx, e *apierr.Error) {
	if isForwarded(ctx) && (e.Kind == apierr.InstanceMoved || e.Kind == apierr.Draining || errors.Is(e, cluster.ErrCutOff)) {
		ctx.Response.Header.Set(headerElsewhere, "true")
	}
}

// restore gives a request from another node the method back that it came with,
// by which the answer is written.
func restore(ctx *fasthttp.RequestCtx) {
	method, ok := ctx.UserValue(forwardedKey{}).(string)
	if !ok {
		return
	}
	if ctx.IsHead() {
		ctx.Response.ResetBody()
	}
	ctx.Request.Header.SetMethod(method)
}

// elsewhere answers a request about a consumer instance that another node has,
// by sending it on. It is false when the instance is this node's to serve.
func (s *Server) elsewhere(ctx *fasthttp.RequestCtx) (done bool, err error) {
	group, name, err := instanceParams(ctx)
	if err != nil {
		return true, err
	}
	life := consume
	if ctx.IsGet() { // else what the client has asked for is done though it hangs up
		c := connOf(ctx)
		life = c.attend()
		defer c.unattend()
	}
	wait, cancel := context.WithTimeout(life, patience)
	defer cancel()
	refused := ""
	for {
		changed := s.forwarder.node.Changed()
		place, err := s.forwarder.node.Find(wait, group, name, refused)
		switch {
		case life.Err() != nil:
			return true, orGone(life, life.Err())
		case wait.Err() != nil:
			return true, apierr.InstanceMoved.Wrap(err, "The consumer instance is moving from one server to another. Try again.")
		case err != nil:
			return true, err
		case place.URL == "":
			return false, nil
		case isForwarded(ctx): // the other node may know better soon, or this one
			return true, apierr.InstanceMoved.Err()
		}
		outcome, err := s.forwarder.send(life, s, ctx, place)
		switch outcome {
		case answered:
			return true, err
		case unreachable:
			refused = place.Node
		case unanswered:
			ctx.Request.Header.Set(headerAgain, "true") // to whoever serves it now
		}
		select {
		case <-changed:
		case <-time.After(relook):
		case <-wait.Done():
			return true, apierr.InstanceMoved.Wrap(err, "The server that has the consumer instance does not answer. Another one takes it over if that lasts. Try again.")
		}
	}
}

// isRepeated reports whether a node asks again because it got no answer.
func isRepeated(ctx *fasthttp.RequestCtx) bool { return len(ctx.Request.Header.Peek(headerAgain)) > 0 }

// outcome is what became of a request that was sent on.
type outcome int

const (
	answered    outcome = iota // or will never be
	moved                      // the instance is not there
	unreachable                // the node has seen nothing of it
	unanswered                 // nobody knows what the node has done
)

// send has another node answer the request, as long as client lasts. The error
// belongs to the answer, or says why there is none. The other node learns that
// the client hung up by the end of the connection, which the end of life brings.
func (f *forwarder) send(client context.Context, s *Server, ctx *fasthttp.RequestCtx, to cluster.Place) (outcome, error) {
	life, cancel := context.WithCancel(client)
	req, err := f.request(life, ctx, to.URL)
	if err != nil {
		cancel()
		return answered, err
	}
	f.watch(life, cancel, to)
	resp, err := f.client.RoundTrip(req)
	if err != nil {
		cancel()
		if client.Err() != nil {
			return answered, orGone(client, err)
		}
		f.lost.Add(1)
		if unsent(err) {
			return unreachable, fmt.Errorf("cannot reach the node %s: %w", to.Node, err)
		}
		return unanswered, fmt.Errorf("no answer from the node %s: %w", to.Node, err)
	}
	if resp.Header.Get(headerElsewhere) != "" {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		cancel()
		f.moved.Add(1)
		return moved, nil
	}
	whole, err := s.passOn(ctx, resp, to.URL, cancel)
	if !whole {
		f.lost.Add(1)
		return unanswered, err
	}
	f.answered.Add(1)
	return answered, nil
}

// unsent reports whether an error says that the other node has seen nothing of
// the request.
func unsent(err error) bool {
	var op *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &op) && op.Op == "dial"
}

// watch ends a request that will not be answered: its node is dead, or lives and
// cannot be reached.
func (f *forwarder) watch(life context.Context, cancel func(), to cluster.Place) {
	armed := make(chan struct{})
	var timer *time.Timer
	timer = time.AfterFunc(f.settings.Lease, func() {
		<-armed
		switch {
		case life.Err() != nil:
		case f.node.Alive(to.Node) && f.ways.open(to.URL):
			timer.Reset(f.settings.Lease)
		default:
			cancel()
		}
	})
	close(armed)
	context.AfterFunc(life, func() { timer.Stop() })
}

// hopByHop are the headers that concern one connection, or that this node has
// dealt with itself.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Content-Length", "Expect", "Host", "Origin", // of requests
	"Server", "Date", "Vary", // of answers
	headerSecret, headerMethod, headerElsewhere, headerPage, headerNotices,
}

// request makes the request to another node.
func (f *forwarder) request(life context.Context, ctx *fasthttp.RequestCtx, base string) (*http.Request, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("cannot use the address of another node: %w", err)
	}
	// As it came: group and instance may have slashes that are escaped.
	u.Opaque, u.RawQuery = string(ctx.URI().PathOriginal()), string(ctx.URI().QueryString())
	// A copy, for the client may still be sending when the answer is there.
	body := bytes.Clone(requestBody(ctx))
	req, err := http.NewRequestWithContext(life, http.MethodPost, base, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot make a request to another node: %w", err)
	}
	req.URL, req.Host = u, string(ctx.Host())
	for name, value := range ctx.Request.Header.All() {
		if !slices.Contains(hopByHop, string(name)) {
			req.Header.Add(string(name), string(value))
		}
	}
	req.Header.Set(headerSecret, f.settings.Secret)
	req.Header.Set(headerMethod, string(ctx.Method()))
	return req, nil
}

// passOn makes the answer of another node ours. It takes the body, and calls
// end when it is done with it. It is false when the answer broke off while
// there is still time to ask again; then nothing of it is kept.
func (s *Server) passOn(ctx *fasthttp.RequestCtx, resp *http.Response, url string, end func()) (whole bool, err error) {
	body := &remoteBody{ReadCloser: resp.Body, end: end}
	page := resp.Header.Get(headerPage)
	if n := resp.ContentLength; n >= 0 && n <= maxWhole {
		defer body.Close()
		err := respond(ctx, func(dst []byte) ([]byte, error) {
			dst = slices.Grow(dst, int(n))[:n]
			_, err := io.ReadFull(body, dst)
			return dst, err
		})
		if err != nil {
			return false, fmt.Errorf("the answer of another node broke off: %w", err)
		}
		body.whole.Store(true)
	}
	if page != "" {
		s.forwarder.onward(ctx, url, page, body)
	}
	ctx.SetStatusCode(resp.StatusCode)
	for name, values := range resp.Header {
		if slices.Contains(hopByHop, name) {
			continue
		}
		for _, v := range values {
			ctx.Response.Header.Add(name, v)
		}
	}
	if resp.Header.Get("Content-Encoding") != "" {
		ctx.Request.Header.Del(fasthttp.HeaderAcceptEncoding) // once is enough
	}
	switch {
	case resp.ContentLength < 0:
		if err := s.stream(ctx, resp.Header.Get("Content-Type"), body.copyTo); err != nil {
			_ = body.Close()
			return true, err
		}
	case resp.ContentLength > maxWhole:
		ctx.Response.SetBodyStream(body, int(resp.ContentLength))
	}
	return true, nil
}
