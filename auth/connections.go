package auth

import (
	"net/netip"
	"sync"
)

// connections counts the open connections of identities, for the quotas that bound them. An entry
// exists only while a connection is counted, so open connections bound their number.
// Like [buckets] it outlives the snapshots: connections stay open when the files change.
type connections struct {
	mu   sync.Mutex
	open map[bucketKey]int
}

// Connection says which quotas an open connection is counted in. The zero Connection is counted in
// none.
//
// A connection counts for the caller of its latest request: whoever holds it open since then is
// that caller. Connect is for one goroutine, that of the connection; Close may be called by any.
type Connection struct {
	caller *Identity // nil: it must be counted anew

	mu     sync.Mutex // guards what follows; locked before that of counts
	counts *connections
	keys   []bucketKey
	closed bool
}

// Of reports whether the connection counts for the identity already, or need not count. It is what
// a further request of the same caller costs.
func (c *Connection) Of(id *Identity) bool { return id == nil || id == c.caller }

// Connect counts the connection, from addr, as one of the identity. ok is false where that would be
// more than a quota of it allows: left names the quota, and the connection counts for nobody. A
// next request of the same caller costs one comparison.
func (id *Identity) Connect(c *Connection, addr netip.Addr) (left Left, ok bool) {
	if id == c.caller || id == nil {
		return left, true
	}
	keys := id.connectionKeys(addr)
	counts := &id.policy.buckets.connections
	c.mu.Lock()
	defer c.mu.Unlock()
	counts.mu.Lock()
	defer counts.mu.Unlock()
	counts.release(c)
	c.caller, c.counts = nil, counts
	for i := range id.limits {
		q := id.limits[i].quota
		if q.Connections > 0 && counts.open[q.bucketOf(id, addr)] >= q.Connections {
			q.refused[connected].Add(1)
			return Left{Name: q.Name, What: meterNames[connected], Limit: int64(q.Connections)}, false
		}
	}
	c.caller = id
	if !c.closed { // else nobody would uncount it
		counts.take(c, keys)
	}
	return left, true
}

// connectionKeys names the counts that a connection of the identity belongs to.
func (id *Identity) connectionKeys(addr netip.Addr) (keys []bucketKey) {
	for i := range id.limits {
		if q := id.limits[i].quota; q.Connections > 0 {
			keys = append(keys, q.bucketOf(id, addr))
		}
	}
	return keys
}

// bucketOf names whose state of the quota a caller uses.
func (q *quota) bucketOf(id *Identity, addr netip.Addr) bucketKey {
	switch {
	case q.Per == perAll:
		return bucketKey{quota: q.bucket}
	case q.Per == perIdentity && !id.Anonymous():
		return bucketKey{quota: q.bucket, principal: id.principal}
	}
	return bucketKey{quota: q.bucket, addr: addr}
}

// take counts the connection under keys. The caller holds mu.
func (n *connections) take(c *Connection, keys []bucketKey) {
	if n.open == nil {
		n.open = make(map[bucketKey]int)
	}
	c.keys = keys
	for _, key := range keys {
		n.open[key]++
	}
}

// release uncounts the connection. The caller holds mu.
func (n *connections) release(c *Connection) {
	for _, key := range c.keys {
		if n.open[key]--; n.open[key] == 0 {
			delete(n.open, key)
		}
	}
	c.keys = nil
}

// Close uncounts the connection for good.
func (c *Connection) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if n := c.counts; n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.release(c)
	}
}
