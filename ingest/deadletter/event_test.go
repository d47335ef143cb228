package deadletter

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// TestReadEndsWhereItBegan has events come to a partition that was read, while another one is not
// at its end. A replay makes such events, where one is refused again: to read them would post them
// again and again.
func TestReadEndsWhereItBegan(t *testing.T) {
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	client := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	add := func(partition int32, value []byte) {
		t.Helper()
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	const long = 6
	add(0, []byte("small"))
	for range long { // more than one fetch brings
		add(1, slices.Repeat([]byte("large"), 180_000))
	}
	brokers := kafka.Settings{Brokers: b.Addrs, ClientID: "millrace-test", Logger: slog.New(slog.DiscardHandler)}
	read := map[int32]int{}
	err := Read(t.Context(), brokers, Selection{Topic: topic}, func(e Event) error {
		if read[e.Partition]++; e.Partition == 0 {
			add(0, []byte("refused again"))
		}
		return nil
	})
	if err != nil || read[0] != 1 || read[1] != long {
		t.Errorf("%d and %d events were read, of 1 and %d: %v", read[0], read[1], long, err)
	}
}
