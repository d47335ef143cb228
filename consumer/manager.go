package consumer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"millrace/internal/apierr"
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

// Manager owns the consumer instances of this server. All methods may be
// called from any goroutine.
type Manager struct {
	base     kafka.Settings
	conf     kafka.Consumer
	settings Settings
	log      *slog.Logger
	cluster  *cluster

	life context.Context // ends when Close gives up on what is still running
	end  context.CancelFunc
	// unhurried ends with the call of Drain, after which no read waits.
	unhurried context.Context
	hurry     context.CancelFunc
	// background counts the janitor and everything that runs without a
	// request waiting for it.
	background sync.WaitGroup
	stop       chan struct{} // closed to stop the janitor

	mu        sync.Mutex
	instances map[instanceKey]*Instance
	tails     map[string]*tail // by topic, of those that are streamed
	closing   bool             // Close was called

	counts counts
}

type instanceKey struct{ group, name string }

// New returns a manager with no instances and starts its janitor, which
// [Manager.Close] stops. Nothing connects to Kafka before the first instance
// needs it. A nil log drops what there is to say.
func New(base kafka.Settings, c kafka.Consumer, s Settings, log *slog.Logger) *Manager {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{
		base: base, conf: c, settings: s, log: log,
		cluster:   &cluster{base: base, conf: c},
		stop:      make(chan struct{}),
		instances: make(map[instanceKey]*Instance),
	}
	m.life, m.end = context.WithCancel(context.Background())
	m.unhurried, m.hurry = context.WithCancel(m.life)
	m.background.Go(m.janitor)
	return m
}

// Create makes an instance in the group. Errors: options that cannot be
// (422 kinds), [apierr.AlreadyExists], [apierr.TooManyInstances], [apierr.Draining].
func (m *Manager) Create(group string, opts InstanceOptions) (*Instance, error) {
	opts, err := m.complete(opts)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return nil, apierr.Draining.Err()
	}
	if opts.Name == "" {
		opts.Name = newName()
	}
	key := instanceKey{group, opts.Name}
	if m.instances[key] != nil {
		return nil, apierr.AlreadyExists.New("A consumer instance named %q already exists in the group %q.", opts.Name, group)
	}
	if m.settings.MaxInstances > 0 && len(m.instances) >= m.settings.MaxInstances {
		return nil, apierr.TooManyInstances.Err()
	}
	i := newInstance(m, group, opts)
	m.instances[key] = i
	m.counts.created.Add(1)
	return i, nil
}

// Get returns an instance. Errors: [apierr.InstanceNotFound], [apierr.Draining].
func (m *Manager) Get(group, name string) (*Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return nil, apierr.Draining.Err()
	}
	i := m.instances[instanceKey{group, name}]
	if i == nil {
		return nil, apierr.InstanceNotFound.Err()
	}
	return i, nil
}

// Delete closes an instance: a read that waits is interrupted, what was
// answered is committed if the instance has auto-commit, and it leaves its
// group. A commit or a leave that fails is logged; the instance is gone all
// the same. Errors: as of [Manager.Get].
func (m *Manager) Delete(ctx context.Context, group, name string) error {
	done := make(chan struct{})
	if err := m.remove(group, name, done); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done(): // it goes on without us
		return ctx.Err()
	}
}

// remove takes an instance out of the table and shuts it in the background;
// done is closed after that.
func (m *Manager) remove(group, name string, done chan<- struct{}) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := instanceKey{group, name}
	i := m.instances[key]
	switch {
	case m.closing:
		return apierr.Draining.Err()
	case i == nil, !i.retire(apierr.InstanceNotFound.Err()): // not there, or just expired
		return apierr.InstanceNotFound.Err()
	}
	delete(m.instances, key)
	m.background.Go(func() {
		i.shut(m.life, (*partition).answeredMark)
		close(done)
	})
	return nil
}

// Count returns how many instances there are.
func (m *Manager) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.instances)
}

// Drain has reads answer what they have: those that wait at once, those that
// come later without waiting. All else goes on until [Manager.Close].
func (m *Manager) Drain() { m.hurry() }

// Close closes all instances, many at once: reads that wait are interrupted,
// confirmed offsets are committed where auto-commit is on, groups are left.
// From its start on Create and Get answer [apierr.Draining]. It returns when
// all is done, or with ctx's error when that ends first.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	if !m.closing {
		m.closing = true
		close(m.stop)
	}
	all := m.list()
	clear(m.instances)
	m.mu.Unlock()

	slots := make(chan struct{}, closers)
	for _, i := range all {
		if !i.retire(apierr.Draining.Err()) {
			continue // already on its way out
		}
		m.background.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			i.shut(ctx, (*partition).confirmedMark)
		})
	}
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

// spawn runs f in the background, where Close waits for it. It is false, and f
// not run, once a shutdown has begun.
func (m *Manager) spawn(f func()) bool {
	m.mu.Lock() // Close sets closing under it before it waits
	defer m.mu.Unlock()
	if m.closing {
		return false
	}
	m.background.Go(f)
	return true
}

// list returns all instances. The caller holds m.mu.
func (m *Manager) list() []*Instance {
	all := make([]*Instance, 0, len(m.instances))
	for _, i := range m.instances {
		all = append(all, i)
	}
	return all
}

// forget takes i out of the table.
func (m *Manager) forget(i *Instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key := (instanceKey{i.group, i.opts.Name}); m.instances[key] == i {
		delete(m.instances, key)
	}
}

// janitor expires idle instances and commits for those with auto-commit.
func (m *Manager) janitor() {
	every := time.Second
	for _, d := range []time.Duration{m.settings.InstanceTimeout, m.settings.AutoCommitInterval} {
		if d > 0 {
			every = min(every, d)
		}
	}
	tick := time.NewTicker(max(every, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
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
		m.forget(i)
		m.counts.expired.Add(1)
		m.log.Info("consumer instance expired", "group", i.group, "instance", i.opts.Name)
		m.background.Go(func() { i.shut(m.life, (*partition).confirmedMark) })
	case i.autoCommitDue(now):
		m.background.Go(i.autoCommit)
	}
}
