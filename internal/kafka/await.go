package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// await returns the response of request, or ctx's error as soon as ctx ends. The client alone would
// continue to wait: for the response to an earlier request on the same connection, or for a broker
// that accepts a connection and sends nothing. The context that request gives the client decides
// what becomes of a request that nobody waits for any more: to cancel one, the library ends its
// connection, and all others in flight there fail as if the broker were away.
func await[T any](ctx context.Context, request func() T) (response T, err error) {
	done := make(chan T, 1)
	go func() { done <- request() }()
	select {
	case response = <-done:
		return response, nil
	case <-ctx.Done():
		return response, ctx.Err()
	}
}

// reply is a response or the error in its place.
type reply struct {
	resp kmsg.Response
	err  error
}

// sharedTimeout bounds a request whose caller has given up.
const sharedTimeout = 10 * time.Second

// shared is [await] for a connection that others share: request is called with a context that
// outlives ctx, for sharedTimeout at most. A response that nobody waits for any more is read and
// dropped.
func shared[T any](ctx context.Context, request func(ctx context.Context) T) (response T, err error) {
	return await(ctx, func() T {
		life, cancel := context.WithTimeout(context.WithoutCancel(ctx), sharedTimeout)
		defer cancel()
		return request(life)
	})
}

// Prompt sends requests to any broker of the client, or to the responsible one, and returns when
// ctx ends. A request that is given up is cancelled, and its connection with it: one that brings
// nothing is replaced by the next request.
type Prompt struct{ Client *kgo.Client }

// Request implements [kmsg.Requestor].
func (p Prompt) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	got, err := await(ctx, func() (o reply) {
		o.resp, o.err = p.Client.Request(ctx, req)
		return o
	})
	if err != nil {
		return nil, err
	}
	return got.resp, got.err
}
