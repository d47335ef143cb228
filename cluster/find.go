package cluster

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/apierr"
)

// now is the clock; only differences of it are used.
func now() time.Time { return time.Now() }

// retryAdoption is how soon an adoption is tried again that has failed for a
// reason that may pass. Each try writes two records.
const retryAdoption = time.Second

// startWait is how long a request waits for a node that has just started and
// is still reading what there is.
const startWait = 5 * time.Second

// Place says who serves a request about an instance.
type Place struct {
	// URL is where the node is that has the instance, empty when that is this one.
	URL string
	// Node is its id, Run that of its process.
	Node, Run string
	// Beat is the number of the last heartbeat that was read of it.
	Beat uint64
	// Sealed says that its heartbeats are authenticated. Others come from nodes of
	// a former version, or from anybody.
	Sealed bool
}

// Process returns the place without what changes while the process at it lives.
func (p Place) Process() Place {
	p.Beat = 0
	return p
}

// Find returns who has the instance. One that no live node has is adopted, so that the answer
// is this node. An instance that no node has heard of is also answered with this node, which
// refuses the request as not found. refused names a node that could just not be connected to,
// or is empty: with that, a heartbeat that is overdue counts as its death. Errors:
// [apierr.BrokersAway], and what an adoption meets.
func (n *Node) Find(ctx context.Context, group, name, refused string) (Place, error) {
	k := instanceKey{group, name}
	n.awaitStart(ctx)
	for looked := false; ; {
		h, known, err := n.get(k)
		if err != nil {
			return Place{}, err
		}
		switch {
		case !known && looked, !known && n.local.Holds(group, name):
			return Place{}, nil
		case !known: // it may have been made elsewhere a moment ago
			if err := n.catchUp(ctx); err != nil {
				return Place{}, err
			}
			looked = true
		case h.Owner == n.ID() && n.local.Holds(group, name):
			return Place{}, nil
		case h.Owner != n.ID() && n.Alive(h.Owner) && (h.Owner != refused || !n.overdue(h.Owner)):
			if p, ok := n.Peer(h.Owner); ok {
				return p, nil
			}
		default:
			if err := n.judged(k, h.Born); err != nil {
				return Place{}, err
			}
			if err := n.local.Admits(ctx, h.Definition); err != nil {
				return Place{}, err
			}
			if err := n.adopt(ctx, k, h); err != nil {
				return Place{}, err
			}
		}
	}
}

// awaitStart waits for a node that has just started, until it has read the log
// up to its own first heartbeat. One that was cut off keeps nobody waiting.
func (n *Node) awaitStart(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		n.mu.Lock()
		starting, changed := !n.started, n.changed
		n.mu.Unlock()
		if !starting {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Changed returns a channel that is closed when the node has learned something.
func (n *Node) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

// catchUp waits until this node has read all that was written so far.
func (n *Node) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.settings.Lease)
	defer cancel()
	ends, err := kadm.NewClient(n.client).ListEndOffsets(ctx, n.settings.Topic)
	if err != nil {
		return apierr.From(err)
	}
	end, ok := ends.Lookup(n.settings.Topic, 0)
	if !ok || end.Err != nil {
		return cutOff()
	}
	return n.await(ctx, end.Offset-1)
}

// Alive reports whether a node counts as alive.
func (n *Node) Alive(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.alive(id, now())
}

// overdue reports whether a node should have shown that it lives, twice.
func (n *Node) overdue(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.table.nodes[id]
	return p == nil || now().Sub(p.heard) > 2*n.settings.Heartbeat+n.settings.Heartbeat/2
}

// Peer returns where a node is that counts as alive.
func (n *Node) Peer(id string) (Place, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.table.nodes[id]
	if p == nil || !p.alive(now()) {
		return Place{}, false
	}
	return p.place(id), true
}

// Run returns what tells this process from others of the same id.
func (n *Node) Run() string { return n.run }

// Beat returns the number of the last heartbeat that this node sent.
func (n *Node) Beat() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.number
}

// judged returns why this node has not adopted the instance before, nil where
// it may try. That it cannot be recovered holds for good.
func (n *Node) judged(k instanceKey, born string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v, ok := n.verdicts[k]; ok && v.born == born && !v.over(now()) {
		return v.err
	}
	return nil
}

// judge remembers why the instance could not be adopted.
func (n *Node) judge(k instanceKey, born string, err error) {
	v := verdict{born: born, err: err}
	if !apierr.InstanceNotFound.Is(err) {
		v.until = now().Add(retryAdoption)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.verdicts[k] = v
}

// Gone says why an instance is gone that was deleted not long ago, if there is
// anything to say about it. It does not wait.
func (n *Node) Gone(group, name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := instanceKey{group, name}
	if e := n.table.instances[k]; e != nil {
		return e.Why
	}
	return n.table.graves[k].why
}

// adopt takes an instance over that nobody has; h is what was known of it. When
// another node is faster, or another request of this one, there is no error:
// look again.
func (n *Node) adopt(ctx context.Context, k instanceKey, h holding) error {
	n.mu.Lock()
	if other := n.adopting[k]; other != nil {
		n.mu.Unlock()
		select {
		case <-other:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan struct{})
	n.adopting[k] = done
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.adopting, k)
		n.mu.Unlock()
		close(done)
	}()
	first, err := n.claim(ctx, k, h)
	if err != nil || !first {
		return err
	}
	if err := n.local.Adopt(ctx, k.group, k.name, h.Definition); err != nil {
		n.adoptFailed.Add(1)
		n.judge(k, h.Born, err)
		// Another node, or this one later, may do better. One may have done so already.
		if failed := n.Release(ctx, k.group, k.name, h.Definition); failed != nil && !apierr.InstanceMoved.Is(failed) {
			n.log.Warn("cannot release a consumer instance that could not be adopted", "group", k.group, "instance", k.name, "err", failed)
		}
		return err
	}
	n.mu.Lock()
	lost := n.lost(k)
	n.mu.Unlock()
	if lost { // the claim of another node came meanwhile, and found nothing here to discard
		n.local.Discard(k.group, k.name)
		return nil
	}
	n.adopted.Add(1)
	n.log.Info("consumer instance adopted", "group", k.group, "instance", k.name, "from", h.Owner)
	return nil
}

// lost reports whether the instance is not this node's, as far as it has read. The caller
// holds n.mu.
func (n *Node) lost(k instanceKey) bool {
	e := n.table.instances[k]
	return e == nil || e.Deleted || e.Owner != n.ID()
}

// Recent reports whether this node sent the heartbeat of that number not long
// ago: others that still took it for the last one have counted this node as alive.
func (n *Node) Recent(beat uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return beat <= n.number && n.number-beat <= uint64(recentLeases*n.settings.Lease/n.settings.Heartbeat)+2
}

// recentLeases is how many leases a heartbeat is recent: as long as one that was
// read late counts, and a request that was sent at the end of that may take.
const recentLeases = 3
