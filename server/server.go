package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/internal/apierr"
	"millrace/internal/fair"
	"millrace/internal/tracing"
	"millrace/metrics"
	"millrace/server/idempotency"
	"millrace/server/intake"
)

// Deps are the parts that the edge uses besides its settings. It borrows them.
type Deps struct {
	// Metrics are written to by requests; nil: requests are not counted for readers.
	Metrics *metrics.Metrics
	// Tracing reports requests to a collector; nil: tracing is off.
	Tracing *tracing.Tracing
	// Logger gets the program's log and, when turned on, the request log.
	Logger *slog.Logger
	// ErrorType returns the media type of an error, unless the response is application/json
	// already. ctx is nil for a connection that is refused before its first request. A nil
	// function means application/json.
	ErrorType func(ctx *fasthttp.RequestCtx) string
	// AppendError returns the form of a request's errors, which sets the Content-Type and may change
	// the status; nil, for a path too: they are errors of the API.
	AppendError func(ctx *fasthttp.RequestCtx) func(ctx *fasthttp.RequestCtx, dst []byte, e *apierr.Error) []byte
	// CORS returns the policy of a request's path, which is not routed yet, or nil for the
	// server's own. A nil function means that no path has one.
	CORS func(ctx *fasthttp.RequestCtx) *CORS
	// Peers is this node among others; nil where there are none.
	Peers Peers
	// Access decides about callers; nil: nobody is asked who they are.
	Access *auth.Access
	// Audit gets each refusal and each change, beside the program's log; nil: only that.
	Audit *slog.Logger
}

// Peers handles requests between the nodes of one service.
type Peers interface {
	// Receive is called before a request is routed. It authenticates a request of another node
	// and restores the method that the client used.
	Receive(ctx *fasthttp.RequestCtx) error
	// Forward is called by s for routes with [Route.Instance]. It reports whether
	// another node has sent the response.
	Forward(s *Server, ctx *fasthttp.RequestCtx) (done bool, err error)
	// Failed is called when the response is an error.
	Failed(ctx *fasthttp.RequestCtx, err *apierr.Error)
	// Claims reports whether a request claims to be of another node, before [Peers.Receive] has
	// looked at its proof.
	Claims(ctx *fasthttp.RequestCtx) bool
	// Done is called when the response is complete.
	Done(ctx *fasthttp.RequestCtx)
	// Claim asks the other nodes for a request with a key, which this one is to carry out. claimed is
	// what [idempotency.Store.Begin] has returned. An error says that some could not be asked.
	Claim(r idempotency.Request, claimed string) (Verdict, error)
	// Settle tells the other nodes what the request of the claim was answered with. Nil says that
	// nothing was written, or that this node does not carry it out.
	Settle(r idempotency.Request, try uint64, a *idempotency.Answer)
	// Flush is called in a shutdown, after all responses were written.
	Flush(ctx context.Context)
}

// Verdict is what the other nodes know of a request with a key.
type Verdict struct {
	State  idempotency.State
	Answer *idempotency.Answer
	// Whole says, of a Fresh request, that no other node can carry it out now without asking this
	// one. Else this node knows not all of them.
	Whole bool
	// Try is the number of the claim, for [Peers.Settle].
	Try uint64
}

// Server is the HTTP edge. Make one with [New], give it routes with
// [Server.Handle], open its listeners with [Server.Listen], serve them with
// [Server.Serve], and stop it with [Server.Shutdown].
type Server struct {
	settings Settings
	deps     Deps
	log      *slog.Logger
	http     *fasthttp.Server
	router   *router.Router
	routes   []Route // all registered routes
	// streamedRoutes are the routes with Streamed.
	streamedRoutes []*Route
	frequent       []frequent // routes that the router need not look for
	cors           *CORS
	hosts          ownHosts
	figures        figures

	draining   atomic.Bool
	streaming  context.Context // of streams; ends with the drain
	endStreams context.CancelFunc
	budget     *intake.Budget     // of request bodies
	shedder    *intake.Shedder    // of requests that produce
	holders    fair.Holders       // the callers that share the node
	answers    *idempotency.Store // of requests with a key; nil: keys are ignored
	unpackers  *unpackers
	sparing    sparing
	refusals   sparing // of callers, for the log
	requestLog atomic.Bool
	limits     *limits
	open       openStreams
	opened     []*listener    // opened by Listen
	listeners  []net.Listener // the same, in the form in which they are served
	serving    sync.WaitGroup
}

