package metadata

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/bounded"
)

const (
	// maxLookups bounds the requests about unknown topics at one time: names
	// come from clients, and each costs the brokers a request.
	maxLookups = 32
	// missingFor is how long a name that does not exist is answered from the cache, maxMissing
	// bounds the cached names.
	missingFor = 500 * time.Millisecond
	maxMissing = 1024
	// A topic that is being created is looked up again after firstPause, then after twice as long
	// each time, up to maxPause.
	firstPause, maxPause = 20 * time.Millisecond, 250 * time.Millisecond
	// guessFor is how long a topic that may be in creation is waited for if the broker does not
	// report whether it creates topics.
	guessFor = time.Second
	// creationAge is how long a broker's auto.create.topics.enable is cached. It only changes
	// when brokers restart.
	creationAge = time.Minute

	// maxBroken is how often a look-up is made again because the broker met an error that it has no
	// code for.
	maxBroken = 3

	maxTopicName = 249 // Kafka's own limit: the name plus a partition must fit a file name
)

var errBadName = apierr.KafkaInvalid.New("A topic name has 1 to %d characters out of a-z, A-Z, 0-9, '.', '_' and '-', and is not '.' or '..'.", maxTopicName)

// Topic returns the topic of that name, which it borrows, for a produce request. A cached topic
// is returned at once, however old the view is, without an allocation. An unknown one is looked
// up, and created if Settings.CreateTopics and the broker allow it; that takes until ctx ends or
// Settings.Timeout has passed.
//
// Errors: TopicNotFound, KafkaInvalid (no such name is possible), Unauthorized, BrokersAway,
// KafkaTimedOut.
func (c *Cache) Topic(ctx context.Context, name string) (*Topic, error) {
	v := c.view.Load()
	if t := v.topic(name); t != nil {
		if time.Since(v.Taken) > max(c.settings.MaxAge, produceAge) {
			c.refreshLater()
		}
		return t, nil
	}
	return c.lookUp(ctx, name, c.settings.CreateTopics)
}

// findKey identifies a look-up of a topic. One without permission to create the topic is not shared
// by callers that have it.
type findKey struct {
	topic  string
	create bool
}

// lookUp asks the brokers about one topic that the view does not have. It borrows the name, and
// caches a copy.
func (c *Cache) lookUp(ctx context.Context, name string, create bool) (*Topic, error) {
	if !ValidTopicName(name) {
		return nil, errBadName
	}
	if c.settings.Reserved.Has(name) {
		return nil, apierr.Reserved(name)
	}
	if err := c.missing.get(name, create); err != nil {
		return nil, err
	}
	key := findKey{strings.Clone(name), create}
	return do(ctx, c, &c.finds, key, func(ctx context.Context) (*Topic, error) {
		if create { // one request each; the others are gathered
			select {
			case c.lookups <- struct{}{}:
				defer func() { <-c.lookups }()
			case <-ctx.Done():
				return nil, fmt.Errorf("cannot look up topic %s, others are being looked up: %w", key.topic, ctx.Err())
			}
		}
		// A call before this one may have ended between the caller's look at the view and the
		// start of this call.
		if t := c.view.Load().topic(key.topic); t != nil {
			return t, nil
		}
		if err := c.missing.get(key.topic, create); err != nil {
			return nil, err
		}
		t, err := c.search(ctx, key.topic, create)
		if err == nil {
			c.add(t)
			return t, nil
		}
		err = c.explain(err)
		c.missing.note(key.topic, create, err)
		return nil, err
	})
}

// search looks the topic up until it exists, cannot exist, or time is up.
func (c *Cache) search(ctx context.Context, name string, create bool) (*Topic, error) {
	began, pause, broken := time.Now(), firstPause, 0
	for {
		t, err := c.askTopic(ctx, name, create)
		switch {
		case err == nil:
			return t, nil
		case errors.Is(err, kerr.LeaderNotAvailable):
			// It is being created, and not all brokers have it yet.
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			// Kafka returns the same error for a topic that does not exist and for one whose
			// creation this request has started (KRaft).
			if !create || !c.mayAppear(ctx, time.Since(began)) {
				return nil, apierr.TopicNotFound.New("Topic %s not found.", name)
			}
		case errors.Is(err, kerr.UnknownServerError) && broken < maxBroken: // of one broker, perhaps
			broken++
		default:
			return nil, err
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot wait for topic %s to have a leader: %w", name, ctx.Err())
		}
	}
}

// askTopic asks one broker about one topic.
func (c *Cache) askTopic(ctx context.Context, name string, create bool) (*Topic, error) {
	if !create {
		return await(ctx, c, c.names.enter(name))
	}
	found, err := c.describeTopics(ctx, []string{name}, true)
	if err != nil {
		return nil, fmt.Errorf("cannot look up topic %s: %w", name, err)
	}
	return found[name].value, found[name].err
}

