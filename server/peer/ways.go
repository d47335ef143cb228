package peer

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"millrace/cluster"
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

	mu   sync.Mutex             // held while asking, so that many who want to know ask once
	seen map[cluster.Place]seen // by [cluster.Place.Process]
}

type seen struct {
	open bool
	at   time.Time
}

// open reports whether the node answers, whatever it says. One that refuses connections is
// reached, too: it drains, and ends what it has begun. A process that cannot prove to be the
// node does not count as reached.
func (w *ways) open(to cluster.Place) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	to = to.Process()
	if last := w.seen[to]; time.Since(last.at) < wayLook {
		return last.open
	}
	ctx, cancel := context.WithTimeout(context.Background(), peerDial)
	defer cancel()
	err := w.post(ctx, to, []byte("[]"))
	open := err == nil || errors.Is(err, syscall.ECONNREFUSED) || ctx.Err() == nil
	if errors.Is(err, errProof) || errors.Is(err, errGone) {
		open = false
	}
	if len(w.seen) >= maxSeen {
		clear(w.seen)
	}
	w.seen[to] = seen{open, time.Now()}
	return open
}
