package consumer

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
	"millrace/reader"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec"
	"millrace/internal/apierr"
)

func TestDefinitionComesBack(t *testing.T) {
	t.Parallel()
	want := definition{
		Options: InstanceOptions{
			Name: "i", Format: codec.JSON, OffsetReset: latest, AutoCommit: true, FetchMinBytes: 7,
			RequestTimeout: 3 * time.Second, IsolationLevel: readCommitted, Undecodable: reader.Skip,
		},
		Format:     "json",
		Partitions: []place{{"t", 1}},
		Positions:  []position{{place: place{"t", 1}, Offset: 40, Committed: -1, Sought: true}},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readDefinition(text)
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("%s became %+v (%v)", text, got, err)
	}
	// The name of the format counts, for its number may be another one by now.
	text = bytes.ReplaceAll(text, []byte(`"format":"json"`), []byte(`"format":"binary"`))
	if got, err := readDefinition(text); err != nil || got.Options.Format != codec.Binary {
		t.Errorf("%s became %+v (%v)", text, got, err)
	}
	text = bytes.ReplaceAll(text, []byte(`"format":"binary"`), []byte(`"format":"new"`))
	if _, err := readDefinition(text); !apierr.Unprocessable.Is(err) {
		t.Errorf("a format that nobody knows: %v", err)
	}
}

// Every option but the address of its client, which is dropped where nobody
// asks for it, and the login of its owner, which must be in no topic, must
// outlive a node: a new field that JSON passes over would not.
func TestAllOptionsAreKept(t *testing.T) {
	t.Parallel()
	kind := reflect.TypeFor[InstanceOptions]()
	for i := range kind.NumField() {
		f := kind.Field(i)
		if f.Type == reflect.TypeFor[*kafka.Login]() {
			if f.Tag.Get("json") != "-" {
				t.Errorf("the option %s gets into the topic of the nodes", f.Name)
			}
			continue
		}
		if !f.IsExported() || f.Tag.Get("json") == "-" || f.Type.Kind() == reflect.Func || f.Type.Kind() == reflect.Interface {
			t.Errorf("the option %s does not outlive its node", f.Name)
		}
	}
}

func FuzzReadDefinition(f *testing.F) {
	f.Add([]byte(`{"options":{"Name":"i","FetchMinBytes":1},"format":"json","topics":["t"],"positions":[{"topic":"t","partition":0,"offset":4,"committed":-1}]}`))
	f.Add([]byte(`{"format":"avro","pattern":"^a","partitions":[{"topic":"t","partition":-1}]}`))
	f.Add([]byte(`{"format":`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := readDefinition(text)
		if err != nil {
			return
		}
		first, err := json.Marshal(d)
		if err != nil {
			t.Fatalf("what was read from %q cannot be written: %v", text, err)
		}
		for i := range text { // nothing of it is kept
			text[i] = 'x'
		}
		if second, err := json.Marshal(d); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s became %s (%v)", first, second, err)
		}
	})
}

// slowDirectory takes its time to release.
type slowDirectory struct{ releasing, release chan struct{} }

func (slowDirectory) Create(context.Context, string, string, []byte) error { return nil }
func (slowDirectory) Update(context.Context, string, string, []byte) error { return nil }
func (slowDirectory) Delete(context.Context, string, string, string) error { return nil }
func (slowDirectory) Gone(string, string) string                           { return "" }
func (slowDirectory) Lease(string, string) (time.Time, error) {
	return time.Now().Add(time.Minute), nil
}

func (d slowDirectory) Release(context.Context, string, string, []byte) error {
	close(d.releasing)
	<-d.release
	return nil
}

// An instance is held until it is given up: else a request that comes meanwhile
// would have it claimed once more by the node that shuts down.
func TestInstanceIsHeldUntilItIsReleased(t *testing.T) {
	t.Parallel()
	d := slowDirectory{make(chan struct{}), make(chan struct{})}
	m := newManagerWith(t, testkit.Fake(t).Broker, nil, Deps{Directory: d})
	i := create(t, m, "g", jsonOptions(m))
	closed := make(chan error, 1)
	go func() { closed <- m.Close(t.Context()) }()
	<-d.releasing
	if !m.Holds("g", i.Name()) {
		t.Error("an instance that is being released is nobody's")
	}
	_, err := m.Get("g", i.Name())
	wantKind(t, err, apierr.Draining)
	close(d.release)
	ok(t, <-closed)
	if m.Holds("g", i.Name()) {
		t.Error("an instance that was released is still held")
	}
}

// A commit that was asked for before a seek is not newer than it, however late Kafka takes it: the
// definition keeps the position that the client has set.
func TestSeekBesideACommitIsKept(t *testing.T) {
	t.Parallel()
	fake := testkit.Fake(t)
	b := fake.Broker
	d := slowDirectory{make(chan struct{}), make(chan struct{})}
	close(d.release)
	m := newManagerWith(t, b, nil, Deps{Directory: d})
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 5)...)
	o := jsonOptions(m)
	o.AutoCommit = false
	i := create(t, m, testkit.Group(t), o)
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))
	readN(t, i, 5)

	arrived, apply := make(chan struct{}), make(chan struct{})
	fake.Cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.Cluster.SleepControl(func() { close(arrived); <-apply })
		return nil, nil, false
	})
	done := make(chan error, 2)
	go func() { done <- i.Commit(t.Context(), nil) }()
	<-arrived
	tp := TopicPartition{Topic: topic}
	go func() { done <- i.Seek(t.Context(), []Offset{{TopicPartition: tp, Offset: 2}}, nil) }()
	sought := func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.session.parts[tp].position() == 2
	}
	testkit.Eventually(t, patience, "the seek", sought)
	close(apply)
	ok(t, <-done)
	ok(t, <-done)
	i.mu.Lock()
	defer i.mu.Unlock()
	if at := i.define().Positions; len(at) != 1 || at[0].Offset != 2 || at[0].Committed != 5 {
		t.Errorf("another node would read on from what is committed: %+v", at)
	}
}

// The same of a commit that Kafka takes when it is repeated, after a rebalance.
func TestSeekBesideARepeatedCommitIsKept(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	d := slowDirectory{make(chan struct{}), make(chan struct{})}
	close(d.release)
	m := newManagerWith(t, f.Broker, nil, Deps{Directory: d})
	topic := testkit.CreateTopic(t, f.Broker, 1)
	produce(t, f.Broker, numbers(topic, 0, 0, 5)...)
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	readN(t, i, 5)

	var sought atomic.Bool
	refused := make(chan struct{}, 1)
	f.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if sought.Load() {
			return nil, nil, false
		}
		select {
		case refused <- struct{}{}:
		default:
		}
		return refuseCommits(req.(*kmsg.OffsetCommitRequest), kerr.RebalanceInProgress), nil, true
	})
	done := make(chan error, 1)
	go func() { done <- i.Commit(t.Context(), nil) }()
	<-refused
	ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: TopicPartition{Topic: topic}, Offset: 2}}, nil))
	sought.Store(true)
	ok(t, <-done)
	i.mu.Lock()
	defer i.mu.Unlock()
	if at := i.define().Positions; len(at) != 1 || at[0].Offset != 2 || at[0].Committed != 5 {
		t.Errorf("another node would read on from what is committed: %+v", at)
	}
}
