package cluster

import (
	"fmt"
	"time"
)

// sweep clears away what dead nodes have left for too long, and repairs the
// records of this node's instances: once a heartbeat, however many records are
// written by others to damage them.
func (n *Node) sweep() {
	tick := time.NewTicker(n.settings.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-n.life.Done():
			return
		case now := <-tick.C:
			for k, since := range n.takeDamaged() {
				n.running.Go(func() { n.repair(k, since) })
			}
			for k, epoch := range n.legacy(now) {
				if err := n.reseal(k, epoch); err != nil && n.life.Err() == nil {
					n.log.Warn("cannot authenticate the record of a consumer instance of a node of a former version", "group", k.group, "instance", k.name, "err", err)
				}
			}
			nodes, instances := n.litter(now)
			for _, id := range nodes {
				n.client.Produce(n.life, n.record(nodeKey(id), nil), nil) // or the next time
			}
			for k, epoch := range instances {
				if err := n.clear(k, epoch); err != nil && n.life.Err() == nil {
					n.log.Warn("cannot delete an abandoned consumer instance", "group", k.group, "instance", k.name, "err", err)
				}
			}
		}
	}
}

// takeDamaged returns the instances whose records are to be repaired, each once.
func (n *Node) takeDamaged() map[instanceKey]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	damaged := n.damaged
	n.damaged = make(map[instanceKey]int64)
	return damaged
}

// legacy returns the instances, with their epochs, that nodes of former versions
// have left, and whose records this node is to write again: once every node wants
// records with a MAC, those would not count. A record whose owner lives is the owner's.
func (n *Node) legacy(now time.Time) map[instanceKey]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.settings.Lenient || !n.leased(now) || n.table.sealer(now) != n.ID() {
		return nil
	}
	found := make(map[instanceKey]int64)
	for k, e := range n.table.instances {
		if !e.sealed && !e.Deleted && !n.table.alive(e.Owner, now) {
			found[k] = e.Epoch
		}
	}
	return found
}

// reseal writes the record of an instance again, unless it is not the one of that
// epoch any more.
func (n *Node) reseal(k instanceKey, epoch int64) error {
	unlock, err := n.lock(n.life, k)
	if err != nil {
		return err
	}
	defer unlock()
	h, known, err := n.get(k)
	if err != nil || !known || h.Epoch != epoch {
		return err
	}
	h.Epoch++
	_, err = n.write(n.life, k, h)
	return err
}

// clear deletes an instance that nobody has, unless its record is not the one
// of that epoch any more.
func (n *Node) clear(k instanceKey, epoch int64) error {
	why := fmt.Sprintf("The consumer instance %q of the group %q has expired: its node was gone, and nobody asked for it in %v (consumer.instance.timeout.ms). Create it anew.", k.name, k.group, n.settings.Idle)
	return n.delete(n.life, k, why, func(h *holding) bool { return h.Epoch == epoch })
}

// forgotten is how many leases after its death a node is forgotten, or a
// deleted instance: who may act has read all but the last lease of the log.
const forgotten = 10

// litter notes since when instances have had no node, and returns what of
// them, with their epochs, and of the nodes, is to be deleted by this node. An
// instance that is this node's in the log only, since it crashed and came back,
// has no node either.
func (n *Node) litter(now time.Time) (nodes []string, instances map[instanceKey]int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.leased(now) {
		return nil, nil
	}
	sweeper := n.table.sweeper(now) == n.ID()
	for id, p := range n.table.nodes {
		if sweeper && now.Sub(p.heard) > forgotten*p.lease() {
			nodes = append(nodes, id)
		}
	}
	for k, g := range n.table.graves {
		if now.Sub(g.dug) > forgotten*n.settings.Lease {
			delete(n.table.graves, k)
		}
	}
	for k, v := range n.verdicts {
		if e := n.table.instances[k]; e == nil || e.Born != v.born || v.over(now) {
			delete(n.verdicts, k)
		}
	}
	instances = make(map[instanceKey]int64)
	for k, e := range n.table.instances {
		own := e.Owner == n.ID()
		switch {
		case own && n.local.Holds(k.group, k.name), !own && n.table.alive(e.Owner, now):
			e.idle = time.Time{}
		case e.idle.IsZero():
			e.idle = now
		case (own || sweeper) && (e.Deleted || n.settings.Idle > 0 && now.Sub(e.idle) >= n.settings.Idle):
			instances[k] = e.Epoch
		}
	}
	return nodes, instances
}

// verdict is why an adoption has failed.
type verdict struct {
	born  string // which instance of the name it was
	err   error
	until time.Time // when to try again; zero: never
}

func (v *verdict) over(now time.Time) bool { return !v.until.IsZero() && now.After(v.until) }
