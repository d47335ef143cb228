package metadata

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/internal/bounded"
	"millrace/internal/singleflight"
)

// maxConfigs bounds the topics whose configuration is cached.
const maxConfigs = 1024

// configs caches the encoded configurations of topics.
type configs struct {
	gather gather[*topicConfigs]
	mu     sync.Mutex
	topics *bounded.Map[string, *topicConfigs]
}

// newConfigs returns the cache, from which those go first that are older than maxAge.
func newConfigs(maxAge time.Duration) *bounded.Map[string, *topicConfigs] {
	return bounded.New[string](maxConfigs, func(t *topicConfigs) bool { return time.Since(t.at) >= maxAge })
}

// topicConfigs is immutable.
type topicConfigs struct {
	json   []byte
	at     time.Time // when it was read
	doubts uint64    // Cache.doubts then
}

// since reports whether the configuration was read then or later, and nothing was found wrong or
// changed after that.
func (t *topicConfigs) since(c *Cache, at time.Time) bool {
	return t != nil && !t.at.Before(at) && t.doubts == c.doubts.Load()
}

// topicConfigs returns the configuration of a topic, no older than maxAge, as a JSON object of
// strings; a value that Kafka withholds is null. An older one is returned as stale where
// [Cache.fresh] would return an older view, and at once when the caller is late: it has waited
// for a younger view in vain.
func (c *Cache) topicConfigs(ctx context.Context, topic string, maxAge time.Duration, late bool) (kept *topicConfigs, stale bool, err error) {
	since := time.Now().Add(-maxAge)
	// A reader may join a request that began before since, or before a change, so one is not always
	// enough; two are.
	for range 2 {
		if kept, stale, err = c.configsSince(ctx, topic, since, late); err != nil || stale || kept.since(c, since) {
			break
		}
	}
	return kept, stale, err
}

// configsSince waits for one request at most.
func (c *Cache) configsSince(ctx context.Context, topic string, since time.Time, late bool) (kept *topicConfigs, stale bool, err error) {
	kept, asked := c.cachedConfigs(topic, since)
	if kept.since(c, since) {
		return kept, false, nil
	}
	instead := kept != nil && c.spare() != nil // it may be returned in place of a younger one
	if instead && (late || c.failing.Load() || asked == nil) {
		return kept, true, nil
	}
	if asked == nil {
		return nil, false, c.Away()
	}
	patient := ctx
	if instead {
		var cancel context.CancelFunc
		patient, cancel = context.WithTimeout(ctx, staleAfter)
		defer cancel()
	}
	read, err := await(patient, c, asked)
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		c.Invalidate() // deleted since the view was taken
		return nil, false, apierr.TopicNotFound.New("Topic %s not found.", topic)
	case err != nil && instead && (patient.Err() != nil || c.Healthy() != nil) && ctx.Err() == nil:
		return kept, true, nil
	}
	return read, false, err
}

// askConfigs reads the configurations of topics from Kafka, and caches them.
func (c *Cache) askConfigs(ctx context.Context, topics []string) (map[string]gathered[*topicConfigs], error) {
	doubts, at := c.doubts.Load(), time.Now() // first: a later doubt may be newer than the response
	resources, err := c.describe(ctx, kmsg.ConfigResourceTypeTopic, topics)
	if err != nil {
		return nil, fmt.Errorf("cannot read configurations of topics: %w", err)
	}
	found := make(map[string]gathered[*topicConfigs], len(topics))
	for i := range resources {
		r := &resources[i]
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			if r.ErrorMessage != nil {
				err = apierr.FromKafka(err, *r.ErrorMessage)
			}
			found[r.ResourceName] = gathered[*topicConfigs]{err: fmt.Errorf("cannot read the configuration of %s: %w", r.ResourceName, err)}
			continue
		}
		read := &topicConfigs{json: appendConfigs(nil, r.Configs), at: at, doubts: doubts}
		c.configs.put(r.ResourceName, read)
		found[r.ResourceName] = gathered[*topicConfigs]{value: read}
	}
	return found, nil
}

// cachedConfigs returns the cached configuration, however old, and the call that refreshes it if
// it is due, or nil. Cache and call are read under one lock. Otherwise: the configuration is read
// as due, the call in flight ends and caches a new one, and the call is no longer found, so that
// the configuration would be looked up again.
func (c *Cache) cachedConfigs(topic string, since time.Time) (kept *topicConfigs, asked *singleflight.Call[*topicConfigs]) {
	c.configs.mu.Lock()
	defer c.configs.mu.Unlock()
	kept, _ = c.configs.topics.Get(topic)
	if kept.since(c, since) && time.Since(kept.at) < c.settings.renewAfter() || c.isAway() {
		return kept, nil
	}
	return kept, c.configs.gather.enter(topic)
}

// put caches a configuration.
func (s *configs) put(topic string, t *topicConfigs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics.Put(topic, t)
}

// describe reads the configurations of resources of one kind; with settings, these only.
func (c *Cache) describe(ctx context.Context, kind kmsg.ConfigResourceType, names []string, settings ...string) ([]kmsg.DescribeConfigsResponseResource, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range names {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName, resource.ConfigNames = kind, name, settings
		req.Resources = append(req.Resources, resource)
	}
	resp, err := req.RequestWith(ctx, c.brokers)
	if err != nil {
		return nil, err
	}
	c.answered()
	return resp.Resources, nil
}

// appendConfigs appends {"name":"value"…}, sorted by name.
func appendConfigs(dst []byte, all []kmsg.DescribeConfigsResponseResourceConfig) []byte {
	slices.SortFunc(all, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int {
		return cmp.Compare(a.Name, b.Name)
	})
	dst = append(dst, '{')
	for i, config := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = json.AppendString(dst, config.Name)
		dst = append(dst, ':')
		if config.Value == nil || config.IsSensitive {
			dst = append(dst, "null"...)
		} else {
			dst = json.AppendString(dst, *config.Value)
		}
	}
	return append(dst, '}')
}
