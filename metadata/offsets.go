package metadata

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"millrace/internal/apierr"
	"millrace/internal/bounded"
	"millrace/internal/kafka"
	"millrace/internal/singleflight"
)

// offsetRange is the range of the log of a partition: from beginning to before end.
type offsetRange struct {
	beginning, end int64
	at             time.Time // when the leader was asked
}

// offsetBurst is how often a partition's offsets may be read within a second after a pause: an
// occasional reader gets the current ones.
const offsetBurst = 8

// maxOffsets bounds the partitions whose offsets are cached.
const maxOffsets = 4096

// offsetCache caches the offsets of partitions that are read often, for a moment.
type offsetCache struct {
	every time.Duration // the interval of the rate limit of a partition
	mu    sync.Mutex
	kept  *bounded.Map[kafka.TopicPartition, *cachedOffsets]
	asks  singleflight.Group[kafka.TopicPartition, *offsetsAnswer]
}

// cachedOffsets is the cache entry of a partition. Its answer is immutable, and nil before the
// first one.
type cachedOffsets struct {
	limit  *rate.Limiter // of requests
	answer atomic.Pointer[offsetsAnswer]
}

type offsetsAnswer struct {
	offsetRange
	Answer
}

func newOffsetCache(every time.Duration) offsetCache {
	return offsetCache{every: every, kept: bounded.New[kafka.TopicPartition, *cachedOffsets](maxOffsets, nil)}
}

// of returns the entry of a key, and makes room for it.
func (o *offsetCache) of(key kafka.TopicPartition) *cachedOffsets {
	o.mu.Lock()
	defer o.mu.Unlock()
	if k, ok := o.kept.Get(key); ok {
		return k
	}
	k := &cachedOffsets{limit: newLimit(o.every, offsetBurst)}
	key.Topic = strings.Clone(key.Topic)
	o.kept.Put(key, k)
	return k
}

// offsetsOf answers with the offset of the first record of a partition and the one that its next
// record will get (the high watermark: records of open transactions count). It asks the leader,
// unless the rate limit forbids it: then the answer is up to a second old.
func (c *Cache) offsetsOf(ctx context.Context, t *Topic, partition int32, maxAge time.Duration) (a *offsetsAnswer, err error) {
	since := time.Now().Add(-maxAge)
	// A reader may join a request that began before since, so one is not always enough; two are.
	for range 2 {
		if a, err = c.youngOffsets(ctx, t, partition, maxAge); err != nil || !a.at.Before(since) {
			break
		}
	}
	return a, err
}

// youngOffsets waits for one request at most.
func (c *Cache) youngOffsets(ctx context.Context, t *Topic, partition int32, maxAge time.Duration) (*offsetsAnswer, error) {
	key := kafka.TopicPartition{Topic: t.Name, Partition: partition}
	kept := c.offsets.of(key)
	// In an interval whose requests are used up the last answer is returned.
	if a := kept.answer.Load(); a != nil && time.Since(a.at) < min(c.offsets.every, maxAge) && !isReady(kept.limit) {
		return a, nil
	}
	return do(ctx, c, &c.offsets.asks, key, func(ctx context.Context) (*offsetsAnswer, error) {
		if err := reserve(ctx, kept.limit); err != nil {
			return nil, fmt.Errorf("cannot wait to read the offsets of %s/%d: %w", t.Name, partition, err)
		}
		r := offsetRange{at: time.Now()}
		// Kafka refuses a request that names a partition twice, so this takes two.
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() (err error) {
			r.beginning, err = c.askOffset(ctx, t.Name, partition, kafka.StartOfLog)
			return err
		})
		group.Go(func() (err error) {
			r.end, err = c.askOffset(ctx, t.Name, partition, kafka.EndOfLog)
			return err
		})
		if err := group.Wait(); err != nil {
			return nil, err
		}
		a := &offsetsAnswer{offsetRange: r, Answer: makeAnswer(appendOffsets(nil, r))}
		kept.answer.Store(a)
		return a, nil
	})
}

// electionTime is how long a partition is retried whose leader has just changed, or is new and
// not ready.
const electionTime = time.Second

// askOffset asks the leader of a partition for one offset, and retries while Kafka does not know
// it yet.
func (c *Cache) askOffset(ctx context.Context, topic string, partition int32, at int64) (int64, error) {
	pause := firstPause
	for began := time.Now(); ; pause = min(2*pause, maxPause) {
		offset, err := c.askOffsetOnce(ctx, topic, partition, at)
		if !kerr.IsRetriable(err) || time.Since(began) > electionTime {
			return offset, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, err
		}
	}
}

func (c *Cache) askOffsetOnce(ctx context.Context, topic string, partition int32, at int64) (int64, error) {
	tp := kafka.TopicPartition{Topic: topic, Partition: partition}
	listed := kafka.ListOffsets(ctx, c.client, false, map[kafka.TopicPartition]int64{tp: at})[tp]
	var said *kerr.Error
	if listed.Err == nil || errors.As(listed.Err, &said) {
		c.answered()
	}
	switch {
	case errors.Is(listed.Err, kerr.UnknownTopicOrPartition):
		c.Invalidate() // deleted since the view was taken
		return 0, apierr.TopicNotFound.Wrap(listed.Err, "Topic %s not found.", topic)
	case listed.Err != nil:
		return 0, fmt.Errorf("cannot read the offsets of %s/%d: %w", topic, partition, listed.Err)
	}
	return listed.Offset, nil
}
