package consumer

import (
	"context"
	"sync"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// Instance is one consumer of a group, kept for one client. Its methods may be
// called from any goroutine; doc.go has the order of the locks. After the
// instance was deleted or expired they answer [apierr.InstanceNotFound], after
// a shutdown [apierr.Draining].
type Instance struct {
	m     *Manager
	group string
	opts  InstanceOptions       // complete; never changed
	login *kafka.RenewableLogin // nil: the instance shows Kafka what the node does
	own   *cluster              // of the login; nil without one

	life context.Context // ends when the instance is closed
	end  context.CancelFunc

	// Each of these is a lock that can be waited for with a context: its
	// holder has its one element in the channel.
	lease, changing, commits, recording chan struct{}

	mu      sync.Mutex
	changed *sync.Cond // on mu: pollCancel or holders changed, or a session ended
	// All below is guarded by mu.

	closed     *apierr.Error // why calls are refused; nil while open
	session    *session      // nil before a subscription or assignment
	former     *session      // the one that is being replaced; else nil
	busy       int           // calls in progress: not idle
	lastUsed   time.Time
	lastCommit time.Time          // of auto-commit
	commitSeq  uint64             // number of the last commit that was asked for
	pollCancel context.CancelFunc // interrupts the poll that is running; nil when none is
	holders    int                // how many want no poll to run; see holdPolls
	losses     []func() bool      // each tells whether an answer that is not confirmed got lost
	passage    *Passage           // of the last response; nil without one, or once reading went on
	streaming  bool               // the lease is a stream's
	// For the directory; unused without one.
	positions map[TopicPartition]position // see definition.Positions
	recorded  []byte                      // the definition that the directory has
	passing   bool                        // another node goes on with the membership
}

func newInstance(m *Manager, group string, opts InstanceOptions) *Instance {
	i := &Instance{
		m: m, group: group, opts: opts,
		lease:     make(chan struct{}, 1),
		changing:  make(chan struct{}, 1),
		commits:   make(chan struct{}, 1),
		recording: make(chan struct{}, 1),
	}
	if opts.Login != nil {
		i.login = kafka.NewRenewableLogin(opts.Login)
		i.opts.Login = nil // the one that is current counts
		i.own = &cluster{base: m.base.As(i.login.SASL()), conf: m.conf}
	}
	i.life, i.end = context.WithCancel(m.life)
	i.changed = sync.NewCond(&i.mu)
	i.lastUsed = time.Now()
	i.lastCommit = i.lastUsed
	return i
}

// Group returns the name of the instance's group.
func (i *Instance) Group() string { return i.group }

// Name returns the name of the instance.
func (i *Instance) Name() string { return i.opts.Name }

func (i *Instance) key() instanceKey { return instanceKey{i.group, i.opts.Name} }

// Options returns the instance's options, defaults filled in.
func (i *Instance) Options() InstanceOptions { return i.opts }

// beginCall begins a call: the instance is in use until endCall.
func (i *Instance) beginCall() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed != nil {
		return i.closed
	}
	i.busy++
	i.lastUsed = time.Now()
	return nil
}

func (i *Instance) endCall() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.busy--
	i.lastUsed = time.Now()
}

// bound returns a context that ends with ctx, with the instance, or after d.
func (i *Instance) bound(ctx context.Context, d time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, d)
	stop := context.AfterFunc(i.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// explain turns what interrupted or failed a call into an API error: the end
// of the instance, if that is what it was.
func (i *Instance) explain(err error) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed != nil {
		return i.closed
	}
	return apierr.From(err)
}

// acquire takes one of the instance's channel locks; release with <-lock.
func acquire(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	default:
	}
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beginChange begins a change of subscription or assignment, of which there is one at a time.
// The returned context bounds the change; done ends it.
func (i *Instance) beginChange(ctx context.Context) (_ context.Context, done func(), err error) {
	if err := i.beginCall(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := i.bound(ctx, kafkaTimeout)
	if err := acquire(ctx, i.changing); err != nil {
		err = i.explain(err)
		cancel()
		i.endCall()
		return nil, nil, err
	}
	return ctx, func() {
		<-i.changing
		cancel()
		i.endCall()
	}, nil
}

// holdPolls interrupts the poll that runs, if one does, waits until its
// records are in the backlog, and lets none start before releasePolls. The
// wait is for memory and kgo's rebalance callbacks, not for Kafka. The caller
// holds i.mu, which is released while waiting.
func (i *Instance) holdPolls() {
	i.holders++
	for i.pollCancel != nil {
		i.pollCancel()
		i.changed.Wait()
	}
}

// releasePolls undoes holdPolls. The caller holds i.mu.
func (i *Instance) releasePolls() {
	i.holders--
	i.changed.Broadcast()
}

// retire has all further calls refused with why and interrupts those in
// progress. It is false when the instance was retired already; only who gets
// true may call shut.
func (i *Instance) retire(why *apierr.Error) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed != nil {
		return false
	}
	i.closed = why
	i.end()
	return true
}

// expire retires the instance if it has been idle for the instance timeout.
func (i *Instance) expire(now time.Time) bool {
	i.mu.Lock()
	idle := i.busy == 0 && now.Sub(i.lastUsed) >= i.m.settings.InstanceTimeout
	i.mu.Unlock()
	// A call that comes in between is refused as if it had come later.
	return idle && i.m.settings.InstanceTimeout > 0 && i.retire(apierr.InstanceNotFound.Err())
}

// shut ends the session of a retired instance: commits, if it has auto-commit,
// what last says of each partition, and leaves the group.
func (i *Instance) shut(last func(*partition) mark) {
	i.changing <- struct{}{} // soon: retire has interrupted the change that may be running
	defer func() { <-i.changing }()
	i.endSession(last)
	if i.own != nil {
		i.own.close()
	}
}
