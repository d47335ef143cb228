package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"millrace/internal/kafka"
	"millrace/loadtest/check"
)

// topics of each world, with their partitions. Batches of small may have 1200 bytes; volatile may
// be deleted and created again.
var topics = []struct {
	name       string
	partitions int32
	configs    map[string]string
}{
	{"plain", 3, nil},
	{compacted, 2, nil},
	{"small", 2, map[string]string{limitConfig: strconv.Itoa(smallLimit)}},
	{volatileTopic, 2, nil},
}

const (
	smallLimit    = 1200
	volatileTopic = "volatile"
)

// world is a Kafka cluster on a network of its own, and what its clients did.
type world struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand // of the world itself; what runs beside it has its own
	nodes   int32
	net     *network
	cluster *kfake.Cluster
	history *check.History

	mu        sync.Mutex
	recreated bool // volatile was
	problems  []string
}

// newWorld makes a world as its seed has it, which ends with t. Some have brokers of Kafka 2.3,
// unless all must be modern.
func newWorld(t *testing.T, seed uint64, modern bool) *world {
	w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1))}
	w.nodes = 1 + w.rng.Int32N(3)
	// Never none: where requests take no time, a client that asks until something has changed asks
	// forever, since nothing else gets to happen.
	base := []time.Duration{20 * time.Microsecond, 200 * time.Microsecond, 2 * time.Millisecond, 20 * time.Millisecond}[w.rng.IntN(4)]
	w.net = newNetwork(rand.New(rand.NewPCG(seed, 2)), base, base)
	opts := []kfake.Opt{
		kfake.NumBrokers(int(w.nodes)), kfake.ListenFn(w.listen), kfake.DefaultNumPartitions(1),
		kfake.BrokerConfigs(map[string]string{"group.consumer.heartbeat.interval.ms": "3000"}),
	}
	var ports []int
	for i := range w.nodes {
		ports = append(ports, firstPort+int(i))
	}
	opts = append(opts, kfake.Ports(ports...))
	// Old brokers name no records that they refuse, and know no ids of topics.
	if old := w.rng.IntN(4) == 0; old && !modern {
		opts = append(opts, kfake.MaxVersions(kversion.V2_3_0()))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	w.cluster = cluster
	cluster.ControlKey(int16(kmsg.OffsetForLeaderEpoch), w.endsOfEpochs)
	t.Cleanup(cluster.Close)
	for _, topic := range topics {
		w.create(topic.name)
	}
	w.history = check.NewHistory(check.Header{Run: fmt.Sprintf("%08x", seed), Seed: seed, Exclusive: true, Disturbed: true})
	for _, topic := range topics {
		w.history.Topics = append(w.history.Topics, topic.name)
	}
	return w
}

// endsOfEpochs answers that no epoch ended before what was read. kfake does not find the end of one
// that another follows: readers would take the log for truncated when a leader moves.
func (w *world) endsOfEpochs(r kmsg.Request) (kmsg.Response, error, bool) {
	w.cluster.KeepControl()
	req := r.(*kmsg.OffsetForLeaderEpochRequest)
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for _, t := range req.Topics {
		of := kmsg.NewOffsetForLeaderEpochResponseTopic()
		of.Topic = t.Topic
		for _, p := range t.Partitions {
			end := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			end.Partition, end.LeaderEpoch, end.EndOffset = p.Partition, p.LeaderEpoch, math.MaxInt64
			of.Partitions = append(of.Partitions, end)
		}
		resp.Topics = append(resp.Topics, of)
	}
	return resp, nil, true
}

// create creates a topic. Leaders are as the seed has them: kfake chooses them by chance.
func (w *world) create(name string) {
	for _, topic := range topics {
		if topic.name != name {
			continue
		}
		if err := w.cluster.CreateTopic(name, topic.partitions, topic.configs); err != nil {
			w.t.Error(err)
		}
		for p := range topic.partitions {
			if err := w.cluster.MoveTopicPartition(name, p, (p+int32(w.seed))%w.nodes); err != nil {
				w.t.Error(err)
			}
		}
	}
}

func (w *world) listen(kind, addr string) (net.Listener, error) {
	l, err := w.net.listen(kind, addr)
	if err != nil {
		return nil, err
	}
	return &screen{Listener: l, node: int32(l.(*port).number - firstPort), cluster: func() *kfake.Cluster { return w.cluster }}, nil
}

// settings are those of clients in the world.
func (w *world) settings() kafka.Settings {
	s := kafka.Settings{Dial: w.net.dial, RequestTimeout: 5 * time.Second, Logger: w.logger()}
	for i := range w.nodes {
		s.Brokers = append(s.Brokers, address(firstPort+int(i)).String())
	}
	return s
}

// logger drops the log, or shows all of it for a seed that is looked at.
func (w *world) logger() *slog.Logger {
	if !verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// client returns a client of the library's own.
func (w *world) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(w.settings().Brokers...), kgo.Dialer(w.net.dial), kgo.DisableClientMetrics(), kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	}, opts...)...)
}

// problem notes that something does not hold.
func (w *world) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// judge compares the history with the log, and returns all that does not hold.
func (w *world) judge() []string {
	log, err := check.ReadLog(context.Background(), w.client, w.history)
	if err != nil {
		w.problem("cannot read the log: %v", err)
		return w.problems
	}
	if w.recreated { // of the first topic of that name nothing is left
		for p := range int32(2) {
			log.Expired[check.Partition{Topic: volatileTopic, Number: p}] = 1 << 40
		}
	}
	report := check.Check(w.history, log)
	for _, f := range report.Findings {
		for _, example := range f.Examples {
			w.problem("%s: %s", f.Anomaly, example)
		}
	}
	if report.Totals.BadAccepted > 0 {
		w.problem("%d records that break a rule were acknowledged", report.Totals.BadAccepted)
	}
	if report.Totals.Acknowledged == 0 {
		w.problem("no record was acknowledged")
	}
	slices.Sort(w.problems)
	return w.problems
}