// askTopics asks one broker about topics, without permission to create them.
func (c *Cache) askTopics(ctx context.Context, names []string) (map[string]gathered[*Topic], error) {
	found, err := c.describeTopics(ctx, names, false)
	if err != nil {
		return nil, fmt.Errorf("cannot look up topics: %w", err)
	}
	return found, nil
}

func (c *Cache) describeTopics(ctx context.Context, names []string, create bool) (map[string]gathered[*Topic], error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = create
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, c.brokers)
	if err != nil {
		return nil, err
	}
	c.answered()
	if len(resp.Topics) != len(names) {
		return nil, fmt.Errorf("asked about %d topics, Kafka described %d", len(names), len(resp.Topics))
	}
	found := make(map[string]gathered[*Topic], len(names))
	for i := range resp.Topics {
		if resp.Topics[i].Topic == nil {
			continue
		}
		name := *resp.Topics[i].Topic
		t, err := newTopic(&resp.Topics[i])
		if err != nil {
			err = fmt.Errorf("cannot look up topic %s: %w", name, err)
		}
		found[name] = gathered[*Topic]{t, err}
	}
	return found, nil
}

// creation caches the brokers' auto.create.topics.enable, and when it was read; nil before the
// first time.
type creation struct{ cached atomic.Pointer[creates] }

type creates struct {
	value string // "true", "false", or "" when Kafka withholds it
	at    time.Time
}

// mayAppear reports whether a topic that was looked up with permission to create it is worth
// waiting for.
func (c *Cache) mayAppear(ctx context.Context, waited time.Duration) bool {
	cached := c.creation.cached.Load()
	if cached == nil || time.Since(cached.at) > creationAge {
		value, err := c.askCreation(ctx)
		var refused *kerr.Error
		if err == nil || errors.As(err, &refused) { // Kafka may refuse to show its settings
			c.creation.cached.Store(&creates{value: value, at: time.Now()})
		}
		cached = &creates{value: value}
	}
	switch cached.value {
	case "false":
		return false
	case "true":
		return true
	}
	return waited < guessFor
}

// askCreation reads auto.create.topics.enable of any broker; "" means that it is withheld.
func (c *Cache) askCreation(ctx context.Context) (string, error) {
	const name = "auto.create.topics.enable"
	ctx, cancel := context.WithTimeout(ctx, guessFor)
	defer cancel()
	v, _, err := c.fresh(ctx, c.settings.MaxAge)
	if err != nil {
		return "", err
	}
	if len(v.Brokers) == 0 {
		return "", nil
	}
	broker := v.Brokers[rand.IntN(len(v.Brokers))].ID
	found, err := c.describe(ctx, kmsg.ConfigResourceTypeBroker, []string{strconv.Itoa(int(broker))}, name)
	if err != nil {
		return "", fmt.Errorf("cannot read the configuration of broker %d: %w", broker, err)
	}
	for i := range found {
		if err := kerr.ErrorForCode(found[i].ErrorCode); err != nil {
			return "", fmt.Errorf("cannot read the configuration of broker %d: %w", broker, err)
		}
		for _, config := range found[i].Configs {
			if config.Name == name && config.Value != nil {
				return *config.Value, nil
			}
		}
	}
	return "", nil
}

// missing caches, for a moment, names that do not exist.
type missing struct {
	mu    sync.Mutex
	names *bounded.Map[string, *absent]
}

func newMissing() missing {
	return missing{names: bounded.New[string](maxMissing, (*absent).over)}
}

// absent is the cached result of a name. The result of a look-up without permission to create the
// topic does not apply to one with it.
type absent struct {
	err    error
	create bool
	until  time.Time
}

func (a *absent) over() bool { return !time.Now().Before(a.until) }

// get returns the cached result of name, or nil.
func (m *missing) get(name string, create bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.names.Get(name)
	if !ok || create && !a.create || a.over() {
		return nil
	}
	return a.err
}

// note caches err as the result of name, if err is about the name and not about the state of the
// brokers.
func (m *missing) note(name string, create bool, err error) {
	if !apierr.TopicNotFound.Is(err) && !apierr.Unauthorized.Is(err) && !apierr.KafkaInvalid.Is(err) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names.Put(name, &absent{err: err, create: create, until: time.Now().Add(missingFor)})
}

// ValidTopicName reports whether Kafka allows a topic of that name.
func ValidTopicName(name string) bool {
	if len(name) == 0 || len(name) > maxTopicName || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		switch b := name[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '.', b == '_', b == '-':
		default:
			return false
		}
	}
	return true
}

// Afresh returns a topic that a reader missed, or missed a partition of: one that was created or
// got partitions since the view was taken. It waits for a view that is taken from now on, which
// all that wait share: those who ask without end for what does not exist are slowed down to the
// rate limit, and the brokers asked no more often. It creates nothing.
func (c *Cache) Afresh(ctx context.Context, name string) (*Topic, error) {
	v, r, err := c.fresh(ctx, 0)
	if err != nil {
		return nil, err
	}
	if r.Stale {
		return nil, c.Away()
	}
	return c.find(ctx, v, name)
}
