package peer

import (
	"bytes"
	"context"
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

	"millrace/cluster"
	"millrace/codec/json"
	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/server"
)

// A page of records that goes by another node to its client is known to have arrived when that
// node confirms it with a notice. The node that has the instance ([consumer.Passage]) neither
// confirms nor commits such a page before.

const (
	// noticeTries is how often a notice is sent before it is given up, and noticePause how long to
	// wait before each but the first time. Records whose arrival is unknown are read again.
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

// Passage returns the way of the response to a read that another node has forwarded, nil for a
// read of a client.
func (f *Forwarder) Passage(ctx *fasthttp.RequestCtx) (p *consumer.Passage, announce func()) {
	c := server.ConnOf(ctx)
	if !isForwarded(ctx) || c == nil {
		return nil, func() {}
	}
	id := f.pages.last.Add(1)
	p = consumer.NewPassage(id, c.PeerGone)
	return p, func() {
		if p.Used() {
			ctx.Response.Header.Set(headerPage, strconv.FormatUint(id, 10))
		}
	}
}

// takeNotices takes what another node says of pages that went by it.
func (f *Forwarder) takeNotices(ctx *fasthttp.RequestCtx) error {
	if !isForwarded(ctx) {
		return apierr.NotFound.New("There is nothing at %s.", server.SentPath(ctx))
	}
	var all []notice
	if err := json.Unmarshal(server.RequestBody(ctx), &all); err != nil {
		return apierr.BadRequest.Wrap(err, "These are no notices of a node.")
	}
	for _, n := range all {
		f.consumers.Delivered(n.Group, n.Instance, n.Page, n.Arrived)
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// notices are what this node has to say to others.
type notices struct {
	post func(ctx context.Context, to cluster.Place, body []byte) error

	mu     sync.Mutex
	queues map[cluster.Place][]notice // by the [cluster.Place.Process] of the node to notify
	open   int                        // pages on their way, or whose node was not notified yet
	none   chan struct{}              // closed when open becomes 0; nil while nobody waits
}

// expect says that a page is on its way through this node, of which tell will
// be called once.
func (q *notices) expect() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open++
}

// tell has the node learn what became of a page. It does not wait.
func (q *notices) tell(to cluster.Place, n notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	to = to.Process()
	waiting, busy := q.queues[to]
	if len(waiting) >= noticeQueue {
		q.settled(1)
		return
	}
	q.queues[to] = append(waiting, n)
	if !busy {
		go q.send(to)
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
func (q *notices) send(to cluster.Place) {
	for {
		q.mu.Lock()
		waiting := q.queues[to]
		if len(waiting) == 0 {
			delete(q.queues, to)
			q.mu.Unlock()
			return
		}
		now := waiting[:min(len(waiting), maxNotices)]
		q.queues[to] = waiting[len(now):]
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
			err := q.post(ctx, to, body)
			cancel()
			if err == nil || errors.Is(err, errGone) {
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

// errGone says that there is no node any more that a notice could be of use to.
var errGone = errors.New("the node is gone")

// postNotices sends notices to another node, if that is still the process that
// they are for: no other one has the pages that they speak of.
func (f *Forwarder) postNotices(ctx context.Context, to cluster.Place, body []byte) error {
	now, ok := f.node.Peer(to.Node)
	if !ok || now.Process() != to {
		return errGone
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, now.URL+noticesPath, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("cannot make a request to another node: %w", err)
	}
	req.Header.Set(headerMethod, http.MethodPost)
	req.Header.Set(headerNotices, "true")
	resp, err := f.roundTrip(req, body, now)
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

// onward sees to it that the node learns whether the page of its answer reaches
// the client. body is what is still to come of it, or nil.
func (f *Forwarder) onward(ctx *fasthttp.RequestCtx, from cluster.Place, page string, body *remoteBody) {
	id, err := strconv.ParseUint(page, 10, 64)
	c := server.ConnOf(ctx)
	if err != nil || c == nil {
		return
	}
	group, name, err := server.InstanceParams(ctx)
	if err != nil {
		return
	}
	n := notice{Group: group, Instance: name, Page: id}
	f.notices.expect()
	if c.PeerGone() { // what is written now nobody reads
		f.notices.tell(from, n)
		return
	}
	c.WhenSent(func(sent bool) {
		n.Arrived = sent && (body == nil || body.whole.Load())
		f.notices.tell(from, n)
	})
}
