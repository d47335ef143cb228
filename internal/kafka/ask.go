package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// askNextAfter is how long a broker may take with a request that any of them can answer,
	// before the next is asked as well. The library itself waits for its time-out, seconds: with one
	// broker that is suspended, the look-up of a new leader would take as long, or not, by chance.
	askNextAfter = 300 * time.Millisecond
	// maxAsked bounds how many are asked.
	maxAsked = 3
)

// Ask sends a request that any broker can answer, with retries until ctx ends, and returns the first
// response. From metadata the client learns the brokers' addresses.
//
// The requests that lose are not cancelled: the library would end their connections, with whatever
// else waits there. They end with the library's time-outs.
func (s *Sender) Ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	life := context.WithoutCancel(ctx)
	replies := make(chan reply, maxAsked)
	ask := func(req kmsg.Request) {
		resp, err := s.client.Request(life, req)
		replies <- reply{resp, err}
	}
	next := time.NewTicker(askNextAfter)
	defer next.Stop()
	copies := []kmsg.Request{req}
	for range maxAsked - 1 {
		copies = append(copies, copyOf(req)) // the library writes its version into a request
	}
	go ask(copies[0])
	for asked := 1; ; {
		select {
		case r := <-replies:
			return r.resp, r.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-next.C:
			if asked < maxAsked && copies[asked] != nil {
				go ask(copies[asked])
				asked++
			}
		}
	}
}

// copyOf returns a copy of a request that any broker can answer, nil for any other.
func copyOf(req kmsg.Request) kmsg.Request {
	switch r := req.(type) {
	case *kmsg.MetadataRequest:
		c := *r
		return &c
	case *kmsg.InitProducerIDRequest:
		c := *r
		return &c
	case *kmsg.DescribeConfigsRequest:
		c := *r
		return &c
	}
	return nil
}