// New returns an edge that has no routes and does not listen yet.
func New(s Settings, d Deps) *Server {
	srv := &Server{settings: s, deps: d, log: d.Logger, cors: newCORS(s, d.Tracing != nil), hosts: newOwnHosts(s), figures: newFigures(d.Metrics)}
	srv.streaming, srv.endStreams = context.WithCancel(context.Background())
	srv.requestLog.Store(s.RequestLog)
	d.Access.OnReload(srv.Recheck)
	srv.limits = newLimits(s, srv.errorType(nil), srv.turnedAway)
	srv.budget = intake.New(s.Bodies)
	srv.shedder = intake.NewShedder(s.OverloadDelay)
	if s.Idempotency.Window > 0 {
		srv.answers = idempotency.New(s.Idempotency, func() { srv.figures.AnswersEvicted.Add(1) })
	}
	srv.unpackers = newUnpackers(s.MaxBodyBytes)
	srv.router = srv.newRouter()
	srv.http = &fasthttp.Server{
		Handler:            srv.serve,
		ErrorHandler:       srv.protocolError,
		ExpectHandler:      srv.expected,
		Name:               Name,
		Concurrency:        math.MaxInt32, // limits.go bounds the connections
		ReadBufferSize:     s.MaxHeaderBytes,
		WriteBufferSize:    writeBuffer,
		HeaderReceived:     srv.headerReceived,
		StreamRequestBody:  true, // see body.go
		MaxRequestBodySize: prefetched,
		ReadTimeout:        s.ReadTimeout,
		WriteTimeout:       s.WriteTimeout,
		IdleTimeout:        s.IdleTimeout,
		CloseOnShutdown:    true,
		Logger:             slog.NewLogLogger(d.Logger.Handler(), slog.LevelDebug),

		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true,
		// Header names are looked up in canonical form, whatever their case in the request.
		DisableHeaderNamesNormalizing: false,
	}
	return srv
}

// writeBuffer is the size of a connection's write buffer. A response that fits is copied into it;
// a larger one is written from where it is ([sendWhole]). With TLS it is two writes. The response
// to a hundred records, of 6 KB, must fit.
const writeBuffer = 8 << 10

// Name stands in the Server header.
const Name = "millrace"

// Listen opens all configured listeners and returns their addresses, which
// differ from the configured ones where a port was 0. On an error none is open.
func (s *Server) Listen() ([]net.Addr, error) {
	s.warnOfOpenFiles()
	var addrs []net.Addr
	for _, l := range s.settings.Listeners {
		ln, err := net.Listen("tcp", l.Addr)
		if err != nil {
			for _, open := range s.opened {
				open.Close()
			}
			return nil, fmt.Errorf("cannot listen on %s: %w", l.Addr, err)
		}
		addrs = append(addrs, ln.Addr())
		own := s.newListener(ln, l)
		s.opened, s.listeners = append(s.opened, own), append(s.listeners, own)
	}
	return addrs, nil
}

// Serve serves requests on all listeners until [Server.Shutdown]. It returns the first listener's
// failure, or nil after a shutdown.
func (s *Server) Serve() error {
	errs := make(chan error, len(s.listeners))
	watching, done := context.WithCancel(context.Background())
	defer done()
	go s.budget.Run(watching)
	go s.shedder.Run(watching)
	for _, ln := range s.listeners {
		s.serving.Go(func() { errs <- s.http.Serve(ln) })
	}
	s.serving.Wait()
	close(errs)
	for err := range errs {
		if err != nil && !s.draining.Load() {
			return fmt.Errorf("cannot serve: %w", err)
		}
	}
	return nil
}

// Drain turns readiness off, so that load balancers use other nodes, and ends streams. Requests
// still get responses.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.endStreams()
}

// Draining reports whether [Server.Drain] was called.
func (s *Server) Draining() bool { return s.draining.Load() }

// keepAliveGrace is how long the connections that stand still get responses in a drain, each the
// last of its connection (Connection: close).
const keepAliveGrace = time.Second

