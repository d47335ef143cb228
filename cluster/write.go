package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
)

var seed = maphash.MakeSeed()

// lock makes the caller the only one on this node who writes records of the
// instance, until it calls unlock.
func (n *Node) lock(ctx context.Context, k instanceKey) (unlock func(), err error) {
	turn := n.writing[maphash.Comparable(seed, k)%uint64(len(n.writing))]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// get returns what is known of an instance, nothing if there is none; also
// whether this node may act.
func (n *Node) get(k instanceKey) (h holding, known bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.leased(now()) {
		return h, false, cutOff()
	}
	e := n.table.instances[k]
	if e == nil {
		return h, false, nil
	}
	return e.holding, !e.Deleted, nil
}

func cutOff() error {
	return apierr.BrokersAway.Wrap(ErrCutOff, "This node has lost touch with the others: it cannot read or write the topic that they share.")
}

// write appends a record of the instance and waits until this node has read it
// back. It reports whether the record counts. The caller has the lock.
func (n *Node) write(ctx context.Context, k instanceKey, h holding) (counts bool, err error) {
	if err := n.append(ctx, k, encode(h)); err != nil {
		return false, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.table.instances[k]
	return e != nil && e.Epoch >= h.Epoch && e.Born == h.Born && e.Owner == h.Owner && e.Deleted == h.Deleted, nil
}

// append writes values under the instance's key, nil for a tombstone, and waits
// until this node has read back the last of them.
func (n *Node) append(ctx context.Context, k instanceKey, values ...[]byte) error {
	type result struct {
		offset int64
		err    error
	}
	results := make(chan result, len(values))
	for _, v := range values {
		// With the life of the node: the end of one caller's context would
		// fail what others have under way.
		n.client.Produce(n.life, n.record(k.bytes(), v), func(r *kgo.Record, err error) { results <- result{r.Offset, err} })
	}
	last := int64(-1)
	for range values {
		select {
		case r := <-results:
			switch {
			case errors.Is(r.err, kgo.ErrClientClosed):
				return cutOff()
			case r.err != nil:
				return apierr.From(fmt.Errorf("cannot write to the cluster's topic: %w", r.err))
			}
			last = max(last, r.offset)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return n.await(ctx, last)
}

// await waits until the record at the offset has been read.
func (n *Node) await(ctx context.Context, offset int64) error {
	for {
		n.mu.Lock()
		done, changed := n.position > offset, n.changed
		n.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.life.Done():
			return cutOff()
		}
	}
}

// Create enters a new instance of this node. Errors: [apierr.AlreadyExists],
// when any node has one of that name, and [apierr.BrokersAway].
func (n *Node) Create(ctx context.Context, group, name string, definition []byte) error {
	k := instanceKey{group, name}
	n.awaitStart(ctx)
	unlock, err := n.lock(ctx, k)
	if err != nil {
		return err
	}
	defer unlock()
	was, known, err := n.get(k)
	if err != nil {
		return err
	}
	counts := false
	if !known {
		h := holding{Owner: n.ID(), Epoch: was.Epoch + 1, Born: rand.Text(), Since: n.sinceOf(k), Definition: definition}
		if counts, err = n.write(ctx, k, h); err != nil {
			n.retract(k, h)
			return err
		}
	}
	if !counts {
		return apierr.AlreadyExists.New("A consumer instance named %q already exists in the group %q.", name, group)
	}
	return nil
}

// sinceOf returns the holding.Since of an instance that is about to be made.
func (n *Node) sinceOf(k instanceKey) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	since := max(now().UnixMilli(), n.table.graves[k].since+1)
	if e := n.table.instances[k]; e != nil {
		since = max(since, e.Since+1)
	}
	return since
}

// retract deletes an instance that was not created in time, but whose record
// may come into the log all the same: what is written now comes after it.
func (n *Node) retract(k instanceKey, h holding) {
	gone := encode(holding{Epoch: h.Epoch + 1, Born: h.Born, Since: h.Since, Deleted: true})
	for _, value := range [][]byte{gone, nil} {
		n.client.Produce(n.life, n.record(k.bytes(), value), nil)
	}
}

// Lease returns until when this node may act for the instance. Errors:
// [apierr.InstanceMoved] when another node has it, and [apierr.BrokersAway]. It
// does not wait.
func (n *Node) Lease(group, name string) (until time.Time, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.leased(now()) {
		return until, cutOff()
	}
	if e := n.table.instances[instanceKey{group, name}]; e == nil || e.Deleted || e.Owner != n.ID() {
		return until, moved(instanceKey{group, name})
	}
	return n.trusted.Add(n.settings.Lease), nil
}

func moved(k instanceKey) error {
	return apierr.InstanceMoved.New("Another node has taken over the consumer instance %q of the group %q.", k.name, k.group)
}

// Update replaces the definition of an instance that this node has. Errors:
// [apierr.InstanceMoved] when it has it no more, and [apierr.BrokersAway].
func (n *Node) Update(ctx context.Context, group, name string, definition []byte) error {
	return n.rewrite(ctx, instanceKey{group, name}, func(h *holding) { h.Definition = definition })
}

// Release gives an instance up for any node to take. Errors as of [Node.Update].
func (n *Node) Release(ctx context.Context, group, name string, definition []byte) error {
	return n.rewrite(ctx, instanceKey{group, name}, func(h *holding) { h.Owner, h.Definition = "", definition })
}

func (n *Node) rewrite(ctx context.Context, k instanceKey, change func(*holding)) error {
	unlock, err := n.lock(ctx, k)
	if err != nil {
		return err
	}
	defer unlock()
	h, known, err := n.get(k)
	if err != nil {
		return err
	}
	counts := false
	if known && h.Owner == n.ID() {
		h.Epoch++
		change(&h)
		if counts, err = n.write(ctx, k, h); err != nil {
			return err
		}
	}
	if !counts {
		return moved(k)
	}
	return nil
}

// Delete takes an instance that this node has out of the cluster; why is for
// those who ask for it, and may be empty. Without an instance nothing happens.
// Error: [apierr.BrokersAway].
func (n *Node) Delete(ctx context.Context, group, name, why string) error {
	return n.delete(ctx, instanceKey{group, name}, why, func(h *holding) bool { return h.Owner == n.ID() })
}

// delete deletes an instance that is as it should be.
func (n *Node) delete(ctx context.Context, k instanceKey, why string, as func(*holding) bool) error {
	unlock, err := n.lock(ctx, k)
	if err != nil {
		return err
	}
	defer unlock()
	h, known, err := n.get(k)
	switch {
	case err != nil:
		return err
	case !known && !h.Deleted, !as(&h):
		return nil
	}
	gone := encode(holding{Epoch: h.Epoch + 1, Born: h.Born, Since: h.Since, Deleted: true, Why: why})
	return n.append(ctx, k, gone, nil)
}

// claim makes this node the owner of an instance that was as h says, and
// reports whether it came first.
func (n *Node) claim(ctx context.Context, k instanceKey, h holding) (bool, error) {
	unlock, err := n.lock(ctx, k)
	if err != nil {
		return false, err
	}
	defer unlock()
	h.Owner = n.ID()
	h.Epoch++
	counts, err := n.write(ctx, k, h)
	if _, known, _ := n.get(k); err == nil && !counts && !known {
		// It was deleted before. Compaction would keep this claim, so a
		// tombstone must be the last that is written of it.
		err = n.append(ctx, k, nil)
	}
	return counts, err
}

// repair writes the record of an instance of this node again, after one that
// does not count and which compaction would keep in its place. since is the
// holding.Since of that one: who reads it first, out of the compacted log, must
// take this one for newer.
func (n *Node) repair(k instanceKey, since int64) {
	ctx, cancel := context.WithTimeout(n.life, n.settings.Lease)
	defer cancel()
	err := n.rewrite(ctx, k, func(h *holding) { h.Since = max(h.Since, since) })
	if err != nil && !apierr.InstanceMoved.Is(err) && n.life.Err() == nil {
		n.log.Warn("cannot repair the record of a consumer instance", "group", k.group, "instance", k.name, "err", err)
	}
}
