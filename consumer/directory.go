package consumer

import (
	"context"
	"errors"
	"strings"
	"time"

	"millrace/internal/apierr"
)

// Directory is where the definitions of instances outlive this node, for
// another one, or this one after a restart, to adopt them; package cluster is
// one. Its methods borrow the definition and may wait for Kafka. None is called
// with a lock held but the instance's changing and recording.
type Directory interface {
	// Create enters an instance of this node; [apierr.AlreadyExists] if any has one of that name.
	Create(ctx context.Context, group, name string, definition []byte) error
	// Update replaces the definition; [apierr.InstanceMoved] if another node has the instance.
	Update(ctx context.Context, group, name string, definition []byte) error
	// Release gives the instance up for another node to adopt.
	Release(ctx context.Context, group, name string, definition []byte) error
	// Delete forgets the instance; why is what Gone says of it, and may be empty.
	Delete(ctx context.Context, group, name, why string) error
	// Lease returns until when this node may act for the instance, or an
	// error if it may not. It does not wait.
	Lease(group, name string) (until time.Time, err error)
	// Gone says why an instance is gone, empty where there is nothing to say.
	// It does not wait.
	Gone(group, name string) (why string)
}

// Holds reports whether the instance is on this node, or on its way in or out.
func (m *Manager) Holds(group, name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := instanceKey{group, name}
	_, moving := m.moving[key]
	return moving || m.instances[key] != nil
}

// Adopt makes an instance from the definition that another node, or this one
// before a restart, has left in the directory; it borrows the text. Reading
// goes on at the committed offsets, or at positions that were set and nothing
// was committed after. Errors: [apierr.InstanceNotFound] says what cannot be
// recovered; [apierr.TooManyInstances], [apierr.Draining], and what Kafka said.
func (m *Manager) Adopt(ctx context.Context, group, name string, text []byte) error {
	lost := func(err error) error {
		var api *apierr.Error
		why := "its definition cannot be read"
		if errors.As(err, &api) {
			why = strings.TrimSuffix(api.Message(), ".")
		}
		return apierr.InstanceNotFound.Wrap(err, "The consumer instance %q of the group %q was on another node and cannot be recovered on this one: %s. Create it anew.", name, group, why)
	}
	d, err := readDefinition(text)
	if err == nil {
		err = m.admitDefinition(d)
	}
	if err != nil {
		return lost(err)
	}
	if err := m.Admits(ctx, text); err != nil {
		return err
	}
	d.Options.Name, d.Options.Login = name, loginOf(ctx)
	opts, err := m.complete(d.Options)
	if err != nil {
		return lost(err)
	}
	key := instanceKey{group, name}
	if err := m.reserve(key, opts); err != nil {
		if apierr.AlreadyExists.Is(err) {
			return nil // it came back by itself
		}
		return err
	}
	i := newInstance(m, group, opts)
	i.restore(d, text)
	err = i.resumeSession(ctx, d)
	if apierr.TopicNotFound.Is(err) || apierr.PartitionNotFound.Is(err) {
		err = lost(err)
	}
	if err == nil {
		err = m.install(key, i)
	}
	if err != nil {
		m.unreserve(key, opts)
		if i.retire(apierr.InstanceMoved.Err()) {
			i.keepMembership()
			i.shut(uncommitted)
		}
	}
	return err
}

// resumeSession gives an adopted instance the subscription or assignment that
// its definition says.
func (i *Instance) resumeSession(ctx context.Context, d *definition) error {
	ctx, done, err := i.beginChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	next := newSession(i)
	switch {
	case len(d.Topics) > 0 || d.Pattern != "":
		next.topics, next.pattern = d.Topics, d.Pattern
	case len(d.Partitions) > 0:
		tps := d.assigned()
		for _, tp := range tps {
			next.parts[tp] = newPartition(tp)
		}
		if err := i.startAssigned(ctx, next, tps); err != nil {
			return i.explain(err)
		}
	default:
		return nil
	}
	return i.swapSession(next)
}

// Discard drops an instance, if it is here, because another node has it now:
// nothing is committed, and its place in the group is left to that node. The
// calls in progress fail with [apierr.InstanceMoved]. It does not wait.
func (m *Manager) Discard(group, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.instances[instanceKey{group, name}]; i != nil {
		m.discard(i)
	}
}

// discard does the work of Discard. The caller holds m.mu.
func (m *Manager) discard(i *Instance) {
	if m.closing() || !i.retire(apierr.InstanceMoved.Err()) {
		return
	}
	m.takeOut(i)
	i.keepMembership()
	m.log.Info("another node has taken over a consumer instance", "group", i.group, "instance", i.opts.Name)
	m.background.Go(func() { i.shut(uncommitted) })
}

// uncommitted is the mark of a session that must not commit.
func uncommitted(*partition) mark { return noMark }

// release hands a retired and shut instance to whoever asks for it next.
func (m *Manager) release(ctx context.Context, i *Instance, definition []byte) {
	// A node that took the instance over at once may have hidden the release.
	if err := m.deps.Directory.Release(ctx, i.group, i.opts.Name, definition); err != nil && !apierr.InstanceMoved.Is(err) {
		m.log.Warn("cannot release a consumer instance; another node takes it over when this one counts as dead",
			"group", i.group, "instance", i.opts.Name, "err", err)
	}
}

