package peer

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"
)

// wayLook is how long what was seen of the way to a node holds.
const wayLook = time.Second

// ways tells whether nodes can be reached. A way on which all is dropped looks
// like an answer that takes its time: only another question tells them apart.
type ways struct {
	post func(ctx context.Context, url string, body []byte) error

	mu   sync.Mutex // held while asking, so that many who want to know ask once
	seen map[string]seen
}

type seen struct {
	open bool
	at   time.Time
}

// open reports whether the node at the URL answers, whatever it says. One that
// refuses connections is reached, too: it drains, and ends what it has begun.
func (w *ways) open(url string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.seen[url]; time.Since(last.at) < wayLook {
		return last.open
	}
	ctx, cancel := context.WithTimeout(context.Background(), peerDial)
	defer cancel()
	err := w.post(ctx, url, []byte("[]"))
	open := err == nil || errors.Is(err, syscall.ECONNREFUSED) || ctx.Err() == nil
	w.seen[url] = seen{open, time.Now()}
	return open
}
