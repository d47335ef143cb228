package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// downAfter is how long a broker may refuse connections before it counts as down. In this time
	// a leader that shuts down in order is replaced, and a connection that a device between was
	// tired of is opened anew: those requests need not fail.
	downAfter = time.Second
	// pingAfter is how long a broker with requests waiting may be silent before it is asked.
	pingAfter = time.Second
	// quietAfter is when it has not answered that either.
	quietAfter = pingAfter + 500*time.Millisecond
	// downPause is the pause between attempts to reach a broker that is down, and so the longest
	// that its return goes unnoticed.
	downPause = 250 * time.Millisecond
	// watchEvery is how often the watch looks.
	watchEvery = 100 * time.Millisecond
)

const produceKey = 0

// DefaultSilence is how long a broker may be silent before it is given up. Kafka's controller
// counts a broker as dead after 9 s (broker.session.timeout.ms), and the garbage collections of a
// healthy broker take well below a second: half of the one is many times the other.
const DefaultSilence = 5 * time.Second

// ErrDown and ErrSilent are what an [UnreachableError] is: the one means that the broker takes no
// connection, the other that it takes requests and answers none.
var (
	ErrDown   = errors.New("the broker cannot be connected to")
	ErrSilent = errors.New("the broker does not answer")
)

// UnreachableError means that a broker is not expected to answer.
type UnreachableError struct {
	Broker int32
	// State is [ErrDown] or [ErrSilent].
	State error
	// Cause is the last error of a connection; nil if there is none.
	Cause error
}

// Error names the broker.
func (e *UnreachableError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("broker %d: %v: %v", e.Broker, e.State, e.Cause)
	}
	return fmt.Sprintf("broker %d: %v", e.Broker, e.State)
}

// Unwrap returns State and Cause.
func (e *UnreachableError) Unwrap() []error { return []error{e.State, e.Cause} }

// Liveness knows for each broker whether a client may expect answers from it. It is a hook of
// that client ([kgo.WithHooks]) and works from the client's start to its end.
//
// A broker is down when it has refused connections for a second and none is open: a refused
// dial, and a handshake of TLS or SASL that fails. It is silent when requests wait for an answer
// and no byte has come from it for the limit, on any connection: of this client, or of those with
// the [Liveness.Witness]. A request that waits long is therefore no sign of death while the
// broker answers others: with acks=all it may wait for a slow follower, during which Kafka reads
// nothing more from that connection. So that there are others, a broker that is silent with
// requests waiting is pinged after a second, on a connection without produce requests. Throttling
// is no silence either: Kafka announces it. A silence ends with an answer alone, also when the
// connections that were waited on end: until then the broker is pinged.
//
// The library's hooks do not name the connection. When one dies with several requests in flight
// and another stays, some are counted as waiting until that ends too. This costs pings, and no
// broker its good name.
//
// Methods may be called from any goroutine; [Liveness.Check] costs two loads.
type Liveness struct {
	limit time.Duration
	stop  chan struct{}
	lost  atomic.Int32                       // brokers that are lost
	reset atomic.Pointer[func(broker int32)] // of [Liveness.OnHalfOpen]

	mu      sync.RWMutex
	brokers map[int32]*pulse
}

// NewLiveness returns the liveness of the brokers of the client that it will be a hook of. limit
// is how long a broker may be silent; 0 means [DefaultSilence].
func NewLiveness(limit time.Duration) *Liveness {
	return &Liveness{limit: orElse(limit, DefaultSilence), stop: make(chan struct{}), brokers: make(map[int32]*pulse)}
}

// AllWell reports whether no broker is lost. It costs one load.
func (l *Liveness) AllWell() bool { return l.lost.Load() == 0 }

// Check returns nil if the broker may be expected to answer, and an [*UnreachableError] if not. A
// broker of which nothing is known may.
func (l *Liveness) Check(broker int32) error {
	l.mu.RLock()
	p := l.brokers[broker]
	l.mu.RUnlock()
	if p == nil {
		return nil
	}
	if lost := p.lost.Load(); lost != nil {
		return lost
	}
	return nil
}

// Quiet reports whether the broker has let requests wait for a second, and a ping after that for
// half of one, and has answered nobody meanwhile. It may be lost, and nobody can know yet. It costs
// two loads.
func (l *Liveness) Quiet(broker int32) bool {
	l.mu.RLock()
	p := l.brokers[broker]
	l.mu.RUnlock()
	return p != nil && p.quiet.Load()
}

