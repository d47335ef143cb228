package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/consumer"
	"millrace/internal/apierr"
)

// A page of records that goes by another node to its client is known to have
// arrived when that node says so, with a notice. The node that has the instance
// ([consumer.Passage]) neither confirms nor commits such a page before.

const (
	// noticeTries is how often a notice is sent before it is given up, and
	// noticePause how long to wait before each but the first time. What is not
	// known comes again.
	noticeTries = 5
	noticePause = 200 * time.Millisecond
	// maxNotices bounds those that go in one request, noticeQueue those that
	// wait for a node which does not answer.
	maxNotices, noticeQueue = 1000, 100_000
)

// notice says what became of a page.
type notice struct {
	Group    string `json:"group"`
	Instance string `json:"instance"`
	Page     uint64 `json:"page"`
	Arrived  bool   `json:"arrived"`
}

// pages numbers the pages that go by other nodes, beginning anywhere, so that
// those of two runs of a node differ.
type pages struct{ last atomic.Uint64 }

func newPages() *pages {
	p := &pages{}
	p.last.Store(rand.Uint64())
	return p
}

// passage is how the answer to a read goes that another node has sent on, nil
// for one of a client.
func (s *Server) passage(ctx *fasthttp.RequestCtx) (p *consumer.Passage, announce func()) {
	c := connOf(ctx)
	if !isForwarded(ctx) || c == nil {
		return nil, func() {}
	}
	id := s.forwarder.pages.last.Add(1)
	p = consumer.NewPassage(id, c.peerGone)
	return p, func() {
		if p.Used() {
			ctx.Response.Header.Set(headerPage, strconv.FormatUint(id, 10))
		}
	}
}

// readBy reads from an instance for a client, or for the node that has sent the
// request on.
func (s *Server) readBy(ctx *fasthttp.RequestCtx, i *consumer.Instance, o consumer.ReadOptions, read func(life context.Context, dst []byte, o consumer.ReadOptions) ([]byte, error)) error {
	if isRepeated(ctx) {
		if err := i.TakeBack(consume); err != nil {
			return err
		}
	}
	passage, announce := s.passage(ctx)
	o.Passage = passage
	if passage == nil {
		o.Lost = connOf(ctx).deliver()
	}
	err := waitFor(ctx, func(life context.Context, dst []byte) ([]byte, error) { return read(life, dst, o) })
	if err != nil {
		return err
	}
	announce()
	return nil
}

// takeNotices takes what another node says of pages that went by it, if that is
// what the request is.
func (s *Server) takeNotices(ctx *fasthttp.RequestCtx) (taken bool, err error) {
	if !isForwarded(ctx) || len(ctx.Request.Header.Peek(headerNotices)) == 0 {
		return false, nil
	}
	var all []notice
	if err := json.Unmarshal(requestBody(ctx), &all); err != nil {
		return true, apierr.BadRequest.Wrap(err, "These are no notices of a node.")
	}
	for _, n := range all {
		s.deps.Consumers.Delivered(n.Group, n.Instance, n.Page, n.Arrived)
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return true, nil
}

// notices are what this node has to say to others.
type notices struct {
	post func(ctx context.Context, url string, body []byte) error

	mu     sync.Mutex
	queues map[string][]notice // by the URL of a node that is being told
	open   int                 // pages that are still on their way, or of which the node was not told yet
	none   chan struct{}       // closed when open becomes 0; nil while nobody waits
}

// expect says that a page is on its way through this node, of which tell will
// be called once.
func (q *notices) expect() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open++
}

// tell has the node at the URL learn what became of a page. It does not wait.
func (q *notices) tell(url string, n notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting, busy := q.queues[url]
	if len(waiting) >= noticeQueue {
		q.settled(1)
		return
	}
	q.queues[url] = append(waiting, n)
	if !busy {
		go q.send(url)
	}
}

// settled notes that there is nothing more to say of n pages. The caller holds q.mu.
func (q *notices) settled(n int) {
	if q.open -= n; q.open == 0 && q.none != nil {
		close(q.none)
		q.none = nil
	}
}

// send tells a node what there is to tell, and what came up meanwhile: where
// there is much, many pages share a request.
func (q *notices) send(url string) {
	for {
		q.mu.Lock()
		waiting := q.queues[url]
		if len(waiting) == 0 {
			delete(q.queues, url)
			q.mu.Unlock()
			return
		}
		now := waiting[:min(len(waiting), maxNotices)]
		q.queues[url] = waiting[len(now):]
		q.mu.Unlock()
		body, err := json.Marshal(now)
		if err != nil {
			panic("BUG: notices cannot be written as JSON: " + err.Error())
		}
		for try := 0; try < noticeTries; try++ {
			if try > 0 {
				time.Sleep(noticePause)
			}
			ctx, cancel := context.WithTimeout(context.Background(), peerDial)
			err := q.post(ctx, url, body)
			cancel()
			if err == nil {
				break
			}
		}
		q.mu.Lock()
		q.settled(len(now))
		q.mu.Unlock()
	}
}

// flush waits until all pages that have gone through this node are told of: who
// goes after that leaves no doubt behind.
func (q *notices) flush(ctx context.Context) {
	q.mu.Lock()
	if q.open == 0 {
		q.mu.Unlock()
		return
	}
	if q.none == nil {
		q.none = make(chan struct{})
	}
	none := q.none
	q.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}

// postNotices sends notices to another node.
func (f *forwarder) postNotices(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("cannot make a request to another node: %w", err)
	}
	req.Header.Set(headerSecret, f.settings.Secret)
	req.Header.Set(headerMethod, http.MethodPost)
	req.Header.Set(headerNotices, "true")
	resp, err := f.client.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode >= http.StatusInternalServerError {
		return errors.New(resp.Status)
	}
	return nil
}

// onward sees to it that the node at the URL learns whether the page of its
// answer reaches the client. body is what is still to come of it, or nil.
func (f *forwarder) onward(ctx *fasthttp.RequestCtx, url, page string, body *remoteBody) {
	id, err := strconv.ParseUint(page, 10, 64)
	c := connOf(ctx)
	if err != nil || c == nil {
		return
	}
	group, name, err := instanceParams(ctx)
	if err != nil {
		return
	}
	n := notice{Group: group, Instance: name, Page: id}
	f.notices.expect()
	if c.peerGone() { // what is written now nobody reads
		f.notices.tell(url, n)
		return
	}
	c.whenSent(func(sent bool) {
		n.Arrived = sent && (body == nil || body.whole.Load())
		f.notices.tell(url, n)
	})
}
