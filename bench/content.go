package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/lab"
)

// sumOf returns the sum of n values from start on, which repeat.
func sumOf(values [][]byte, start, n int) (sum uint64) {
	for i := range n {
		sum += lab.SumOf(values[(start+i)%len(values)])
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
		sum += lab.SumOf(values[(i+n)%len(values)]) - lab.SumOf(values[i])
	}
	return sums
}

// readPatience bounds how long the brokers may bring no record of a run.
const readPatience = time.Minute

// held reads what topics of [cluster.newTopics] hold; without a sum it is only
// counted.
func (c *cluster) held(ctx context.Context, withSum bool, names ...string) (lab.Content, error) {
	var all lab.Content
	spans, err := lab.Extent(ctx, c.admin, names...)
	if err != nil {
		return all, err
	}
	if !withSum {
		for _, s := range spans {
			all.Records += uint64(s.Len())
		}
		return all, nil
	}
	back := lab.ReadBack{
		Dial: func(opts ...kgo.Opt) (*kgo.Client, error) {
			return kgo.NewClient(append(opts, kgo.SeedBrokers(c.brokers...))...)
		},
		Options:  []kgo.Opt{kgo.FetchMaxPartitionBytes(16 << 20)},
		Patience: readPatience,
	}
	err = back.Read(ctx, spans, func(r *kgo.Record) bool {
		all.Add(1, lab.SumOf(r.Value))
		return true
	})
	return all, err
}
