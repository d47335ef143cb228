package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/server/idempotency"
)

// Requests that write records may carry an Idempotency-Key. This file makes the first of a key be
// carried out and the others be answered by its answer; package idempotency remembers it. Where
// several nodes are one service, each asks the others ([Peers]). All of it
// is here, around the handlers of routes, so that no API can be without it.

var headerIdempotencyKey = []byte("Idempotency-Key")

// headerReplayed is set in an answer that was remembered.
const headerReplayed = "Idempotent-Replayed"

// headerScope is set where a key counts on this node alone, though it is one of several: it could
// not ask the others.
const headerScope = "Idempotency-Scope"

// HeaderEventIndex is of a request with one event that was the one of that index in another
// request: a dead letter that is replayed, with the headers of that request. An Idempotency-Key
// among them is for the rules of its route, and no more: all dead letters of that request have it.
const HeaderEventIndex = "X-Millrace-Event-Index"

var headerEventIndex = []byte(HeaderEventIndex)

// maxIdempotencyKey bounds a key. Those in use are UUIDs.
const maxIdempotencyKey = 255

// keyed reports whether a request, which may not be routed yet, has an Idempotency-Key.
func (s *Server) keyed(h *fasthttp.RequestHeader) bool {
	return s.answers != nil && len(h.PeekCanonical(headerIdempotencyKey)) > 0 && len(h.PeekCanonical(headerEventIndex)) == 0
}

// writes reports whether the requests of a route write records.
func (rt *Route) writes() bool {
	return rt.Method == fasthttp.MethodPost && (rt.Action == Produce || rt.Action == Ingest)
}

// once returns the handler of requests with an Idempotency-Key: it has handle carry out the first
// of a key.
func (s *Server) once(handle Handler) Handler {
	return func(ctx *fasthttp.RequestCtx) error { return s.carryOut(ctx, handle) }
}

func (s *Server) carryOut(ctx *fasthttp.RequestCtx, handle Handler) error {
	r, err := s.identifyRequest(ctx)
	if err != nil {
		return err
	}
	v, err := s.claim(ctx, r)
	switch {
	case err != nil:
		return err
	case v.State == idempotency.Busy:
		return apierr.KeyBusy.Err()
	case v.State == idempotency.Different:
		return apierr.KeyReused.Err()
	case v.State == idempotency.Answered:
		return s.answerAgain(ctx, v.Answer)
	}
	a := &idempotency.Answer{Err: apierr.WriteUnknown.Err()} // of a handler that panics
	defer func() {
		s.answers.End(r.Name, a)
		if s.deps.Peers != nil {
			s.deps.Peers.Settle(r, v.Try, a)
		}
	}()
	err = handle(ctx)
	a = answerOf(ctx, err)
	return err
}

// claim makes this node the one that carries the request out, and returns Fresh, unless it has come
// before, here or to another node.
func (s *Server) claim(ctx *fasthttp.RequestCtx, r idempotency.Request) (v Verdict, err error) {
	var claimed string
	if v.State, v.Answer, claimed = s.answers.Begin(r); v.State != idempotency.Fresh {
		return v, nil
	}
	if s.deps.Peers != nil {
		v, err = s.deps.Peers.Claim(r, claimed)
		switch {
		case err != nil || v.State != idempotency.Fresh && v.Answer == nil:
			s.answers.Withdraw(r.Name)
			go s.deps.Peers.Settle(r, v.Try, nil) // ends within seconds
			return v, err
		case v.Answer != nil:
			s.answers.End(r.Name, v.Answer)
			return v, nil
		case !v.Whole:
			ctx.Response.Header.Set(headerScope, "node")
		}
	}
	v.State, v.Answer = s.answers.Confirm(r.Name)
	return v, nil
}

// Answers returns what is remembered of requests with a key, nil where keys are ignored.
func (s *Server) Answers() *idempotency.Store { return s.answers }

// identifyRequest returns what a request is known by. The name has the caller in it, so that no
// caller meets the keys of another.
func (s *Server) identifyRequest(ctx *fasthttp.RequestCtx) (r idempotency.Request, err error) {
	key := ctx.Request.Header.PeekCanonical(headerIdempotencyKey)
	switch unprintable := func(c rune) bool { return c < ' ' || c > '~' }; {
	case len(key) > maxIdempotencyKey:
		return r, apierr.BadRequest.New("The Idempotency-Key has %d bytes; it may have %d.", len(key), maxIdempotencyKey)
	case bytes.ContainsFunc(key, unprintable):
		return r, apierr.BadRequest.New("The Idempotency-Key has other than printable ASCII characters. Use a UUID.")
	case len(ctx.Request.Header.PeekAll(string(headerIdempotencyKey))) > 1:
		return r, apierr.BadRequest.New("The request has more than one Idempotency-Key.")
	}
	caller := []byte(CallerOf(ctx).Principal())
	r.Name = sumOf(caller, s.unchecked(ctx), ctx.URI().PathOriginal(), key)
	r.Content = sumOf(ctx.QueryArgs().QueryString(), ctx.Request.Header.ContentType(), RequestBody(ctx))
	return r, nil
}

// unchecked returns the credentials of a request that Kafka has yet to check, or nil: who shows a
// wrong password must not meet the keys of the one whose name it is for.
func (s *Server) unchecked(ctx *fasthttp.RequestCtx) []byte {
	given := ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)
	if s.deps.Access.Delegates() && isBasic(given) {
		return given
	}
	return nil
}

// sumOf returns the hash of the parts. Each has its length before it, so that no two lists of
// parts are alike.
func sumOf(parts ...[]byte) (sum idempotency.Sum) {
	h := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

// answerOf returns what is to be remembered of a request. Nil is for an error after which nothing
// is written: it may be mended, and the request come again. Where it is not known what was written
// the error is remembered, or the retry would write records that may be there.
func answerOf(ctx *fasthttp.RequestCtx, err error) *idempotency.Answer {
	if err == nil {
		h := &ctx.Response.Header
		return &idempotency.Answer{
			Status: ctx.Response.StatusCode(), ContentType: string(h.ContentType()),
			RetryAfter: string(h.Peek(fasthttp.HeaderRetryAfter)), Body: bytes.Clone(ctx.Response.Body()),
		}
	}
	switch apierr.From(err).Kind {
	case apierr.WriteUnknown:
		return &idempotency.Answer{Err: err}
	case apierr.Internal:
		return &idempotency.Answer{Err: apierr.WriteUnknown.Err()}
	}
	return nil
}

// answerAgain answers a request by what is remembered of the first one with its key.
func (s *Server) answerAgain(ctx *fasthttp.RequestCtx, a *idempotency.Answer) error {
	s.figures.Replayed.Add(1)
	h := &ctx.Response.Header
	h.Set(headerReplayed, "true")
	switch {
	case a.Err != nil:
		return a.Err
	case a.Large:
		return apierr.AnswerNotKept.New("The request was answered with status %d before, and that answer is too large to be kept. Do not send it again.", a.Status)
	}
	ctx.SetStatusCode(a.Status)
	h.SetContentType(a.ContentType)
	if a.RetryAfter != "" {
		h.Set(fasthttp.HeaderRetryAfter, a.RetryAfter)
	}
	return Respond(ctx, func(dst []byte) ([]byte, error) { return append(dst, a.Body...), nil })
}
