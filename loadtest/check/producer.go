package check

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxAttempts bounds how often a client sends one request.
	maxAttempts = 5
	// retryPause is how long a client waits after what was not acknowledged.
	retryPause = 100 * time.Millisecond
)

// producer is one producing client.
type producer struct {
	run    *traffic
	client int
	line   *line
	seq    int // of its requests
}

// produce sends the client's requests until there are no more, or ctx ends. A request that
// was begun is waited for.
func (p *producer) produce(ctx context.Context) {
	defer p.line.close()
	next := 0 // record
	for n := 0; p.run.Requests == 0 || n < p.run.Requests; n++ {
		plan := p.run.planOf(p.client, n)
		if !pause(ctx, plan.pause) {
			return
		}
		for attempt := 1; ; attempt++ {
			op := p.send(ctx, &plan, next)
			if op.Outcome == OK || attempt == maxAttempts || !plan.again || final(op.Code) {
				break
			}
			if !pause(ctx, retryPause) {
				return
			}
		}
		next += len(plan.records)
	}
}

// send makes one attempt at a request.
func (p *producer) send(ctx context.Context, plan *plan, first int) Op {
	h := p.run.history
	op := Op{
		Kind: Produce, Client: p.client, Seq: p.seq, Topic: plan.topic,
		Records: plan.sent(p.client, first),
	}
	p.seq++
	q := request{
		method: http.MethodPost, path: "/topics/" + url.PathEscape(plan.topic),
		contentType: mediaOf(plan.format), accept: mediaV2,
		body: plan.body(h.Run, p.client, first, time.Now()),
	}
	op.Sent = h.Now()
	r := p.line.do(context.WithoutCancel(ctx), q)
	op.Done, op.Conn = h.Now(), p.line.number
	op.settleProduce(r)
	h.Append(op)
	return op
}

// pause waits for d. It is false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
