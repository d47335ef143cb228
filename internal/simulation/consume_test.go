package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec"
	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/loadtest/check"
)

// reading are the events of worlds in which groups read.
var reading = append(slices.Clone(connections), []kind{
	{3, func(r *rand.Rand, _ int32) event {
		return coded(r, kmsg.Fetch, kerr.NotLeaderForPartition, kerr.KafkaStorageError, kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.UnknownServerError)
	}},
	{3, func(r *rand.Rand, _ int32) event {
		return coded(r, kmsg.OffsetCommit, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.RequestTimedOut, kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration)
	}},
	{2, func(r *rand.Rand, _ int32) event {
		api := choose(r, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat)
		return coded(r, api, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.UnknownMemberID, kerr.RebalanceInProgress)
	}},
	{2, func(r *rand.Rand, _ int32) event {
		return coded(r, choose(r, kmsg.OffsetFetch, kmsg.FindCoordinator), kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.CoordinatorNotAvailable)
	}},
	{1, func(r *rand.Rand, _ int32) event {
		return coded(r, kmsg.ListOffsets, kerr.NotLeaderForPartition, kerr.LeaderNotAvailable)
	}},
	{1, func(*rand.Rand, int32) event {
		return event{name: "groups have other coordinators", do: func(w *world) { w.cluster.RehashCoordinators() }}
	}},
}...)

// read are the topics that groups read.
var read = []string{"plain", compacted}

const group = "readers"

// readers is a group, and the nodes that its instances live on.
type readers struct {
	*world
	nodes []*consumer.Manager
	stop  atomic.Bool
	mu    sync.Mutex
	given map[check.Place]bool
}

// consuming runs a group of instances under a schedule, and returns what does not hold.
//
// The group is given each record, and none but those of the log, where they are; nothing is
// committed that nobody was given, and nothing given again that was known to be committed before.
func consuming(w *world, s schedule) []string {
	g := &readers{world: w, given: map[check.Place]bool{}}
	for range 1 + w.rng.IntN(2) {
		k := kafka.DefaultConsumer()
		k.SessionTimeout, k.GroupProtocol = 10*time.Second, "consumer"
		g.nodes = append(g.nodes, consumer.New(w.settings(), k, consumer.Settings{
			OffsetReset: "earliest", IsolationLevel: "read_uncommitted", RequestTimeout: 2 * time.Second, MaxBytes: 1 << 20, InstanceTimeout: 5 * time.Minute,
			AutoCommitInterval: choose(w.rng, time.Second, 5*time.Second), MaxInstances: 10,
		}, consumer.Deps{Logger: w.logger()}))
	}
	var writer, members sync.WaitGroup
	writer.Go(w.fill)
	for m := range 1 + w.rng.IntN(3) {
		members.Go(func() { g.member(m) })
	}
	s.run(w)
	pause(15 * time.Second)
	w.heal()
	writer.Wait()
	g.finish()
	g.stop.Store(true)
	members.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, m := range g.nodes {
		if err := m.Close(ctx); err != nil {
			w.problem("cannot close a node: %v", err)
		}
	}
	g.observe()
	return w.judge()
}

// fill writes records, by the library's own producer.
func (w *world) fill() {
	client, err := w.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	r := rand.New(rand.NewPCG(w.seed, 50))
	for seq := range 150 {
		topic := read[r.IntN(len(read))]
		rec := check.Sent{ID: check.ID{Client: 0, Seq: seq}, Asked: r.Int32N(2), Outcome: check.OK}
		sent := w.history.Now()
		out, err := client.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Partition: rec.Asked, Key: []byte(`"k"`), Value: check.AppendValue(nil, w.history.Run, rec.ID)}).First()
		if err != nil {
			rec.Outcome = check.Unknown
		} else {
			rec.Partition, rec.Offset = out.Partition, out.Offset
		}
		w.history.Append(check.Op{
			Kind: check.Produce, Seq: seq, Sent: sent, Done: w.history.Now(), Topic: topic, Records: []check.Sent{rec}, Outcome: rec.Outcome, Status: 200,
		})
		pause(time.Duration(r.Int64N(int64(200 * time.Millisecond))))
	}
}

// member is a client that reads by one instance after another.
func (g *readers) member(m int) {
	r := rand.New(rand.NewPCG(g.seed, uint64(60+m)))
	for life := 0; !g.stop.Load(); life++ {
		node := g.nodes[r.IntN(len(g.nodes))]
		o := node.Defaults()
		o.Name, o.Format, o.AutoCommit = fmt.Sprintf("m%d-%d", m, life), codec.JSON, r.IntN(2) == 0
		i, err := node.Create(group, o)
		if err != nil {
			g.problem("cannot create an instance: %v", err)
			return
		}
		c := &reader{readers: g, i: i, client: 10 + m, r: r}
		c.live()
		op := c.op(check.Leave)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		op.settle(g.world, node.Delete(ctx, group, o.Name))
		cancel()
	}
}

