package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// content is what is compared of the records that were acknowledged and those
// that Kafka holds: how many there are, and the sum of the hashes of their
// values, which does not depend on their order. A record that was lost while
// another was doubled, or one with another value, makes another sum.
type content struct {
	Records uint64 `json:"records"`
	// Sum is 0 where the bytes that Kafka should hold are not known.
	Sum uint64 `json:"sum,omitempty"`
}

// sumOf returns the sum of n values from start on, which repeat.
func sumOf(values [][]byte, start, n int) (sum uint64) {
	for i := range n {
		sum += xxhash.Sum64(values[(start+i)%len(values)])
	}
	return sum
}

// bodySums returns the sum of the values of each of [requestBodies].
func bodySums(values [][]byte, n int) (sums []uint64) {
	for next := 0; next < len(values); next += n {
		sums = append(sums, sumOf(values, next, n))
	}
	return sums
}

// groupSums returns the sum of n values from each value on.
func groupSums(values [][]byte, n int) []uint64 {
	sums := make([]uint64, len(values))
	sum := sumOf(values, 0, n)
	for i := range values {
		sums[i] = sum
		sum += xxhash.Sum64(values[(i+n)%len(values)]) - xxhash.Sum64(values[i])
	}
	return sums
}

// held reads what topics of [cluster.newTopics] hold; without a sum it is only
// counted.
func (c *cluster) held(ctx context.Context, withSum bool, names ...string) (content, error) {
	var all content
	ends, err := c.admin.ListEndOffsets(ctx, names...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return all, fmt.Errorf("cannot read the ends of topics: %w", err)
	}
	for _, partitions := range ends {
		for _, end := range partitions {
			all.Records += uint64(end.Offset)
		}
	}
	if !withSum || all.Records == 0 {
		return all, nil
	}
	all.Sum, err = c.sum(ctx, all.Records, names)
	return all, err
}

// sum reads the topics, which hold n records.
func (c *cluster) sum(ctx context.Context, n uint64, names []string) (sum uint64, err error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.brokers...), kgo.ConsumeTopics(names...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(16<<20),
	)
	if err != nil {
		return 0, fmt.Errorf("cannot build a consumer: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for seen := uint64(0); seen < n; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return 0, fmt.Errorf("cannot read back more than %d of %d records: %w", seen, n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			sum += xxhash.Sum64(r.Value)
		})
	}
	return sum, nil
}
