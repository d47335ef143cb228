package metadata

import (
	"context"
	"errors"
	"fmt"
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
	retryEvery = 250 * time.Millisecond
	// maxProbed bounds the brokers that are probed at once.
	maxProbed = 16
	// doubleCheck is the pause before the probe that confirms that all brokers refuse.
	doubleCheck = 100 * time.Millisecond
	// suspectEvery is how often the end of a connection leads to a probe.
	suspectEvery = 500 * time.Millisecond
)

// errAway is the error before the first probe has failed.
var errAway = apierr.BrokersAway.Err()

// health is the time of the last response of a broker.
type health struct {
	// refused is set when all brokers have refused two probes: there is nothing to wait for then.
	refused atomic.Bool
	// why is the error for clients while the brokers are away; nil before a probe has failed.
	why atomic.Pointer[apierr.Error]
	// kick wakes the watch: a client has lost a connection, or got none.
	kick chan struct{}

	last  atomic.Int64  // nanoseconds since Cache.started; 0: never
	first chan struct{} // closed with the first response
	once  sync.Once
	// away is closed while no broker responds. The watch alone closes it, and replaces it when
	// one responds again.
	away atomic.Pointer[chan struct{}]
}

// Healthy returns nil when a broker responded within the last four seconds and not all have
// refused to since. Otherwise, and before the first response, it returns the error for clients,
// which names the reason. It costs one reading of the clock.
func (c *Cache) Healthy() error {
	if c.health.last.Load() == 0 || c.health.refused.Load() || c.silence() > healthyFor {
		return c.Away()
	}
	return nil
}

// Away returns the error of a request that is refused because no broker responds.
func (c *Cache) Away() error {
	if why := c.health.why.Load(); why != nil {
		return why
	}
	return errAway
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
		return c.health.refused.Load() || c.silence() > healthyFor
	}
}

// silence is the time since a broker last responded, or since the cache started if none has.
func (c *Cache) silence() time.Duration {
	return time.Since(c.started) - time.Duration(c.health.last.Load())
}

// answered notes that a broker has responded.
func (c *Cache) answered() {
	c.health.last.Store(max(int64(time.Since(c.started)), 1))
	if c.health.refused.Load() {
		c.health.refused.Store(false)
	}
	c.health.once.Do(func() { close(c.health.first) })
}

// suspect has the brokers probed at once: a client has lost a connection to one.
func (c *Cache) suspect() {
	select {
	case c.health.kick <- struct{}{}:
	default:
	}
}

// watch keeps the time of the last response up to date until Close. While other look-ups get
// responses it sends nothing.
func (c *Cache) watch() {
	reachable, refusals, last := true, 0, time.Time{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		suspected := false
		select {
		case <-c.ctx.Done():
			return
		case <-timer.C:
		case <-c.health.kick:
			if time.Since(last) < suspectEvery {
				continue // many connections end when a consumer instance does
			}
			suspected, last = true, time.Now()
		}
		pause := retryEvery
		if err := c.probe(reachable && refusals == 0, suspected || refusals > 0); err == nil {
			refusals, pause = 0, max(probeEvery-c.silence(), 0)
		} else {
			c.health.why.Store(apierr.Unreachable(err))
			if refusals++; errors.Is(err, context.DeadlineExceeded) {
				refusals = 0
			}
			switch {
			case refusals == 1:
				pause = doubleCheck
			case refusals > 1:
				c.health.refused.Store(true)
			}
		}
		if now := c.Healthy() == nil; now != reachable && c.ctx.Err() == nil {
			reachable = now
			c.turned(reachable)
		}
		timer.Reset(pause)
	}
}

// turned notes that the brokers respond again, or no more.
func (c *Cache) turned(reachable bool) {
	if reachable {
		back := make(chan struct{})
		c.health.away.Store(&back)
		c.log.Info("Kafka brokers answer again")
		return
	}
	close(*c.health.away.Load()) // fails the look-ups that wait for a response
	c.log.Error("no Kafka broker answers", "err", c.Away())
}

// probe returns nil if any broker responds, and sends a probe unless one just has and there is no
// suspicion. In good times it probes any one of them; if that fails, in bad times, and under
// suspicion, all at once, since the one may be the only one that is down. A refresh that is due,
// or in flight, replaces the probe: brokers are not asked twice in a second. The error is the most
// telling one of all brokers, and [context.DeadlineExceeded] if any of them may still respond.
func (c *Cache) probe(good, suspected bool) error {
	var refresh *singleflight.Call[*view]
	if good {
		refresh = c.keep()
	}
	if c.health.last.Load() != 0 && c.silence() < probeEvery && !suspected {
		return nil
	}
	good = good && !suspected
	if good && refresh == nil {
		refresh = c.refreshing.InFlight(struct{}{})
	}
	if good && refresh != nil && succeeds(refresh, probeTimeout) {
		return nil
	}
	if good && refresh == nil && c.ask(c.brokers) == nil {
		return nil
	}
	return c.probeAll()
}

// probeAll probes all brokers at once.
func (c *Cache) probeAll() error {
	brokers := c.client.DiscoveredBrokers()
	rand.Shuffle(len(brokers), func(i, j int) { brokers[i], brokers[j] = brokers[j], brokers[i] })
	seeds := c.client.SeedBrokers()
	brokers = append(brokers[:min(len(brokers), maxProbed)], seeds[:min(len(seeds), maxProbed)]...)
	answers := make(chan error, len(brokers))
	for _, b := range brokers {
		c.tasks.Go(func() { answers <- c.ask(b) })
	}
	var worst error
	for range brokers {
		err := <-answers
		if err == nil {
			return nil
		}
		if worst == nil || !errors.Is(worst, context.DeadlineExceeded) && isMoreTelling(err, worst) {
			worst = err
		}
	}
	return worst
}

// isMoreTelling reports whether err says more of why the brokers cannot be reached than other: one
// that may pass by waiting comes first, then those that name a fault of this node's settings.
func isMoreTelling(err, other error) bool {
	return errors.Is(err, context.DeadlineExceeded) || apierr.Unreachable(err).Kind != apierr.BrokersAway && apierr.Unreachable(other).Kind == apierr.BrokersAway
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
func (c *Cache) ask(whom kmsg.Requestor) error {
	ctx, cancel := context.WithTimeout(c.ctx, probeTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	if _, err := req.RequestWith(ctx, whom); err != nil {
		if ctx.Err() != nil { // the library has other words for it
			return fmt.Errorf("a broker did not answer: %w", ctx.Err())
		}
		return err
	}
	c.answered()
	return nil
}
