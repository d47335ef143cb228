package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/cluster"
	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/server"
	"millrace/server/idempotency"
)

// The headers between nodes, beside [headerProof]. A request with a proof was
// forwarded by another node and is forwarded no further.
const (
	// headerMethod is the method of the request. All requests are forwarded as POST, which Go's
	// HTTP client never sends twice by itself: a read that came twice would confirm a response
	// that nobody got.
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
	// headerCaller is who the client is, as the node that forwards the request has identified it.
	headerCaller = "X-Millrace-Caller"
)

// noticesPath is where a node takes notices.
const noticesPath = "/internal/notices"

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

// Settings are how the nodes of one service talk to one another.
type Settings struct {
	// Secret is known to all nodes and nobody else.
	Secret string
	// Lenient also talks to nodes of former versions, which prove themselves by
	// the secret itself, for the time of an upgrade; see [former].
	Lenient bool
	// Former is the secret that those have; empty: Secret.
	Former string
	// TLS returns what holds for new connections to nodes that are reached by https://; nil means
	// the system's roots.
	TLS func() *tls.Config
	// Lease is how long a node that does not show up still counts as alive.
	Lease time.Duration
}

// peerDialer connects to other nodes. A stream may be silent, but not its connection.
var peerDialer = &net.Dialer{Timeout: peerDial, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}

// Forwarder forwards requests to other nodes, and takes those that others forward. It
// implements [server.Peers].
type Forwarder struct {
	node                  *cluster.Node
	consumers             *consumer.Manager
	access                *auth.Access       // nil: nobody is asked who they are
	answers               *idempotency.Store // nil: this node takes no keys
	tookOver              atomic.Bool
	tries                 atomic.Uint64 // to claim a request
	settings              Settings
	prover                *Prover
	former                former
	client                *http.Transport
	pages                 *pages
	notices               *notices
	ways                  *ways
	answered, moved, lost atomic.Uint64
	// Requests, and responses, that prove not to be of a node.
	refused, distrusted atomic.Uint64
}

// New returns the forwarder of a node, whose instances are those of consumers.
func New(node *cluster.Node, consumers *consumer.Manager, access *auth.Access, s Settings) *Forwarder {
	f := &Forwarder{
		access: access, pages: newPages(), node: node, consumers: consumers, settings: s, prover: NewProver(node, s.Secret), former: newFormer(s),
		client: &http.Transport{
			DialContext:         peerDialer.DialContext,
			TLSHandshakeTimeout: peerDial,
			DisableCompression:  true, // the client's Accept-Encoding is forwarded
			// The other side ends idle connections. That this one does so means
			// that it is gone: see [consumer.Passage].
			MaxIdleConnsPerHost: math.MaxInt32,
			IdleConnTimeout:     0,
		},
	}
	if s.TLS != nil {
		f.client.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, 2*peerDial)
			defer cancel()
			d := tls.Dialer{NetDialer: peerDialer, Config: s.TLS()}
			return d.DialContext(ctx, network, addr)
		}
	}
	f.notices = &notices{post: f.postNotices, queues: make(map[cluster.Place][]notice)}
	f.ways = newWays(f.postNotices)
	return f
}

// Routes returns what nodes ask each other beside the API.
func (f *Forwarder) Routes() []server.Route {
	return []server.Route{
		{Method: "POST", Path: noticesPath, Action: server.Notify, Handle: f.takeNotices},
		{Method: "POST", Path: keysPath, Action: server.Notify, Handle: f.takeClaim},
		{Method: "POST", Path: handoverPath, Action: server.Notify, Handle: f.handOver},
	}
}

// Forwards returns how many requests were forwarded: answered, refused because
// the instance is elsewhere, and without an answer.
func (f *Forwarder) Forwards() (answered, moved, lost uint64) {
	return f.answered.Load(), f.moved.Load(), f.lost.Load()
}

// Refused returns how many requests, and responses, were not authenticated that
// came in the name of a node.
func (f *Forwarder) Refused() (requests, responses uint64) {
	return f.refused.Load(), f.distrusted.Load()
}

// Flush implements [server.Peers].
func (f *Forwarder) Flush(ctx context.Context) {
	f.notices.flush(ctx)
	f.client.CloseIdleConnections()
}

// forwardedKey stands among the user values of a request from another node. Its
// value is a fromNode.
type forwardedKey struct{}

// fromNode is what is kept of a request from another node for its response.
type fromNode struct {
	method string // that it came with
	mac    []byte // of its proof; nil from a node of a former version
}

func isForwarded(ctx *fasthttp.RequestCtx) bool { return ctx.UserValue(forwardedKey{}) != nil }

