package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/bounded"
	"millrace/internal/kafka"
)

// How long one exchange with Kafka may take where the caller sets no tighter bound.
const (
	kafkaTimeout = 15 * time.Second
	// leaveTimeout bounds the last commit of an instance, and then its
	// leaving the group: a dead broker must not hold up a DELETE for long,
	// and the group drops a silent member by itself.
	leaveTimeout = 5 * time.Second
	// closers is how many instances a shutdown closes at once.
	closers = 64
)

// Manager owns the consumer instances of this node. All methods may be
// called from any goroutine.
type Manager struct {
	base     kafka.Settings
	conf     kafka.Consumer
	settings Settings
	deps     Deps
	log      *slog.Logger
	cluster  *cluster

	// Three events end a manager, and a context stands for each.
	unhurried context.Context // ends with the call of Drain, after which no read waits
	hurry     context.CancelFunc
	open      context.Context // ends, with mu held, when Close begins; see closing
	shut      context.CancelFunc
	life      context.Context // ends when Close gives up on what is still running
	end       context.CancelFunc
	// background counts the janitor and everything that runs without a
	// request waiting for it.
	background sync.WaitGroup

	mu        sync.Mutex
	instances map[instanceKey]*Instance
	moving    map[instanceKey]struct{}          // instances on their way in or out
	perClient map[string]int                    // instances by the address that made them
	perOwner  map[string]int                    // instances by the principal that made them
	expired   *bounded.Map[instanceKey, string] // why instances are gone; of the last of them

	fetching atomic.Int64 // sessions that are not parked
	dropped  atomic.Int64 // bytes that parked sessions held, in all
	counts   counts
}

type instanceKey struct{ group, name string }

// New returns a manager with no instances and starts its janitor and the watch
// over the lags, which [Manager.Close] stops. Nothing connects to Kafka before the first instance
// needs it.
func New(base kafka.Settings, c kafka.Consumer, s Settings, d Deps) *Manager {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{
		base: base, conf: c, settings: s, deps: d, log: d.Logger,
		cluster:   &cluster{base: base, conf: c},
		instances: make(map[instanceKey]*Instance),
		moving:    make(map[instanceKey]struct{}),
		perClient: make(map[string]int),
		perOwner:  make(map[string]int),
		expired:   bounded.New[instanceKey, string](maxExpired, nil),
	}
	m.life, m.end = context.WithCancel(context.Background())
	m.unhurried, m.hurry = context.WithCancel(m.life)
	m.open, m.shut = context.WithCancel(m.life)
	m.background.Go(m.janitor)
	if s.LagInterval > 0 {
		m.background.Go(m.watchLags)
	}
	return m
}

// Create makes an instance in the group. Errors: options that cannot be
// (422 kinds), [apierr.AlreadyExists], [apierr.TooManyInstances],
// [apierr.TooManyOfOneClient], [apierr.Draining], and what the directory says.
func (m *Manager) Create(group string, opts InstanceOptions) (*Instance, error) {
	opts, err := m.complete(opts)
	if err != nil {
		return nil, err
	}
	if opts.Name == "" {
		opts.Name = newName()
	}
	i := newInstance(m, group, opts)
	if err := m.reserve(i.key(), opts); err != nil {
		return nil, err
	}
	if err = m.register(i); err == nil {
		err = m.install(i.key(), i)
	}
	if err != nil {
		m.unregister(i, err)
		return nil, err
	}
	m.counts.created.Add(1)
	return i, nil
}

// Get returns an instance. Errors: [apierr.InstanceNotFound], [apierr.Draining].
func (m *Manager) Get(group, name string) (*Instance, error) {
	key := instanceKey{group, name}
	m.mu.Lock()
	i, closing := m.instances[key], m.closing()
	m.mu.Unlock()
	switch {
	case closing:
		return nil, apierr.Draining.Err()
	case i == nil:
		return nil, m.notFound(key)
	}
	return i, nil
}

// Delete closes an instance, once: a read that waits is interrupted, what was
// answered is committed if the instance has auto-commit, and it leaves its
// group. A commit or a leave that fails is logged; the instance is gone all
// the same. Errors: as of [Manager.Get].
func (m *Manager) Delete(ctx context.Context, group, name string) error {
	if i, err := m.Get(group, name); err == nil {
		i.awaitPassage(ctx)
	}
	done := make(chan error, 1)
	if err := m.remove(group, name, done); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done(): // it goes on without us
		return ctx.Err()
	}
}

// remove takes an instance out of the table and shuts it in the background;
// done is told after that.
func (m *Manager) remove(group, name string, done chan<- error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.instances[instanceKey{group, name}]
	switch {
	case m.closing():
		return apierr.Draining.Err()
	case i == nil, !i.retire(apierr.InstanceNotFound.Err()): // not there, or just expired
		return apierr.InstanceNotFound.Err()
	}
	i.mu.Lock()
	last := i.answeredMark()
	i.mu.Unlock()
	m.retired(i, last, "", done)
	return nil
}