// reserve counts an instance that is to come, so that neither its name nor its
// place is given away. Errors: as of [Manager.Create].
func (m *Manager) reserve(key instanceKey, opts InstanceOptions) error {
	client, owner := opts.Client, opts.Owner
	m.mu.Lock()
	defer m.mu.Unlock()
	_, moving := m.moving[key]
	limit := m.settings.MaxPerClient
	switch {
	case m.closing():
		return apierr.Draining.Err()
	case moving || m.instances[key] != nil:
		return apierr.AlreadyExists.New("A consumer instance named %q already exists in the group %q.", key.name, key.group)
	case m.settings.MaxInstances > 0 && len(m.instances)+len(m.moving) >= m.settings.MaxInstances:
		return apierr.TooManyInstances.New("This node holds %d consumer instances, as many as it is allowed to (consumer.instances.max). Delete those that are not needed.", m.settings.MaxInstances)
	case limit > 0 && client != "" && m.perClient[client] >= limit:
		return apierr.TooManyOfOneClient.New("The address %s has %d consumer instances on this node, as many as one address is allowed to (consumer.instances.max.per.client). Delete those that are not needed.", client, limit)
	case opts.MaxOfOwner > 0 && m.perOwner[owner] >= opts.MaxOfOwner:
		return apierr.QuotaExceeded.New("The quota %s is used up: it allows %d consumer instances on this node. Delete those that are not needed.", opts.Quota, opts.MaxOfOwner)
	}
	m.moving[key] = struct{}{}
	if client != "" {
		m.perClient[client]++
	}
	if owner != "" {
		m.perOwner[owner]++
	}
	return nil
}

// unreserve undoes reserve.
func (m *Manager) unreserve(key instanceKey, opts InstanceOptions) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.moving, key)
	m.discount(opts)
}

// register enters a new instance in the directory, if there is one.
func (m *Manager) register(i *Instance) error {
	if m.deps.Directory == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(m.life, kafkaTimeout)
	defer cancel()
	i.recorded = i.define().text()
	return m.deps.Directory.Create(ctx, i.group, i.opts.Name, i.recorded)
}

// unregister undoes reserve and register after the error of an instance's creation. It deletes
// the record that Kafka may have although Kafka did not answer in time, so that the client can
// try again under the same name.
func (m *Manager) unregister(i *Instance, why error) {
	if m.deps.Directory != nil && !apierr.AlreadyExists.Is(why) {
		ctx, cancel := context.WithTimeout(m.life, leaveTimeout)
		defer cancel()
		if err := m.deps.Directory.Delete(ctx, i.group, i.opts.Name, ""); err != nil {
			m.log.Warn("cannot delete what there may be of a consumer instance that was not created", "group", i.group, "instance", i.opts.Name, "err", err)
		}
	}
	m.unreserve(i.key(), i.opts)
}

// install puts an instance into the place that was reserved for it, unless it was discarded
// meanwhile: another node may have its place in the group.
func (m *Manager) install(key instanceKey, i *Instance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing() {
		return apierr.Draining.Err()
	}
	i.mu.Lock()
	closed := i.closed
	i.mu.Unlock()
	if closed != nil {
		return closed
	}
	delete(m.moving, key)
	m.expired.Delete(key)
	m.instances[key] = i
	return nil
}

const (
	// maxExpired bounds what is remembered of expired instances.
	maxExpired = 10_000
	// forgetPause is how long to wait before the directory is told again of
	// the end of an instance.
	forgetPause = time.Second
)

// notFound is the error for who asks for an instance that is not here.
func (m *Manager) notFound(key instanceKey) error {
	m.mu.Lock()
	why, _ := m.expired.Get(key)
	m.mu.Unlock()
	if d := m.deps.Directory; why == "" && d != nil {
		why = d.Gone(key.group, key.name)
	}
	if why == "" {
		return apierr.InstanceNotFound.Err()
	}
	return apierr.InstanceNotFound.New("%s", why)
}

// remember keeps why an instance is gone. The caller holds m.mu.
func (m *Manager) remember(key instanceKey, why string) {
	if why != "" {
		m.expired.Put(key, why)
	}
}

// forget has the directory forget an instance that is gone for good. While it
// cannot, nobody may find the instance there and bring it back, so it is tried
// until it is done or this node goes; done is told of the first try.
func (m *Manager) forget(i *Instance, why string, done chan<- error) {
	for first := true; ; first = false {
		err := m.strike(i, why)
		if err == nil { // before its client is told, who may want the name again
			m.mu.Lock()
			delete(m.moving, i.key())
			m.mu.Unlock()
		}
		if first {
			done <- err
		}
		if err == nil {
			return
		}
		if first {
			m.log.Warn("cannot delete what other nodes know of a consumer instance, retrying", "group", i.group, "instance", i.opts.Name, "err", err)
		}
		select {
		case <-time.After(forgetPause):
		case <-m.open.Done():
			return
		}
	}
}

// strike takes an instance out of the directory, if there is one.
func (m *Manager) strike(i *Instance, why string) error {
	if m.deps.Directory == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(m.life, kafkaTimeout)
	defer cancel()
	return m.deps.Directory.Delete(ctx, i.group, i.opts.Name, why)
}

// takeOut removes i from the table, if the table has it. The caller holds m.mu.
func (m *Manager) takeOut(i *Instance) {
	if key := i.key(); m.instances[key] == i {
		delete(m.instances, key)
		m.discount(i.opts)
	}
}

// discount undoes the counting of an instance for its client and its owner. The caller holds m.mu.
func (m *Manager) discount(opts InstanceOptions) {
	takeOne(m.perClient, opts.Client)
	takeOne(m.perOwner, opts.Owner)
}

// takeOne counts one down, unless the name is empty.
func takeOne(counts map[string]int, name string) {
	if name == "" {
		return
	}
	if counts[name]--; counts[name] <= 0 {
		delete(counts, name)
	}
}