// OnHalfOpen has reset called when a produce request has waited for longer than the broker was asked
// to take, and the broker answers others: the connection leads nowhere, and so may all that are as
// old. It is called before the requests that were in flight return.
func (l *Liveness) OnHalfOpen(reset func(broker int32)) { l.reset.Store(&reset) }

// Witness returns a hook for other clients of the process: an answer to one of them shows that
// the broker is not silent.
func (l *Liveness) Witness() kgo.Hook { return witness{l} }

type witness struct{ l *Liveness }

// OnBrokerRead implements [kgo.HookBrokerRead].
func (w witness) OnBrokerRead(b kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if b.NodeID < 0 || err != nil {
		return
	}
	w.l.mu.RLock()
	p := w.l.brokers[b.NodeID]
	w.l.mu.RUnlock()
	if p == nil {
		return
	}
	p.witnessed()
}

// pulse returns the pulse of a broker, nil for a seed, whose broker is not known yet.
func (l *Liveness) pulse(b kgo.BrokerMetadata) *pulse {
	if b.NodeID < 0 {
		return nil
	}
	l.mu.RLock()
	p := l.brokers[b.NodeID]
	l.mu.RUnlock()
	if p != nil {
		return p
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p = l.brokers[b.NodeID]; p == nil {
		p = &pulse{broker: b.NodeID, count: &l.lost}
		l.brokers[b.NodeID] = p
	}
	return p
}

// OnBrokerConnect implements [kgo.HookBrokerConnect]. The library calls it after the handshakes of
// TLS and SASL, whose failure err is too; a connection that failed at SASL was told to
// [Liveness.OnBrokerDisconnect] before.
func (l *Liveness) OnBrokerConnect(b kgo.BrokerMetadata, _ time.Duration, conn net.Conn, err error) {
	if p := l.pulse(b); p != nil {
		p.connected(conn != nil, err)
	}
}

// OnBrokerDisconnect implements [kgo.HookBrokerDisconnect].
func (l *Liveness) OnBrokerDisconnect(b kgo.BrokerMetadata, _ net.Conn) {
	if p := l.pulse(b); p != nil {
		p.disconnected()
	}
}

// OnBrokerWrite implements [kgo.HookBrokerWrite].
func (l *Liveness) OnBrokerWrite(b kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if p := l.pulse(b); p != nil && err == nil {
		p.wrote()
	}
}

// OnBrokerRead implements [kgo.HookBrokerRead].
func (l *Liveness) OnBrokerRead(b kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	p := l.pulse(b)
	if p == nil {
		return
	}
	p.read(err)
	reset := l.reset.Load()
	if key == produceKey && errors.Is(err, os.ErrDeadlineExceeded) && reset != nil && p.wellSince(l.limit/2) {
		(*reset)(b.NodeID)
	}
}

// OnBrokerThrottle implements [kgo.HookBrokerThrottle].
func (l *Liveness) OnBrokerThrottle(b kgo.BrokerMetadata, pause time.Duration, _ bool) {
	if p := l.pulse(b); p != nil {
		p.throttled(pause)
	}
}

// OnNewClient implements [kgo.HookNewClient]: it starts the watch.
func (l *Liveness) OnNewClient(client *kgo.Client) {
	go l.watch(func(broker int32) error {
		req := kmsg.NewPtrMetadataRequest() // the smallest: of no topic
		req.Topics = []kmsg.MetadataRequestTopic{}
		// A context that ends would end the connection with it. The client's own time-out bounds it.
		_, err := client.Broker(int(broker)).Request(context.Background(), req)
		return err
	})
}

// OnClientClosed implements [kgo.HookClientClosed]: it ends the watch.
func (l *Liveness) OnClientClosed(*kgo.Client) { close(l.stop) }

// watch gives the verdicts, and pings by ask, until the client is closed. The ping goes over the
// client's connection that neither produce requests nor fetches use.
func (l *Liveness) watch(ask func(broker int32) error) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case now := <-tick.C:
			for _, p := range l.all() {
				if p.judge(now, l.limit) {
					go p.ping(ask)
				}
			}
		}
	}
}

func (l *Liveness) all() []*pulse {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Collect(maps.Values(l.brokers))
}
