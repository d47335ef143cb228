package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience bounds waits for a condition; no test waits that long when it passes.
const patience = 30 * time.Second

// newManager returns a manager on b that is closed with t.
func newManager(t *testing.T, b testkit.Broker, change func(*Settings)) *Manager {
	t.Helper()
	return newManagerWith(t, b, change, Deps{})
}

// newManagerWith is newManager with other parts.
func newManagerWith(t *testing.T, b testkit.Broker, change func(*Settings), d Deps) *Manager {
	t.Helper()
	return newManagerOf(t, kafka.Settings{Brokers: b.Addrs}, kafka.DefaultConsumer(), change, d)
}

// newManagerOf is newManagerWith with clients of its own.
func newManagerOf(t *testing.T, base kafka.Settings, conf kafka.Consumer, change func(*Settings), d Deps) *Manager {
	t.Helper()
	s := Settings{
		OffsetReset:        earliest,
		IsolationLevel:     readUncommitted,
		RequestTimeout:     patience,
		MaxBytes:           64 << 20,
		InstanceTimeout:    5 * time.Minute,
		AutoCommitInterval: time.Hour,
		MaxInstances:       100,
	}
	d.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	if change != nil {
		change(&s)
	}
	m := New(base, conf, s, d)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Errorf("cannot close the manager: %v", err)
		}
	})
	return m
}

// jsonOptions are for an instance that reads JSON and commits by itself only.
func jsonOptions(m *Manager) InstanceOptions {
	o := m.Defaults()
	o.Format = codec.JSON
	o.AutoCommit = false
	return o
}

func create(t *testing.T, m *Manager, group string, o InstanceOptions) *Instance {
	t.Helper()
	i, err := m.Create(group, o)
	if err != nil {
		t.Fatalf("cannot create an instance: %v", err)
	}
	return i
}

// newReader creates an instance and assigns it partitions 0 to n-1 of topic.
func newReader(t *testing.T, m *Manager, topic string, n int32) *Instance {
	t.Helper()
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Assign(t.Context(), partitions(topic, n)))
	return i
}

func partitions(topic string, n int32) []TopicPartition {
	var tps []TopicPartition
	for p := range n {
		tps = append(tps, TopicPartition{Topic: topic, Partition: p})
	}
	return tps
}

// produce writes the records and waits for them.
func produce(t *testing.T, b testkit.Broker, records ...*kgo.Record) {
	t.Helper()
	cl := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatalf("cannot produce: %v", err)
	}
	cl.Close()
}

// numbers are n records of one partition whose values are from, from+1, ….
func numbers(topic string, partition int32, from, n int) []*kgo.Record {
	var rs []*kgo.Record
	for v := from; v < from+n; v++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Appendf(nil, "%d", v)})
	}
	return rs
}

// record is one element of an answer.
type record struct {
	Topic     string
	Key       json.RawMessage
	Value     json.RawMessage
	Partition int32
	Offset    int64
}

func decode(t *testing.T, answer []byte) []record {
	t.Helper()
	var rs []record
	if err := json.Unmarshal(answer, &rs); err != nil {
		t.Fatalf("the answer is not a list of records: %v\n%.300s", err, answer)
	}
	return rs
}

// read is one read that must succeed.
func read(t *testing.T, i *Instance, o ReadOptions) []record {
	t.Helper()
	answer, err := i.AppendRecords(t.Context(), nil, o, Delivery{})
	if err != nil {
		t.Fatalf("cannot read: %v", err)
	}
	return decode(t, answer)
}

// readN reads until there are n records, and fails when there are more.
func readN(t *testing.T, i *Instance, n int) []record {
	t.Helper()
	var all []record
	for deadline := time.Now().Add(patience); len(all) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("got %d of %d records", len(all), n)
		}
		all = append(all, read(t, i, ReadOptions{Timeout: patience})...) // which a busy machine does not cut short
	}
	if len(all) > n {
		t.Fatalf("got %d records, want %d", len(all), n)
	}
	return all
}

// gather polls until the backlog has n records, of whichever partitions: one poll brings what
// Kafka's nodes have answered by then, which on a busy machine is not all.
func gather(t *testing.T, i *Instance, n int) {
	t.Helper()
	i.lease <- struct{}{} // as of a read: it is not parked meanwhile
	defer func() { <-i.lease }()
	testkit.Eventually(t, patience, "all records are in the backlog", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.session.unpark()
		i.poll(t.Context(), i.session, true)
		return i.session.backlog.records == n
	})
}

// buffered waits until the Kafka client has fetched n records beyond the backlog.
func buffered(t *testing.T, i *Instance, n int64) {
	t.Helper()
	i.lease <- struct{}{} // as of a read: it is not parked meanwhile
	defer func() { <-i.lease }()
	testkit.Eventually(t, patience, "the client has fetched the records", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.session.unpark()
		return i.session.client.BufferedFetchRecords() == n
	})
}

// nothing fails unless a read has nothing to answer.
func nothing(t *testing.T, i *Instance) {
	t.Helper()
	if rs := read(t, i, ReadOptions{Timeout: 200 * time.Millisecond}); len(rs) != 0 {
		t.Fatalf("read %v, want nothing", rs)
	}
}

// values are the numbers in the records, in their order.
func values(t *testing.T, rs []record) []int {
	t.Helper()
	var vs []int
	for _, r := range rs {
		var v int
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatalf("the value %s is not a number", r.Value)
		}
		vs = append(vs, v)
	}
	return vs
}

func span(from, n int) []int {
	var vs []int
	for v := from; v < from+n; v++ {
		vs = append(vs, v)
	}
	return vs
}

func wantValues(t *testing.T, rs []record, want []int) {
	t.Helper()
	if got := values(t, rs); !slices.Equal(got, want) {
		t.Fatalf("read %v, want %v", got, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantKind(t *testing.T, err error, k *apierr.Kind) {
	t.Helper()
	if !k.Is(err) {
		t.Fatalf("got error %v, want kind %s", err, k.Name)
	}
}

// committedRaw is what Kafka has for the group, -1 for nothing.
func committedRaw(t *testing.T, b testkit.Broker, group string, tp TopicPartition) int64 {
	t.Helper()
	cl := testkit.Client(t, b)
	defer cl.Close()
	all, err := kadm.NewClient(cl).FetchOffsets(t.Context(), group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return -1
	}
	if err != nil {
		t.Fatalf("cannot fetch offsets: %v", err)
	}
	if o, ok := all.Lookup(tp.Topic, tp.Partition); ok {
		return o.At
	}
	return -1
}

// members are the member ids of the group.
func members(t *testing.T, b testkit.Broker, group string) []string {
	t.Helper()
	cl := testkit.Client(t, b)
	defer cl.Close()
	groups, err := kadm.NewClient(cl).DescribeGroups(t.Context(), group)
	if err != nil {
		t.Fatalf("cannot describe the group: %v", err)
	}
	var ids []string
	for _, m := range groups[group].Members {
		ids = append(ids, m.MemberID)
	}
	slices.Sort(ids)
	return ids
}