// reader is one instance, as its client has it.
type reader struct {
	*readers
	i      *consumer.Instance
	client int
	seq    int
	r      *rand.Rand
}

// call is one request under way.
type call struct{ check.Op }

func (c *reader) op(kind check.Kind) *call {
	c.seq++
	return &call{check.Op{Kind: kind, Client: c.client, Seq: c.seq, Sent: c.history.Now(), Group: group, Instance: c.i.Name()}}
}

// settle notes how the request ended.
func (op *call) settle(w *world, err error) {
	op.Outcome, op.Status, op.Done = check.OK, 200, w.history.Now()
	if err != nil {
		kind := apierr.From(err).Kind
		op.Outcome, op.Status, op.Code, op.Note = check.OutcomeOf(kind.Code), kind.Status, kind.Code, err.Error()
	}
	w.history.Append(op.Op)
	if verbose {
		w.t.Logf("%v to %v: %s of %s: %v %s, %d records", op.Sent, op.Done, op.Kind, op.Instance, op.Outcome, op.Note, len(op.Page))
	}
}

// live subscribes and reads until the client has enough of its instance.
func (c *reader) live() {
	reads := choose(c.r, 5, 50, 1000)
	for subscribed := false; !subscribed; {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		op := c.op(check.Join)
		err := c.i.Subscribe(ctx, read)
		cancel()
		op.settle(c.world, err)
		if subscribed = err == nil; err != nil {
			pause(100 * time.Millisecond)
		}
	}
	for n := 0; n < reads && !c.stop.Load(); n++ {
		c.read()
		if c.r.IntN(4) == 0 {
			op := c.op(check.Commit)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			op.settle(c.world, c.i.Commit(ctx, nil))
			cancel()
		}
		if c.r.IntN(20) == 0 {
			c.observe()
		}
	}
}

// read reads one page.
func (c *reader) read() {
	op := c.op(check.Read)
	text, err := c.i.AppendRecords(context.Background(), nil, consumer.ReadOptions{Timeout: time.Second, MaxBytes: 1000}, consumer.Delivery{})
	var records []struct {
		Topic     string
		Partition int32
		Offset    int64
		Value     json.RawMessage
	}
	if err == nil {
		if err := json.Unmarshal(text, &records); err != nil {
			c.problem("a page cannot be read: %v: %s", err, text)
		}
	}
	c.mu.Lock()
	for _, r := range records {
		given := check.Given{Place: check.Place{Partition: check.Partition{Topic: r.Topic, Number: r.Partition}, Offset: r.Offset}}
		var ours bool
		if given.ID, ours = check.ParseValue(c.history.Run, r.Value); !ours {
			given.Foreign = string(r.Value)
		}
		op.Page = append(op.Page, given)
		c.given[given.Place] = true
	}
	c.mu.Unlock()
	op.settle(c.world, err)
	if err != nil {
		pause(100 * time.Millisecond)
	}
}

// observe notes what the brokers say is committed.
func (g *readers) observe() {
	client, err := g.client()
	if err != nil {
		g.t.Fatal(err)
	}
	defer client.Close()
	sent := g.history.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	offsets, err := kadm.NewClient(client).FetchOffsets(ctx, group)
	if err != nil || offsets.Error() != nil {
		return
	}
	op := check.Op{Kind: check.Committed, Client: -1, Sent: sent, Done: g.history.Now(), Outcome: check.OK, Group: group}
	offsets.Each(func(o kadm.OffsetResponse) {
		op.Positions = append(op.Positions, check.Position{Partition: check.Partition{Topic: o.Topic, Number: o.Partition}, Offset: o.At})
	})
	g.history.Append(op)
}

// finish waits until the group was given all that is in the log.
func (g *readers) finish() {
	total := 0
	for _, topic := range read {
		for _, p := range g.cluster.PartitionInfos(topic) {
			g.history.Ends = append(g.history.Ends, check.Position{Partition: check.Partition{Topic: topic, Number: p.Partition}, Offset: p.HighWatermark})
			total += int(p.HighWatermark)
		}
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); pause(100 * time.Millisecond) {
		g.mu.Lock()
		n := len(g.given)
		g.mu.Unlock()
		if n == total {
			return
		}
	}
}

func TestConsume(t *testing.T) {
	simulate(t, 15, scenario{kinds: reading, run: consuming, modern: true})
}

// Instances that are deleted while they are read leave no goroutine behind, which synctest insists
// on. In this seed
//
//	session:  leaves in order       the library waits for the poll that is under way
//	session:  ends the client       Close polls once more, and holds rebalances back from then on
//	the poll: is over, allows rebalances, too early
//
// and the library never ceased to wait for its turn to leave the group.
func TestDeletedWhileItIsRead(t *testing.T) {
	sc := scenario{kinds: reading, run: consuming, modern: true}
	for range 10 { // goroutines may be scheduled otherwise
		if out := once(t, sc, 103, func(int) bool { return true }); len(out.problems) > 0 {
			report(t, sc, 103, out)
			break
		}
	}
}
