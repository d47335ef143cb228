package metadata

import (
	"context"
	"strconv"

	"millrace/internal/apierr"
)

// The Append methods append the JSON of one v2 answer to dst and return the
// extended slice. With an error they return dst as it was. What is known and
// no older than MaxAge is answered without an allocation beyond dst's growth.
// A name is borrowed: it may be a view of the request.

// AppendTopics appends the names of all topics, sorted: ["a","b"].
func (c *Cache) AppendTopics(ctx context.Context, dst []byte) ([]byte, error) {
	v, err := c.fresh(ctx)
	if err != nil {
		return dst, err
	}
	return append(dst, v.topicsJSON...), nil
}

// AppendBrokers appends the ids of all brokers, sorted: {"brokers":[1,2]}.
func (c *Cache) AppendBrokers(ctx context.Context, dst []byte) ([]byte, error) {
	v, err := c.fresh(ctx)
	if err != nil {
		return dst, err
	}
	return append(dst, v.brokersJSON...), nil
}

// AppendTopic appends {"name":…,"configs":{…},"partitions":[…]}.
func (c *Cache) AppendTopic(ctx context.Context, dst []byte, name string) ([]byte, error) {
	t, err := c.current(ctx, name)
	if err != nil {
		return dst, err
	}
	configs, err := c.topicConfigs(ctx, t.Name)
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"name":`...)
	dst = apierr.AppendJSONString(dst, t.Name)
	dst = append(dst, `,"configs":`...)
	dst = append(dst, configs...)
	dst = append(dst, `,"partitions":`...)
	dst = t.appendPartitions(dst)
	return append(dst, '}'), nil
}

// AppendPartitions appends an array of all partitions of a topic.
func (c *Cache) AppendPartitions(ctx context.Context, dst []byte, name string) ([]byte, error) {
	t, err := c.current(ctx, name)
	if err != nil {
		return dst, err
	}
	return t.appendPartitions(dst), nil
}

// AppendPartition appends one partition of a topic.
func (c *Cache) AppendPartition(ctx context.Context, dst []byte, name string, partition int32) ([]byte, error) {
	t, err := c.partition(ctx, name, partition)
	if err != nil {
		return dst, err
	}
	return t.appendPartition(dst, int(partition)), nil
}

// AppendOffsets asks for and appends {"beginning_offset":0,"end_offset":7}.
func (c *Cache) AppendOffsets(ctx context.Context, dst []byte, name string, partition int32) ([]byte, error) {
	beginning, end, err := c.Offsets(ctx, name, partition)
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"beginning_offset":`...)
	dst = strconv.AppendInt(dst, beginning, 10)
	dst = append(dst, `,"end_offset":`...)
	dst = strconv.AppendInt(dst, end, 10)
	return append(dst, '}'), nil
}
