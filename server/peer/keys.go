package peer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/cluster"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/server"
	"millrace/server/idempotency"
)

// This file is how the nodes agree on which of them carries a request with an Idempotency-Key out.
// The node that has the request asks all others before, and tells them the answer after; what each
// remembers is in package idempotency.

// keysPath is where a node takes claims of requests, and their answers.
const keysPath = "/internal/keys"

const (
	// claimTime bounds the wait for the other nodes.
	claimTime = 2 * time.Second
	// maxShared is the largest answer whose body the other nodes are told. It fits into the smallest
	// memory for answers.
	maxShared = 8 << 10
	// maxClaimReply bounds what another node can say: an answer in base64, and what is around it.
	maxClaimReply = 4 * maxShared
)

// claim is what a node says to another about a request.
type claim struct {
	Name    []byte `json:"name"`
	Content []byte `json:"content"`
	// Node and By are the id and the run of the node that has the request.
	Node string `json:"node"`
	By   string `json:"by"`
	// Try and Over are of [idempotency.Claim].
	Try  uint64 `json:"try"`
	Over string `json:"over,omitempty"`
	// Settled says that the request is over, with the answer or, without one, with nothing written.
	Settled bool    `json:"settled,omitempty"`
	Answer  *answer `json:"answer,omitempty"`
}

