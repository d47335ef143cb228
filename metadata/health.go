package metadata

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/singleflight"
)

const (
	// probeEvery is how long no broker may have responded before one is probed.
	probeEvery = time.Second
	// probeTimeout bounds a probe of any one broker, and one of all of them.
	probeTimeout = 1500 * time.Millisecond
	// healthyFor is how long after the last response the cluster counts as reachable: a probe of
	// one broker, then one of all, fit in.
	healthyFor = probeEvery + 2*probeTimeout
	// retryEvery is the pause between probes while no broker responds.
	retryEvery = 500 * time.Millisecond
	// maxProbed bounds the brokers that are probed at once.
	maxProbed = 16
)

// errAway is shared: every request gets it while the brokers are away.
var errAway = apierr.BrokersAway.Err()

// health is the time of the last response of a broker.
type health struct {
	last  atomic.Int64  // nanoseconds since Cache.started; 0: never
	first chan struct{} // closed with the first response
	once  sync.Once
	// away is closed while no broker responds. The watch alone closes it, and replaces it when
	// one responds again.
	away atomic.Pointer[chan struct{}]
}

// Healthy returns nil when a broker responded within the last four seconds. Otherwise, and before
// the first response, it returns the error for clients. It costs one reading of the clock.
func (c *Cache) Healthy() error {
	if c.health.last.Load() == 0 || c.silence() > healthyFor {
		return errAway
	}
	return nil
}

// Wait returns nil as soon as a broker has responded for the first time, or the context's error.
func (c *Cache) Wait(ctx context.Context) error {
	select {
	case <-c.health.first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// away is closed while the watch finds no broker that responds. At the start it is open: the
// first look-ups fail by themselves.
func (c *Cache) away() <-chan struct{} { return *c.health.away.Load() }

// isAway reports whether a look-up could only fail. The watch notices an outage at its next
// probe; the clock may show it before.
func (c *Cache) isAway() bool {
	select {
	case <-c.away():
		return true
	default:
		return c.silence() > healthyFor
	}
}

// silence is the time since a broker last responded, or since the cache started if none has.
func (c *Cache) silence() time.Duration {
	return time.Since(c.started) - time.Duration(c.health.last.Load())
}

// answered notes that a broker has responded.
func (c *Cache) answered() {
	c.health.last.Store(max(int64(time.Since(c.started)), 1))
	c.health.once.Do(func() { close(c.health.first) })
}

// watch keeps the time of the last response up to date until Close. While other look-ups get
// responses it sends nothing.
func (c *Cache) watch() {
	reachable := true
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-timer.C:
		}
		pause := retryEvery
		if c.probe(reachable) {
			pause = max(probeEvery-c.silence(), 0)
		}
		if now := c.Healthy() == nil; now != reachable && c.ctx.Err() == nil {
			reachable = now
			if reachable {
				back := make(chan struct{})
				c.health.away.Store(&back)
				c.log.Info("Kafka brokers answer again")
			} else {
				close(*c.health.away.Load()) // fails the look-ups that wait for a response
				c.log.Error("no Kafka broker answers")
			}
		}
		timer.Reset(pause)
	}
}

// probe reports whether any broker responds, and sends a probe unless one just has. In good times
// it probes any one of them; if that fails, or in bad times, all at once, since the one may be
// the only one that is down. A refresh that is due, or in flight, replaces the probe: brokers are
// not asked twice in a second.
func (c *Cache) probe(good bool) bool {
	var refresh *singleflight.Call[*view]
	if good {
		refresh = c.keep()
	}
	if c.health.last.Load() != 0 && c.silence() < probeEvery {
		return true
	}
	if good && refresh == nil {
		refresh = c.refreshing.InFlight(struct{}{})
	}
	if good && refresh != nil && succeeds(refresh, probeTimeout) {
		return true
	}
	if good && refresh == nil && c.ask(c.brokers) {
		return true
	}
	brokers := c.client.DiscoveredBrokers()
	rand.Shuffle(len(brokers), func(i, j int) { brokers[i], brokers[j] = brokers[j], brokers[i] })
	seeds := c.client.SeedBrokers()
	brokers = append(brokers[:min(len(brokers), maxProbed)], seeds[:min(len(seeds), maxProbed)]...)
	answers := make(chan bool, len(brokers))
	for _, b := range brokers {
		c.tasks.Go(func() { answers <- c.ask(b) })
	}
	for range brokers {
		if <-answers {
			return true
		}
	}
	return false
}

// succeeds reports whether the call has a result in that time.
func succeeds(call *singleflight.Call[*view], limit time.Duration) bool {
	select {
	case <-call.Done():
		_, err := call.Result()
		return err == nil
	case <-time.After(limit):
		return false
	}
}

// ask sends the smallest metadata request: one about no topic.
func (c *Cache) ask(whom kmsg.Requestor) bool {
	ctx, cancel := context.WithTimeout(c.ctx, probeTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	if _, err := req.RequestWith(ctx, whom); err != nil {
		return false
	}
	c.answered()
	return true
}
