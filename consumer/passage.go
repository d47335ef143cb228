package consumer

import (
	"context"
	"sync/atomic"
	"time"

	"millrace/internal/apierr"
)

const (
	// passageWait is how long a read or commit waits for the word of another
	// node on whether the answer before arrived.
	passageWait = 5 * time.Second
	// passageLook is how often it looks whether that node is still alive.
	passageLook = 20 * time.Millisecond
)

// Passage is the way of an answer to its client by another node, which says
// with [Manager.Delivered] whether it arrived. Until then nobody knows.
type Passage struct {
	id   uint64
	cut  func() bool
	used atomic.Bool
	told chan struct{} // closed when it is known
	// arrived means something once told is closed.
	arrived bool
}

// NewPassage returns a passage that id tells from all others on this node.
// cut reports whether the way has ended, so that no word may be expected of it
// any more; it must not block.
func NewPassage(id uint64, cut func() bool) *Passage {
	return &Passage{id: id, cut: cut, told: make(chan struct{})}
}

// Used reports whether the answer had records, so that it matters.
func (p *Passage) Used() bool { return p != nil && p.used.Load() }

// known reports whether there was word of the answer.
func (p *Passage) known() bool {
	select {
	case <-p.told:
		return true
	default:
		return false
	}
}

// await waits for word of the answer while there may be some.
func (p *Passage) await(ctx context.Context) {
	look := time.NewTicker(passageLook)
	defer look.Stop()
	for !p.known() && !p.cut() {
		select {
		case <-p.told:
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// Delivered says whether the answer with that id of its passage arrived. It
// means nothing any more once the instance was read again.
func (m *Manager) Delivered(group, name string, id uint64, arrived bool) {
	i, err := m.Get(group, name)
	if err != nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if p := i.passage; p != nil && p.id == id && !p.known() {
		p.arrived = arrived
		close(p.told)
	}
}

// goesBy notes the passage of an answer with that many records, nil for one
// that goes to its client directly. The caller holds i.mu.
func (i *Instance) goesBy(p *Passage, records int) {
	i.passage = nil
	if p != nil && records > 0 {
		p.used.Store(true)
		i.passage = p
	}
}

// awaitPassage waits until it is known whether the last answer arrived, or that
// nobody will say. It is true when it is known. No lock but the lease may be held.
func (i *Instance) awaitPassage(ctx context.Context) bool {
	i.mu.Lock()
	p := i.passage
	i.mu.Unlock()
	if p == nil {
		return true
	}
	ctx, cancel := i.bound(ctx, passageWait)
	defer cancel()
	p.await(ctx)
	return p.known()
}

// unsure is why all that was answered cannot be committed: committed, an answer
// that got lost would be lost for good, and left out, one that arrived would
// come again although its client was told that it is committed.
func unsure() error {
	return apierr.ArrivalUnknown.New("The node that has forwarded the last records of this consumer instance is gone, and nobody knows whether they arrived. " +
		"Read on, and they come again; or commit offsets by name.")
}