// answer is an [idempotency.Answer]. Unknown is the message of the one error that is remembered.
type answer struct {
	Status      int    `json:"status,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	RetryAfter  string `json:"retry_after,omitempty"`
	Body        []byte `json:"body,omitempty"`
	Large       bool   `json:"large,omitempty"`
	Unknown     string `json:"unknown,omitempty"`
}

// known is what the other node knows.
type known struct {
	State idempotency.State `json:"state"`
	// Run is that of the node that has claimed the request, where State is Claimed.
	Run    string  `json:"run,omitempty"`
	Answer *answer `json:"answer,omitempty"`
}

func answerOf(a *idempotency.Answer) *answer {
	switch {
	case a == nil:
		return nil
	case a.Err != nil:
		return &answer{Unknown: apierr.From(a.Err).Message()}
	case len(a.Body) > maxShared:
		return &answer{Status: a.Status, Large: true}
	}
	return &answer{Status: a.Status, ContentType: a.ContentType, RetryAfter: a.RetryAfter, Body: a.Body, Large: a.Large}
}

func (a *answer) remembered() *idempotency.Answer {
	switch {
	case a == nil:
		return nil
	case a.Unknown != "":
		return &idempotency.Answer{Err: apierr.WriteUnknown.New("%s", a.Unknown)}
	}
	return &idempotency.Answer{Status: a.Status, ContentType: a.ContentType, RetryAfter: a.RetryAfter, Body: a.Body, Large: a.Large}
}

// TakeKeys has the node take part with what it remembers. Without it other nodes do not ask it.
func (f *Forwarder) TakeKeys(answers *idempotency.Store) { f.answers = answers }

// takeClaim handles what another node says about a request.
func (f *Forwarder) takeClaim(ctx *fasthttp.RequestCtx) error {
	if !isForwarded(ctx) || f.answers == nil {
		return apierr.NotFound.New("There is nothing at %s.", server.SentPath(ctx))
	}
	var c claim
	var r idempotency.Request
	err := json.Unmarshal(server.RequestBody(ctx), &c)
	if err != nil || copy(r.Name[:], c.Name) != len(r.Name) || copy(r.Content[:], c.Content) != len(r.Content) || c.By == "" {
		return apierr.BadRequest.Wrap(err, "This is no claim of a node.")
	}
	of := idempotency.Claim{Request: r, Run: c.By, Try: c.Try, Over: c.Over, First: c.Node < f.node.ID()}
	if c.Settled {
		f.answers.Settle(of, c.Answer.remembered())
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return nil
	}
	state, a, run := f.answers.Claim(of)
	body, err := json.Marshal(known{state, run, answerOf(a)})
	if err != nil {
		return fmt.Errorf("cannot write what is known of a request: %w", err)
	}
	ctx.SetContentType(server.MediaJSON)
	ctx.SetBody(body)
	return nil
}

// heard is the reply of another node about a request, or the error instead of it.
type heard struct {
	from cluster.Place
	known
	err error
}

// Claim implements [server.Peers].
func (f *Forwarder) Claim(r idempotency.Request, claimed string) (server.Verdict, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	agreed := f.node.Agreement(ctx)
	try := f.tries.Add(1)
	all := f.ask(agreed.Others, r, try)
	v, err := f.judge(all, claimed)
	v.Try = try
	if err != nil || v.State != idempotency.Fresh {
		return v, err
	}
	for _, h := range all {
		if h.err != nil || h.State != idempotency.Claimed {
			continue
		}
		var again known // the node that had claimed it there has told this one that it has not got it
		if err := f.say(h.from, r, claim{Try: try, Over: h.Run}, &again); err != nil {
			return v, unsettled(h.from, err)
		}
		if again.State != idempotency.Fresh {
			return server.Verdict{State: idempotency.Busy, Try: try}, nil
		}
	}
	// The replies hold for as long as the lease has: see [cluster.Agreement].
	v.Whole = agreed.Whole && f.node.Leased()
	for _, h := range all {
		if dead := unsent(h.err) && f.node.Overdue(h.from.Node); h.err != nil && !dead && v.Whole {
			return v, unsettled(h.from, h.err)
		}
	}
	return v, nil
}

// unsettled says that it is not known whether another node has the request.
func unsettled(node cluster.Place, err error) error {
	return apierr.KeyUnsettled.Wrap(err, "The node %s, which may have carried out the request with this Idempotency-Key, does not answer. Nothing was written by this one: send it again.", node.Node)
}

// ask claims the request at the others, all at once.
func (f *Forwarder) ask(others []cluster.Place, r idempotency.Request, try uint64) []heard {
	all := make([]heard, len(others))
	var asking sync.WaitGroup
	for i, to := range others {
		asking.Go(func() {
			all[i].from = to
			all[i].err = f.say(to, r, claim{Try: try}, &all[i].known)
		})
	}
	asking.Wait()
	return all
}

// judge returns what follows from what the others know, Fresh if none of them has the request. Each
// speaks for itself: one that says that another has claimed the request has not got it, and what it
// says does not count if the other says the same. claimed is the run of which this node knows that
// it has claimed the request, or empty.
func (f *Forwarder) judge(all []heard, claimed string) (v server.Verdict, err error) {
	disclaimed := map[string]bool{f.node.Run(): true, "": true}
	runs := []string{claimed}
	for _, h := range all {
		switch {
		case h.err != nil:
		case h.State == idempotency.Fresh, h.State == idempotency.Claimed:
			disclaimed[h.from.Run] = true
			runs = append(runs, h.Run)
		default:
			return server.Verdict{State: h.State, Answer: h.Answer.remembered()}, nil
		}
	}
	for _, run := range runs {
		switch p, alive := f.node.Process(run); {
		case disclaimed[run]:
		case alive:
			err = unsettled(p, fmt.Errorf("its run %s has claimed the request", run))
		default: // it has died with what it knew
			return server.Verdict{State: idempotency.Answered, Answer: &idempotency.Answer{Err: errCarrierDead}}, nil
		}
	}
	return v, err
}

var errCarrierDead = apierr.WriteUnknown.New("The node that was carrying out the request with this Idempotency-Key has died, or was cut off. It is not known whether Kafka has the records.")

// Settle implements [server.Peers].
func (f *Forwarder) Settle(r idempotency.Request, try uint64, a *idempotency.Answer) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var telling sync.WaitGroup
	for _, to := range f.node.Agreement(ctx).Others {
		// A node that does not hear it asks this one when the request comes again.
		telling.Go(func() { _ = f.say(to, r, claim{Try: try, Settled: true, Answer: answerOf(a)}, nil) })
	}
	telling.Wait()
}

// say has another node know of the request what c says. Its reply is read into reply.
func (f *Forwarder) say(to cluster.Place, r idempotency.Request, c claim, reply *known) error {
	c.Name, c.Content, c.Node, c.By = r.Name[:], r.Content[:], f.node.ID(), f.node.Run()
	ctx, cancel := context.WithTimeout(context.Background(), claimTime)
	defer cancel()
	text, err := f.tell(ctx, to, keysPath, c, maxClaimReply)
	if err != nil || reply == nil {
		return err
	}
	return json.Unmarshal(text, reply)
}

// tell posts what, as JSON, to another node, and returns its reply, of which it reads so many
// bytes.
func (f *Forwarder) tell(ctx context.Context, to cluster.Place, path string, what any, limit int64) ([]byte, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("cannot write what another node is to know: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot make a request to another node: %w", err)
	}
	req.Header.Set(headerMethod, http.MethodPost)
	resp, err := f.roundTrip(req, body, to)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return nil, fmt.Errorf("the reply of the node %s broke off: %w", to.Node, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("the node %s refuses a message about keys: %w", to.Node, statusError(resp.StatusCode))
	}
	return text, nil
}

// statusError is the status by which another node refuses something.
type statusError int

func (e statusError) Error() string { return "status " + strconv.Itoa(int(e)) }