// Receive implements [server.Peers]. It gives a request from another node its method
// back. Errors: [apierr.Unauthorized] for one that is not of a node of this service.
func (f *Forwarder) Receive(ctx *fasthttp.RequestCtx) error {
	h := &ctx.Request.Header
	var mac []byte
	switch {
	case len(h.Peek(headerProof)) > 0:
		var err error
		if mac, err = f.prover.verify(ctx); err != nil {
			f.refused.Add(1)
			return apierr.Unauthorized.Wrap(err, "The header %s is for the other nodes of this service, and what it says does not prove that this request is of one: cluster.secret must be the same on all nodes.", headerProof)
		}
	case len(h.Peek(headerSecret)) > 0:
		if !f.former.admits(ctx) {
			f.refused.Add(1)
			return apierr.Unauthorized.New("The header %s is how nodes of former versions prove that a request is of one, which this node does not accept (cluster.authentication), or not with this secret.", headerSecret)
		}
	default:
		for _, name := range ownHeaders { // which are the nodes' to say
			h.Del(name)
		}
		return nil
	}
	h.Del(headerProof)
	f.receiveCaller(ctx, mac != nil)
	ctx.SetUserValue(forwardedKey{}, fromNode{string(h.Method()), mac})
	h.SetMethodBytes(h.Peek(headerMethod))
	h.Del(headerMethod)
	if len(h.Peek(headerNotices)) > 0 {
		ctx.Request.URI().SetPath(noticesPath) // former versions have no path for them
	}
	return nil
}

// ownHeaders are the headers of requests between nodes.
var ownHeaders = [...]string{headerMethod, headerAgain, headerNotices, headerCaller}

// Failed implements [server.Peers]. It tells the node that has sent the request that it may try
// again, here or elsewhere, when the error says that this node cannot serve it.
func (f *Forwarder) Failed(ctx *fasthttp.RequestCtx, e *apierr.Error) {
	if isForwarded(ctx) && (e.Kind == apierr.InstanceMoved || e.Kind == apierr.Draining || e.Kind == apierr.Interrupted || errors.Is(e, cluster.ErrCutOff)) {
		ctx.Response.Header.Set(headerElsewhere, "true")
	}
}

// Done implements [server.Peers]. It gives a request from another node the method back that it
// came with, by which the response is written, and adds the proof to that.
func (f *Forwarder) Done(ctx *fasthttp.RequestCtx) {
	from, ok := ctx.UserValue(forwardedKey{}).(fromNode)
	if !ok {
		return
	}
	if ctx.IsHead() {
		ctx.Response.ResetBody()
	}
	ctx.Request.Header.SetMethod(from.method)
	if from.mac != nil {
		f.prover.proveAnswer(ctx, from.mac)
	}
}

// Forward implements [server.Peers]. It answers a request about a consumer instance
// that another node has, by sending it on. It is false when the instance is this
// node's to serve.
func (f *Forwarder) Forward(s *server.Server, ctx *fasthttp.RequestCtx) (done bool, err error) {
	group, name, err := server.InstanceParams(ctx)
	if err != nil {
		return true, err
	}
	life := context.Background()
	if ctx.IsGet() { // else what the client has asked for is done though it hangs up
		c := server.ConnOf(ctx)
		life = c.Attend()
		defer c.Unattend()
	}
	wait, cancel := context.WithTimeout(life, patience)
	defer cancel()
	login, passed, err := s.Login(ctx)
	if err != nil {
		return true, err
	}
	wait = consumer.WithCaller(wait, consumer.Caller{Owner: server.CallerOf(ctx).Principal(), Login: login})
	refused := ""
	for {
		changed := f.node.Changed()
		place, err := f.node.Find(wait, group, name, refused)
		switch {
		case life.Err() != nil:
			return true, server.OrGone(life, life.Err())
		case wait.Err() != nil:
			return true, apierr.InstanceMoved.Wrap(err, "The consumer instance is moving from one node to another. Try again.")
		case err != nil:
			return true, err
		case place.URL == "":
			return false, nil
		case isForwarded(ctx): // the other node may know better soon, or this one
			return true, apierr.InstanceMoved.Err()
		case passed && !strings.HasPrefix(place.URL, "https://"):
			return true, errPlain
		}
		if passed {
			ctx.SetUserValue(passedKey{}, true)
		}
		outcome, err := f.send(life, s, ctx, place)
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
			return true, apierr.InstanceMoved.Wrap(err, "The node that has the consumer instance does not answer. Another one takes it over if that lasts. Try again.")
		}
	}
}

// passedKey marks a request whose credentials go to another node, which shows them to Kafka.
type passedKey struct{}

// errPlain says that credentials must not go to another node.
var errPlain = apierr.Unprocessable.New("The consumer instance is on another node, which needs the credentials of its caller, and these go to other nodes only by https:// (cluster.advertised.url).")

// Repeated reports whether a node asks again because it got no answer.
func (f *Forwarder) Repeated(ctx *fasthttp.RequestCtx) bool {
	return len(ctx.Request.Header.Peek(headerAgain)) > 0
}