// retired takes an instance that was retired for good out of the table and, in
// the background, shuts it and has the directory forget it; why is for those who
// ask for it later. The caller holds m.mu.
func (m *Manager) retired(i *Instance, last func(*partition) mark, why string, done chan<- error) {
	m.takeOut(i)
	m.remember(i.key(), why)
	m.moving[i.key()] = struct{}{}
	m.background.Go(func() {
		i.shut(last)
		m.forget(i, why, done)
	})
}

// Count returns how many instances there are.
func (m *Manager) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.instances)
}

// Drain has reads answer what they have: those that wait at once, those that
// come later without waiting; streams end. All else goes on until [Manager.Close].
func (m *Manager) Drain() { m.hurry() }

// Close closes all instances, many at once: reads that wait are interrupted,
// confirmed offsets are committed where auto-commit is on, groups are left.
// From its start on Create and Get answer [apierr.Draining]. It returns when
// all is done, or with ctx's error when that ends first.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.shut()
	all := m.list()
	for _, i := range all { // held until another node has it, or it would be claimed meanwhile
		m.moving[i.key()] = struct{}{}
	}
	clear(m.instances)
	clear(m.perClient)
	clear(m.perOwner)
	m.mu.Unlock()

	slots := make(chan struct{}, closers)
	for _, i := range all {
		if !i.retire(apierr.Draining.Err()) {
			continue // already on its way out
		}
		m.background.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			m.handOver(ctx, i)
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.moving, i.key())
		})
	}
	m.hurry() // ends streams, whose tails are in the background
	done := make(chan struct{})
	go func() { m.background.Wait(); close(done) }()
	defer m.end()
	select {
	case <-done:
		m.cluster.close()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handOver shuts a retired instance so that another node can go on with it,
// where there is a directory to tell it from.
func (m *Manager) handOver(ctx context.Context, i *Instance) {
	if m.deps.Directory == nil {
		i.shut((*partition).confirmedMark)
		return
	}
	i.mu.Lock()
	i.passing = true
	definition := i.define()
	i.mu.Unlock()
	i.shut((*partition).confirmedMark)
	i.mu.Lock()
	i.forgetCommitted(definition)
	i.mu.Unlock()
	m.release(ctx, i, definition.text())
}

// spawn runs f in the background, where Close waits for it. It is false, and f
// not run, once a shutdown has begun.
func (m *Manager) spawn(f func()) bool {
	m.mu.Lock() // Close ends m.open under it before it waits
	defer m.mu.Unlock()
	if m.closing() {
		return false
	}
	m.background.Go(f)
	return true
}

// closing reports whether Close was called. That does not change while the caller holds m.mu.
func (m *Manager) closing() bool { return m.open.Err() != nil }

// list returns all instances. The caller holds m.mu.
func (m *Manager) list() []*Instance {
	all := make([]*Instance, 0, len(m.instances))
	for _, i := range m.instances {
		all = append(all, i)
	}
	return all
}

// janitor expires idle instances, commits for those with auto-commit, and bounds
// what is fetched ahead.
func (m *Manager) janitor() {
	every := time.Second
	for _, d := range []time.Duration{m.settings.InstanceTimeout, m.settings.AutoCommitInterval} {
		if d > 0 {
			every = min(every, d)
		}
	}
	tick := time.NewTicker(max(every, 10*time.Millisecond))
	defer tick.Stop()
	prefetch := time.NewTicker(parkLook)
	defer prefetch.Stop()
	var memory reclaim
	for {
		select {
		case <-m.open.Done():
			return
		case now := <-prefetch.C:
			m.boundPrefetch(now)
			if memory.due(m.dropped.Load(), now) {
				m.background.Go(giveBack)
			}
		case now := <-tick.C:
			m.mu.Lock()
			all := m.list()
			m.mu.Unlock()
			for _, i := range all {
				m.look(i, now)
			}
		}
	}
}

// look does for one instance what is due at the time now.
func (m *Manager) look(i *Instance, now time.Time) {
	switch {
	case i.expire(now):
		m.counts.expired.Add(1)
		m.log.Info("consumer instance expired", "group", i.group, "instance", i.opts.Name)
		m.mu.Lock()
		defer m.mu.Unlock()
		why := fmt.Sprintf("The consumer instance %q of the group %q has expired: no request about it came in %v (consumer.instance.timeout.ms). Create it anew.", i.opts.Name, i.group, m.settings.InstanceTimeout)
		m.retired(i, (*partition).confirmedMark, why, make(chan error, 1))
	case i.autoCommitDue(now):
		m.background.Go(i.autoCommit)
	default:
		if due, _ := i.parkDue(now, parkAfter); due != nil {
			m.background.Go(func() { i.park(now, parkAfter) })
		}
	}
}
