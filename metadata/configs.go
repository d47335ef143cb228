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

	"millrace/internal/apierr"
)

// maxConfigs bounds the topics whose configuration is kept.
const maxConfigs = 1024

// configs keeps the encoded configurations of topics that were asked for.
type configs struct {
	mu     sync.Mutex
	topics map[string]*topicConfigs
}

type topicConfigs struct {
	json []byte // never changed
	at   time.Time
}

// topicConfigs returns the configuration of a topic, no older than MaxAge, as
// a JSON object of strings; what Kafka does not tell is null.
func (c *Cache) topicConfigs(ctx context.Context, topic string) ([]byte, error) {
	if json := c.configs.kept(topic, c.settings.MaxAge); json != nil {
		return json, nil
	}
	return fly(ctx, c, flightKey{what: "configs", topic: topic}, func(ctx context.Context) ([]byte, error) {
		if json := c.configs.kept(topic, c.settings.MaxAge); json != nil {
			return json, nil // the flight before this one ended as its caller set out
		}
		at := time.Now()
		found, err := c.describe(ctx, kmsg.ConfigResourceTypeTopic, topic)
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			c.Invalidate() // deleted since the view was taken
			return nil, apierr.TopicNotFound.New("Topic %s not found.", topic)
		}
		if err != nil {
			return nil, err
		}
		json := appendConfigs(nil, found)
		c.configs.keep(topic, &topicConfigs{json: json, at: at}, c.settings.MaxAge)
		return json, nil
	})
}

// kept returns a configuration that is young enough to be answered, or nil.
func (s *configs) kept(topic string, maxAge time.Duration) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[topic]; t != nil && time.Since(t.at) < maxAge {
		return t.json
	}
	return nil
}

// keep enters a configuration, and makes room by dropping those that are too
// old, or any one.
func (s *configs) keep(topic string, t *topicConfigs, maxAge time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.topics) >= maxConfigs {
		for name, old := range s.topics {
			if time.Since(old.at) >= maxAge {
				delete(s.topics, name)
			}
		}
		for name := range s.topics {
			if len(s.topics) < maxConfigs {
				break
			}
			delete(s.topics, name)
		}
	}
	s.topics[topic] = t
}

// describe asks for the configuration of one resource; with names, for these
// settings only.
func (c *Cache) describe(ctx context.Context, kind kmsg.ConfigResourceType, name string, names ...string) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.ConfigNames = kind, name, names
	req.Resources = append(req.Resources, resource)
	resp, err := req.RequestWith(ctx, c.brokers)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration of %s: %w", name, err)
	}
	c.answered()
	if len(resp.Resources) != 1 {
		return nil, fmt.Errorf("cannot read the configuration of %s: Kafka described %d resources", name, len(resp.Resources))
	}
	if err := kerr.ErrorForCode(resp.Resources[0].ErrorCode); err != nil {
		return nil, fmt.Errorf("cannot read the configuration of %s: %w", name, err)
	}
	return resp.Resources[0].Configs, nil
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
		dst = apierr.AppendJSONString(dst, config.Name)
		dst = append(dst, ':')
		if config.Value == nil || config.IsSensitive {
			dst = append(dst, "null"...)
		} else {
			dst = apierr.AppendJSONString(dst, *config.Value)
		}
	}
	return append(dst, '}')
}