// outcome is the result of a forwarded request.
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
func (f *Forwarder) send(client context.Context, s *server.Server, ctx *fasthttp.RequestCtx, to cluster.Place) (outcome, error) {
	life, cancel := context.WithCancel(client)
	req, body, err := newForward(life, s, ctx, to.URL)
	if err != nil {
		cancel()
		return answered, err
	}
	f.watch(life, cancel, to)
	resp, err := f.roundTrip(req, body, to)
	if err != nil {
		cancel()
		if client.Err() != nil {
			return answered, server.OrGone(client, err)
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
	whole, err := f.copyResponse(s, ctx, resp, to, cancel)
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
func (f *Forwarder) watch(life context.Context, cancel func(), to cluster.Place) {
	armed := make(chan struct{})
	var timer *time.Timer
	timer = time.AfterFunc(f.settings.Lease, func() {
		<-armed
		switch {
		case life.Err() != nil:
		case f.node.Alive(to.Node) && f.ways.open(to):
			timer.Reset(f.settings.Lease)
		default:
			cancel()
		}
	})
	close(armed)
	context.AfterFunc(life, func() { timer.Stop() })
}

// forwardedHeaders are the headers of a client's request that the other node needs. The client's
// credentials and cookies, for this node or a proxy before it, go nowhere else, unless Kafka is to
// see them: then the credentials go to the node of the instance, over TLS. Nor does the Host: the
// base_uri of an instance is written where it is made, and that request is not forwarded.
var forwardedHeaders = [...]string{
	fasthttp.HeaderAccept, fasthttp.HeaderAcceptEncoding, fasthttp.HeaderContentType, fasthttp.HeaderContentEncoding,
	"Last-Event-ID", "Traceparent", "Tracestate", headerAgain,
}

// sentBack are the headers of another node's response that the client gets.
var sentBack = [...]string{
	fasthttp.HeaderContentType, fasthttp.HeaderContentEncoding, fasthttp.HeaderRetryAfter,
	fasthttp.HeaderCacheControl, fasthttp.HeaderAllow, "X-Accel-Buffering", server.HeaderTimeout,
}

// errMedia says that the response is not of a type that nodes answer with.
var errMedia = errors.New("the response is of an unknown media type")

// isOurs reports whether a response has a media type of the API. Any other one,
// HTML above all, would be shown by browsers as this node's.
func isOurs(resp *http.Response) bool {
	media, _, _ := strings.Cut(resp.Header.Get(fasthttp.HeaderContentType), ";")
	switch media = strings.ToLower(strings.TrimSpace(media)); media {
	case server.MediaJSON, server.MediaLines, server.MediaEvents:
		return true
	case "":
		return resp.ContentLength == 0
	}
	return strings.HasPrefix(media, "application/vnd.kafka") && strings.HasSuffix(media, "+json")
}

// roundTrip sends a request to another node with its proof, and returns the
// response if that is one of the node.
func (f *Forwarder) roundTrip(req *http.Request, body []byte, to cluster.Place) (*http.Response, error) {
	verify := func(resp *http.Response) error { return nil }
	switch {
	case to.Sealed:
		mac := f.prover.Prove(req, body, to)
		verify = func(resp *http.Response) error { return f.prover.VerifyResponse(resp, mac) }
	case f.former.accepted && req.Header.Get(headerCaller) == "": // which former versions would not check
		req.Header.Set(headerSecret, f.former.secret)
	default:
		return nil, errProof
	}
	resp, err := f.client.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err = verify(resp); err == nil && !isOurs(resp) {
		err = errMedia
	}
	if err != nil {
		_ = resp.Body.Close()
		f.distrusted.Add(1)
		return nil, fmt.Errorf("cannot trust the response of the node %s at %s: %w", to.Node, to.URL, err)
	}
	return resp, nil
}

// newForward makes the request to another node, without its proof, and returns
// its body beside it.
func newForward(life context.Context, s *server.Server, ctx *fasthttp.RequestCtx, base string) (*http.Request, []byte, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot use the address of another node: %w", err)
	}
	// As it came: group and instance may have slashes that are escaped.
	u.Opaque, u.RawQuery = string(ctx.URI().PathOriginal()), string(ctx.URI().QueryString())
	// A copy, because the client may still be sending when the response has come.
	body := bytes.Clone(server.RequestBody(ctx))
	req, err := http.NewRequestWithContext(life, http.MethodPost, base, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a request to another node: %w", err)
	}
	req.URL = u
	for _, name := range forwardedHeaders {
		if value := ctx.Request.Header.Peek(name); len(value) > 0 {
			req.Header.Set(name, string(value))
		}
	}
	req.Header.Set("User-Agent", server.Name)
	req.Header.Set(headerMethod, string(ctx.Method()))
	if id := server.CallerOf(ctx); id != nil {
		req.Header.Set(headerCaller, callerText(id, s.CredentialsEnd(ctx)))
	}
	if ctx.UserValue(passedKey{}) != nil {
		req.Header.Set(fasthttp.HeaderAuthorization, string(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)))
	}
	return req, body, nil
}
