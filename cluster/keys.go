package cluster

import (
	"context"
	"slices"
	"strings"
)

// Agreement is the nodes that agree on which of them carries a request with a key out.
type Agreement struct {
	// Others are those nodes but this one, by their ids.
	Others []Place
	// Whole says that no other node can carry the request out without asking one of them or this
	// node: this node has its lease, and each node that is alive takes part. Of two nodes with a
	// lease the one that has started later has read of the other.
	Whole bool
}

// Agreement returns the nodes that agree on keys (Settings.Keys). It waits for a node that has just
// started.
func (n *Node) Agreement(ctx context.Context) Agreement {
	n.awaitStart(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	at := now()
	a := Agreement{Whole: n.leased(at)}
	for id, p := range n.table.nodes {
		switch {
		case id == n.ID() || !p.alive(at):
		case p.Keys && p.sealed:
			a.Others = append(a.Others, p.place(id))
		default:
			a.Whole = false
		}
	}
	slices.SortFunc(a.Others, func(a, b Place) int { return strings.Compare(a.Node, b.Node) })
	return a
}

// Leased reports whether this node may act for the service.
func (n *Node) Leased() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leased(now())
}

// Process returns where a process is, and whether it counts as alive.
func (n *Node) Process(run string) (Place, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, p := range n.table.nodes {
		if p.Run == run && p.alive(now()) {
			return p.place(id), true
		}
	}
	return Place{}, false
}

// Overdue reports whether a node should have shown that it lives, twice. Together with a refused
// connection that counts as its death.
func (n *Node) Overdue(id string) bool { return n.overdue(id) }
