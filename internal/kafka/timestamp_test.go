package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A record with an old timestamp is delivered, with its timestamp, and does not fail those that
// share its partition.
func TestOldTimestampIsNotOverdue(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := DefaultProducer()
	p.Linger = 20 * time.Millisecond // so that both share a batch
	client, err := NewProducer(Settings{Brokers: c.ListenAddrs()}, p)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	old := time.UnixMilli(1_000_000_000_123)
	records := []*kgo.Record{
		{Topic: "t", Partition: 0, Value: []byte("old"), Timestamp: old, Context: OwnTimestamp},
		{Topic: "t", Partition: 0, Value: []byte("new")},
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var got []*kgo.Record
	for len(got) < 2 && ctx.Err() == nil {
		got = append(got, reader.PollFetches(ctx).Records()...)
	}
	if len(got) != 2 || !got[0].Timestamp.Equal(old) || time.Since(got[1].Timestamp) > time.Minute {
		t.Errorf("read back %v", got)
	}
}
