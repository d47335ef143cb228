package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/cluster"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/server"
	"millrace/server/idempotency"
)

// This file is how a node that has started learns the Idempotency-Keys of requests that were made
// before: it asks every other node for all that it remembers. Else nodes that restart one after the
// other would have forgotten all in the end, though the service never stopped.
//
// A node answers only those that it has read of in the cluster's topic. From then on it tells them
// of each request that is settled, so that nothing falls between.

// handoverPath is where a node hands over what it remembers.
const handoverPath = keysPath + "/all"

const (
	// pageBytes is what a page of memories has, about; maxPage bounds it as JSON, with the requests
	// that are being carried out.
	pageBytes, maxPage = 256 << 10, 8 << 20
	// pageTime bounds the wait for a page, and askAgain is the pause before a node is asked again.
	pageTime, askAgain = 5 * time.Second, 100 * time.Millisecond
)

// asked asks for the memories behind a place.
type asked struct {
	By     string `json:"by"` // the run of the node that asks
	Behind uint64 `json:"behind"`
}

// page is the reply.
type page struct {
	Memories []memory `json:"memories"`
	Last     uint64   `json:"last"`
	More     bool     `json:"more,omitempty"`
}

// memory is an [idempotency.Memory]. Run is that of a node also where that is the one that tells.
type memory struct {
	Name    []byte  `json:"name"`
	Content []byte  `json:"content"`
	Run     string  `json:"run,omitempty"`
	Try     uint64  `json:"try,omitempty"`
	Answer  *answer `json:"answer,omitempty"`
	AgeMS   int64   `json:"age_ms"`
}

// handOver handles the request of a node for what this one remembers.
func (f *Forwarder) handOver(ctx *fasthttp.RequestCtx) error {
	if !isForwarded(ctx) || f.answers == nil {
		return apierr.NotFound.New("There is nothing at %s.", server.SentPath(ctx))
	}
	var a asked
	if err := json.Unmarshal(server.RequestBody(ctx), &a); err != nil || a.By == "" {
		return apierr.BadRequest.Wrap(err, "This is no request of a node for keys.")
	}
	if _, alive := f.node.Process(a.By); !alive {
		return apierr.KeyUnsettled.New("This node has not read of the run %s yet.", apierr.Quote([]byte(a.By)))
	}
	var p page
	var memories []idempotency.Memory
	memories, p.Last, p.More = f.answers.Memories(a.Behind, pageBytes)
	for _, m := range memories {
		run := m.Run
		if m.Answer == nil && run == "" {
			run = f.node.Run()
		}
		p.Memories = append(p.Memories, memory{m.Request.Name[:], m.Request.Content[:], run, m.Try, answerOf(m.Answer), m.Age.Milliseconds()})
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("cannot write what is remembered: %w", err)
	}
	ctx.SetContentType(server.MediaJSON)
	ctx.SetBody(body)
	return nil
}

// TookOver reports whether [Forwarder.TakeOver] has returned.
func (f *Forwarder) TookOver() bool { return f.tookOver.Load() }

// TakeOver has the node remember what the other nodes remember. It returns when it has heard all of
// them, or nobody else can be heard. An error says whom it could not ask before ctx ended.
func (f *Forwarder) TakeOver(ctx context.Context) error {
	defer f.tookOver.Store(true)
	if f.answers == nil {
		return nil
	}
	done := map[string]bool{} // runs
	for {
		missed := f.takeFromAll(ctx, done)
		if missed == nil {
			return nil
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return missed
		}
	}
}

var errNoLease = errors.New("this node has not joined the others")

// takeFromAll asks the nodes that are not among those done, and adds those that it has heard all
// of.
func (f *Forwarder) takeFromAll(ctx context.Context, done map[string]bool) (missed error) {
	others := f.node.Agreement(ctx).Others
	if !f.node.Leased() {
		return errNoLease
	}
	for _, from := range others {
		if done[from.Run] {
			continue
		}
		err := f.takeFrom(ctx, from)
		var refused statusError
		switch {
		case err == nil, unsent(err) && f.node.Overdue(from.Node):
			done[from.Run] = true
		case errors.As(err, &refused) && refused != http.StatusServiceUnavailable: // a former version
			done[from.Run] = true
		default:
			missed = err
		}
	}
	return missed
}

// takeFrom remembers what another node remembers.
func (f *Forwarder) takeFrom(ctx context.Context, from cluster.Place) error {
	for p := (page{More: true}); p.More; {
		last := p.Last
		reading, cancel := context.WithTimeout(ctx, pageTime)
		text, err := f.tell(reading, from, handoverPath, asked{f.node.Run(), last}, maxPage)
		cancel()
		if err != nil {
			return err
		}
		p = page{}
		if err := json.Unmarshal(text, &p); err != nil {
			return fmt.Errorf("cannot read the keys of the node %s: %w", from.Node, err)
		}
		for _, m := range p.Memories {
			known := idempotency.Memory{Answer: m.Answer.remembered(), Run: m.Run, Try: m.Try, Age: time.Duration(max(m.AgeMS, 0)) * time.Millisecond}
			r := &known.Request
			if copy(r.Name[:], m.Name) != len(r.Name) || copy(r.Content[:], m.Content) != len(r.Content) || known.Answer == nil && m.Run == "" {
				return fmt.Errorf("cannot use the keys of the node %s: they are malformed", from.Node)
			}
			f.answers.Remember(known)
		}
		if p.More && p.Last <= last {
			return fmt.Errorf("cannot use the keys of the node %s: its pages do not end", from.Node)
		}
	}
	return nil
}
