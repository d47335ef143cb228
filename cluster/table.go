package cluster

import (
	"fmt"
	"time"

	"millrace/codec/json"
	"millrace/internal/bounded"
)

// table is the state that the log has come to. [Node.mu] guards it.
type table struct {
	// lenient also counts records without a MAC, which nodes of former versions write.
	lenient   bool
	nodes     map[string]*peer
	instances map[instanceKey]*entry
	// graves are the instances that were deleted a while ago. A node that has not read of the
	// deletion may still claim the instance, which must not bring it back.
	graves map[instanceKey]grave
	// departed are the last heartbeats of nodes that are in nodes no more.
	departed *bounded.Map[string, heartbeat]
}

// maxDeparted bounds what is remembered of nodes that are gone.
const maxDeparted = 10_000

// grave is what is left of an instance.
type grave struct {
	born  string
	since int64
	why   string
	dug   time.Time
}

// peer is a node, the own one included.
type peer struct {
	heartbeat
	heard  time.Time // when the last heartbeat was read; on this host's clock
	sealed bool      // the last heartbeat carried its MAC
}

func (p *peer) alive(now time.Time) bool { return !p.Left && now.Sub(p.heard) < p.lease() }

func (p *peer) place(id string) Place {
	return Place{URL: p.URL, Node: id, Run: p.Run, Beat: p.Beat, Sealed: p.sealed}
}

// entry is an instance.
type entry struct {
	holding
	sealed bool // the record carried its MAC
	// idle is since when nobody has the instance, as far as this node has
	// noticed; zero while somebody has.
	idle time.Time
}

func newTable() *table {
	return &table{
		nodes: make(map[string]*peer), departed: bounded.New[string, heartbeat](maxDeparted, nil),
		instances: make(map[instanceKey]*entry), graves: make(map[instanceKey]grave),
	}
}

// change is what a record did to the table.
type change struct {
	node     string // whose heartbeat it was, or
	instance instanceKey
	former   string // owner before the record
	rejected bool   // it came too late, or is unsealed, and does not count
	unsealed bool   // it does not carry its MAC, and a sealed one is needed
	since    int64  // of the instance that the rejected record is of
}

// apply takes in the next record of the log, which was read at the time now. When
// it was written does not matter: that is for another host's clock to say. So a
// node that is long dead is taken for alive, once, by one that has just started.
// sealed says that the record carries its MAC. apply keeps nothing of key and value.
func (t *table) apply(key, value []byte, sealed bool, now time.Time) (change, error) {
	node, instance, err := parseKey(key)
	if err != nil {
		return change{}, err
	}
	c := change{node: node, instance: instance, unsealed: !sealed && !t.lenient}
	if node != "" {
		if !c.unsealed {
			c.rejected, err = t.applyNode(node, value, sealed, now)
		}
		return c, err
	}
	was := t.instances[instance]
	if was != nil {
		c.former = was.Owner
	}
	if c.unsealed {
		c.rejected = was != nil // and compaction may keep it in place of what counts
		return c, nil
	}
	if value == nil { // the end of what a record before has deleted
		switch {
		case was == nil:
		case was.Deleted:
			delete(t.instances, instance)
			t.graves[instance] = grave{was.Born, was.Since, was.Why, now}
		default:
			c.rejected = true
		}
		return c, nil
	}
	var h holding
	if err := json.Unmarshal(value, &h); err != nil {
		return change{}, fmt.Errorf("cannot read the record of the consumer instance %q of group %q: %w", instance.name, instance.group, err)
	}
	gone, buried := t.graves[instance]
	switch {
	case was != nil && (h.Epoch <= was.Epoch || h.Deleted && h.Born != was.Born),
		was != nil && sealed && h.Born != was.Born && h.Since < was.Since,
		was == nil && buried && (h.Born == gone.born || sealed && h.Since < gone.since):
		c.rejected, c.since = true, h.Since
		return c, nil
	}
	if was != nil && h.Born == was.Born { // nodes of former versions leave it out
		h.Since = max(h.Since, was.Since)
	}
	t.instances[instance] = &entry{holding: h, sealed: sealed}
	return c, nil
}

// applyNode takes in a record of a node, and reports whether it does not count.
func (t *table) applyNode(id string, value []byte, sealed bool, now time.Time) (rejected bool, _ error) {
	was := t.nodes[id]
	if value == nil {
		if was != nil && was.alive(now) && (was.sealed || sealed) {
			return true, nil // a copy of the tombstone of another time
		}
		t.depart(id)
		return false, nil
	}
	var h heartbeat
	if err := json.Unmarshal(value, &h); err != nil {
		return false, fmt.Errorf("cannot read the heartbeat of the node %s: %w", id, err)
	}
	last, departed := t.departed.Get(id)
	switch {
	case was != nil && was.sealed && !sealed && was.alive(now),
		was != nil && was.sealed && sealed && !h.after(&was.heartbeat),
		was == nil && departed && sealed && !h.after(&last):
		return true, nil
	}
	t.departed.Delete(id)
	t.nodes[id] = &peer{heartbeat: h, heard: now, sealed: sealed}
	return false, nil
}

// depart removes the node and remembers its last heartbeat, so that a copy of
// it or of one before does not bring the node back.
func (t *table) depart(id string) {
	if p := t.nodes[id]; p != nil && p.sealed {
		t.departed.Put(id, p.heartbeat)
	}
	delete(t.nodes, id)
}

// alive reports whether the node counts as alive.
func (t *table) alive(id string, now time.Time) bool {
	p := t.nodes[id]
	return p != nil && p.alive(now)
}

// count returns how many nodes are alive.
func (t *table) count(now time.Time) (alive int) {
	for id := range t.nodes {
		if t.alive(id, now) {
			alive++
		}
	}
	return alive
}

// unsealed returns how many nodes are alive, and how many instances there are,
// whose last record does not carry its MAC.
func (t *table) unsealed(now time.Time) (nodes, instances int) {
	for _, p := range t.nodes {
		if p.alive(now) && !p.sealed {
			nodes++
		}
	}
	for _, e := range t.instances {
		if !e.sealed {
			instances++
		}
	}
	return nodes, instances
}

// sweeper is the node that clears away what dead ones have left: of those
// alive the one whose id sorts first.
func (t *table) sweeper(now time.Time) string {
	return t.first(func(p *peer) bool { return p.alive(now) })
}

// sealer is the node that gives the records of dead ones their MAC: of those alive
// that count such records, and can, the one whose id sorts first.
func (t *table) sealer(now time.Time) string {
	return t.first(func(p *peer) bool { return p.alive(now) && p.sealed && p.Lenient })
}

// first returns the id that sorts first of the nodes that are so, empty for none.
func (t *table) first(so func(*peer) bool) (first string) {
	for id, p := range t.nodes {
		if so(p) && (first == "" || id < first) {
			first = id
		}
	}
	return first
}