// Shutdown drains, closes the listeners and waits until the requests in flight
// are answered, but no longer than ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	done := make(chan struct{})
	defer close(done)
	go s.closeSilent(done)
	s.awaitClients(ctx)
	for _, l := range s.opened { // fasthttp closes only those that it serves by now
		_ = l.Close()
	}
	if err := s.http.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("cannot finish all requests: %w", err)
	}
	if s.deps.Peers != nil {
		s.deps.Peers.Flush(ctx)
	}
	return nil
}

// awaitClients returns when no connection is left, or after [keepAliveGrace]. fasthttp closes idle
// connections at once when it shuts down. A client that sends its next request in that moment
// gets a reset for it and cannot tell whether it was carried out; so a client that is at work is
// told by a response first.
func (s *Server) awaitClients(ctx context.Context) {
	over := time.NewTimer(keepAliveGrace)
	defer over.Stop()
	tick := time.NewTicker(keepAliveGrace / 50)
	defer tick.Stop()
	for s.openConnections() > 0 {
		select {
		case <-tick.C:
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// closeSilent closes, until done, the connections on which no request has begun.
func (s *Server) closeSilent(done <-chan struct{}) {
	tick := time.NewTicker(silentTime / 5)
	defer tick.Stop()
	for {
		for _, l := range s.opened {
			l.closeSilent()
		}
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
}

// protocolError answers bytes that fasthttp could not read as a request.
func (s *Server) protocolError(ctx *fasthttp.RequestCtx, err error) {
	// fasthttp itself ends a used connection without a response. Otherwise: the client sends its
	// next request, reads this response to no request, and takes it for that request's.
	if c := ConnOf(ctx); c != nil && !c.spoke {
		_ = ctx.Conn().Close()
		return
	}
	var refused *apierr.Error
	if errors.As(err, &refused) { // by framing
		s.refuseUnread(ctx, refused)
		return
	}
	var small *fasthttp.ErrSmallBuffer
	var netErr net.Error
	kind := apierr.BadRequest
	switch {
	case errors.As(err, &small):
		kind = apierr.HeadersTooLarge
	case errors.As(err, &netErr) && netErr.Timeout():
		kind = apierr.SlowRequest
	}
	s.refuseUnread(ctx, &apierr.Error{Kind: kind, Cause: err})
}

// expected returns the status for a client that asks whether to send its body (Expect:
// 100-continue): its route judges the request, and does not handle it.
func (s *Server) expected(ctx *fasthttp.RequestCtx) int {
	ctx.SetUserValue(askingKey{}, true)
	s.dispatch(ctx)
	ctx.RemoveUserValue(askingKey{})
	status := ctx.Response.StatusCode()
	if status < fasthttp.StatusBadRequest {
		return fasthttp.StatusContinue
	}
	s.answerUnread(ctx)
	return status
}

// askingKey stands among the user values of a request whose client asks whether to send its body.
type askingKey struct{}

func isAsking(ctx *fasthttp.RequestCtx) bool { return ctx.UserValue(askingKey{}) != nil }

// refuseUnread answers a request that has not been read to its end.
func (s *Server) refuseUnread(ctx *fasthttp.RequestCtx, err *apierr.Error) {
	s.fail(ctx, err)
	s.answerUnread(ctx)
}

// answerUnread completes the response to such a request.
func (s *Server) answerUnread(ctx *fasthttp.RequestCtx) {
	harden(ctx)
	s.figures.unreadable.Answered(ctx.Response.StatusCode())
	ctx.SetConnectionClose() // the following bytes on the connection cannot be trusted
	lingerOnClose(ctx)
	if s.requestLog.Load() {
		if len(ctx.Request.Header.RawHeaders()) == 0 {
			ctx.Request.Header.SetMethod("-") // the default would be GET, which the client did not send
		}
		s.logRequest(ctx, 0)
	}
}

// turnedAway is called for each connection that is refused for a limit.
func (s *Server) turnedAway(k *apierr.Kind) {
	s.figures.failed(k, nil, Sample{})
	if ok, more := s.sparing.allow(k); ok {
		s.log.Warn("connection turned away", "because", k.Name, "more_since_the_last", more)
	}
}
