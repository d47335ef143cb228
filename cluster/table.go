package cluster

import (
	"encoding/json"
	"fmt"
	"time"
)

// table is what the log says so far. [Node.mu] guards it.
type table struct {
	nodes     map[string]*peer
	instances map[instanceKey]*entry
	// graves are the instances that were deleted a while ago. Who has not heard
	// of it may still claim one, which must not bring it back.
	graves map[instanceKey]grave
}

// grave is what is left of an instance.
type grave struct {
	born string
	why  string
	dug  time.Time
}

// peer is a node, the own one included.
type peer struct {
	heartbeat
	heard time.Time // when the last heartbeat was read; on this host's clock
}

// entry is an instance.
type entry struct {
	holding
	// idle is since when nobody has the instance, as far as this node has
	// noticed; zero while somebody has.
	idle time.Time
}

func newTable() *table {
	return &table{nodes: make(map[string]*peer), instances: make(map[instanceKey]*entry), graves: make(map[instanceKey]grave)}
}

// change is what a record did to the table.
type change struct {
	node     string // whose heartbeat it was, or
	instance instanceKey
	former   string // owner before the record
	rejected bool   // it came too late and does not count
}

// apply takes in the next record of the log, which was read at the time now. When
// it was written does not matter: that is for another host's clock to say. So a
// node that is long dead is taken for alive, once, by one that has just started.
// apply keeps nothing of key and value.
func (t *table) apply(key, value []byte, now time.Time) (change, error) {
	node, instance, err := parseKey(key)
	if err != nil {
		return change{}, err
	}
	if node != "" {
		return change{node: node}, t.applyNode(node, value, now)
	}
	c := change{instance: instance}
	was := t.instances[instance]
	if was != nil {
		c.former = was.Owner
	}
	if value == nil { // the end of what a record before has deleted
		switch {
		case was == nil:
		case was.Deleted:
			delete(t.instances, instance)
			t.graves[instance] = grave{was.Born, was.Why, now}
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
	if was != nil && (h.Epoch <= was.Epoch || h.Deleted && h.Born != was.Born) || was == nil && buried && h.Born == gone.born {
		c.rejected = true
		return c, nil
	}
	t.instances[instance] = &entry{holding: h}
	return c, nil
}

func (t *table) applyNode(id string, value []byte, now time.Time) error {
	if value == nil { // it has left
		delete(t.nodes, id)
		return nil
	}
	var h heartbeat
	if err := json.Unmarshal(value, &h); err != nil {
		return fmt.Errorf("cannot read the heartbeat of the node %s: %w", id, err)
	}
	t.nodes[id] = &peer{heartbeat: h, heard: now}
	return nil
}

// alive reports whether the node counts as alive.
func (t *table) alive(id string, now time.Time) bool {
	p := t.nodes[id]
	return p != nil && now.Sub(p.heard) < p.lease()
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

// sweeper is the node that clears away what dead ones have left: of those
// alive the one whose id sorts first.
func (t *table) sweeper(now time.Time) (first string) {
	for id := range t.nodes {
		if t.alive(id, now) && (first == "" || id < first) {
			first = id
		}
	}
	return first
}
