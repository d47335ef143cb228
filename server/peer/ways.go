package peer

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"millrace/cluster"
	"millrace/internal/bounded"
	"millrace/internal/singleflight"
)

const (
	// wayLook is how long what was seen of the way to a node holds.
	wayLook = time.Second
	// maxSeen bounds the nodes of which it is remembered.
	maxSeen = 1000
)

// ways tells whether nodes can be reached. A way on which all is dropped looks
// like an answer that takes its time: only another question tells them apart.
type ways struct {
	post func(ctx context.Context, to cluster.Place, body []byte) error

	asks singleflight.Group[cluster.Place, bool] // by [cluster.Place.Process], as are the next
	mu   sync.Mutex
	seen *bounded.Map[cluster.Place, seen]
}

func newWays(post func(ctx context.Context, to cluster.Place, body []byte) error) *ways {
	return &ways{post: post, seen: bounded.New[cluster.Place, seen](maxSeen, nil)}
}

type seen struct {
	open bool
	at   time.Time
}

// open reports whether the node answers, whatever it says. One that refuses connections is
// reached, too: it drains, and ends what it has begun. A process that cannot prove to be the
// node does not count as reached.
func (w *ways) open(to cluster.Place) bool {
	to = to.Process()
	w.mu.Lock()
	last, _ := w.seen.Get(to)
	w.mu.Unlock()
	if time.Since(last.at) < wayLook {
		return last.open
	}
	call, err := w.asks.Start(to, singleflight.Go, func() (bool, error) { return w.ask(to), nil })
	if err != nil {
		return false
	}
	open, _ := call.Result() // it takes peerDial at most
	return open
}

// ask sends a question to the node, and remembers whether it was reached.
func (w *ways) ask(to cluster.Place) bool {
	ctx, cancel := context.WithTimeout(context.Background(), peerDial)
	defer cancel()
	err := w.post(ctx, to, []byte("[]"))
	open := err == nil || errors.Is(err, syscall.ECONNREFUSED) || ctx.Err() == nil
	if errors.Is(err, errProof) || errors.Is(err, errGone) {
		open = false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Put(to, seen{open, time.Now()})
	return open
}
