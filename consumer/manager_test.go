package consumer

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/reader"
)

func TestCreateNames(t *testing.T) {
	t.Parallel()
	m := newManager(t, testkit.Fake(t).Broker, nil)
	o := m.Defaults()
	i := create(t, m, "g", o)
	if want := regexp.MustCompile(`^rest-consumer-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`); !want.MatchString(i.Name()) {
		t.Errorf("the made-up name is %s", i.Name())
	}
	if again := create(t, m, "g", o); again.Name() == i.Name() {
		t.Error("two instances have the same made-up name")
	}
	o.Name = "mine"
	mine := create(t, m, "g", o)
	_, err := m.Create("g", o)
	wantKind(t, err, apierr.AlreadyExists)
	create(t, m, "other", o)

	got, err := m.Get("g", "mine")
	ok(t, err)
	if got != mine {
		t.Error("Get returns another instance")
	}
	ok(t, m.Delete(t.Context(), "g", "mine"))
	_, err = m.Get("g", "mine")
	wantKind(t, err, apierr.InstanceNotFound)
	wantKind(t, m.Delete(t.Context(), "g", "mine"), apierr.InstanceNotFound)
	wantKind(t, mine.Commit(t.Context(), nil), apierr.InstanceNotFound)
	create(t, m, "g", o) // the name is free again
	if m.Count() != 4 {
		t.Errorf("there are %d instances, want 4", m.Count())
	}
}

func TestCreateBound(t *testing.T) {
	t.Parallel()
	m := newManager(t, testkit.Fake(t).Broker, func(s *Settings) { s.MaxInstances = 2 })
	o := m.Defaults()
	create(t, m, "g", o)
	i := create(t, m, "g", o)
	_, err := m.Create("g", o)
	wantKind(t, err, apierr.TooManyInstances)
	ok(t, m.Delete(t.Context(), "g", i.Name()))
	create(t, m, "g", o)
}

func TestCreateChecksItsOptions(t *testing.T) {
	t.Parallel()
	m := newManager(t, testkit.Fake(t).Broker, nil)
	f := func(want *apierr.Kind, change func(*InstanceOptions)) {
		t.Helper()
		o := m.Defaults()
		change(&o)
		_, err := m.Create("g", o)
		wantKind(t, err, want)
	}
	f(apierr.Unprocessable, func(o *InstanceOptions) { o.Format = codec.Avro })
	f(apierr.Unprocessable, func(o *InstanceOptions) { o.Format = codec.Protobuf })
	f(apierr.InvalidConsumerConf, func(o *InstanceOptions) { o.OffsetReset = "smallest" })
	f(apierr.InvalidConsumerConf, func(o *InstanceOptions) { o.IsolationLevel = "serializable" })
	f(apierr.InvalidConsumerConf, func(o *InstanceOptions) { o.RequestTimeout = -1 })
	f(apierr.SettingOutOfRange, func(o *InstanceOptions) { o.FetchMinBytes = -2 })
	f(apierr.SettingOutOfRange, func(o *InstanceOptions) { o.FetchMinBytes = 10_000_001 })

	i := create(t, m, "g", InstanceOptions{FetchMinBytes: -1, OffsetReset: "EARLIEST"})
	want := m.Defaults()
	want.Name, want.AutoCommit, want.OffsetReset = i.Name(), false, earliest
	if i.Options() != want {
		t.Errorf("options became %+v, want %+v", i.Options(), want)
	}

	for name, want := range map[string]codec.Format{"json": codec.JSON, "BINARY": codec.Binary} {
		if f, err := reader.ParseFormat(name); err != nil || f != want {
			t.Errorf("format %s gives %v, %v", name, f, err)
		}
	}
	for _, name := range []string{"", "xml"} {
		_, err := reader.ParseFormat(name)
		wantKind(t, err, apierr.Unprocessable)
	}
	_, err := m.Create("g", InstanceOptions{Format: codec.Avro}) // there is no registry
	wantKind(t, err, apierr.Unprocessable)
}

func TestDeleteInterruptsAReadAndLeavesTheGroup(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		m := newManager(t, b, nil)
		i := create(t, m, testkit.Group(t), jsonOptions(m))
		ok(t, i.Subscribe(t.Context(), []string{topic}))
		testkit.Eventually(t, patience, "it is assigned", func() bool { tps, _ := i.Assignment(); return len(tps) == 1 })
		failed := make(chan error, 1)
		go func() { _, err := i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{}); failed <- err }()
		testkit.Eventually(t, patience, "the read waits", func() bool { return polls(i) })

		begin := time.Now()
		ok(t, m.Delete(t.Context(), i.Group(), i.Name()))
		wantKind(t, <-failed, apierr.InstanceNotFound)
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("delete took %v", took)
		}
		if left := members(t, b, i.Group()); len(left) != 0 {
			t.Errorf("members of the group after the delete: %v", left)
		}
	})
}

func TestDeleteCommitsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 10)...)
	m := newManager(t, b, nil)
	for auto, want := range map[bool]int64{true: 3, false: -1} {
		o := jsonOptions(m)
		o.AutoCommit = auto
		i := create(t, m, testkit.Group(t), o)
		ok(t, i.Subscribe(t.Context(), []string{topic}))
		if rs := read(t, i, ReadOptions{MaxBytes: 3}); len(rs) != 3 {
			t.Fatalf("read %d records", len(rs))
		}
		ok(t, m.Delete(t.Context(), i.Group(), i.Name()))
		if at := committedRaw(t, b, i.Group(), TopicPartition{Topic: topic, Partition: 0}); at != want {
			t.Errorf("auto-commit %t: committed %d, want %d", auto, at, want)
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 10)...)
	const idle = 400 * time.Millisecond
	m := newManager(t, b, func(s *Settings) { s.InstanceTimeout = idle })
	o := jsonOptions(m)
	o.AutoCommit = true
	i := create(t, m, testkit.Group(t), o)
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	for range 2 { // the second confirms the first
		if rs := read(t, i, ReadOptions{MaxBytes: 3}); len(rs) != 3 {
			t.Fatalf("read %d records", len(rs))
		}
	}
	read(t, i, ReadOptions{MaxBytes: 3})
	used := time.Now()
	testkit.Eventually(t, patience, "the instance expires", func() bool { return m.Count() == 0 })
	if after := time.Since(used); after < idle {
		t.Errorf("it expired %v after its last use, before %v", after, idle)
	}
	_, err := m.Get(i.Group(), i.Name())
	wantKind(t, err, apierr.InstanceNotFound)
	testkit.Eventually(t, patience, "it leaves the group", func() bool { return len(members(t, b, i.Group())) == 0 })
	if at := committedRaw(t, b, i.Group(), TopicPartition{Topic: topic, Partition: 0}); at != 6 {
		t.Errorf("committed %d at expiry, want 6, what was confirmed", at)
	}
}

func TestAReadIsNotIdle(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	m := newManager(t, b, func(s *Settings) { s.InstanceTimeout = 200 * time.Millisecond })
	i := newReader(t, m, topic, 1)
	if rs := read(t, i, ReadOptions{Timeout: time.Second}); len(rs) != 0 {
		t.Fatalf("read %v", rs)
	}
	_, err := m.Get(i.Group(), i.Name())
	ok(t, err)
}

// TestDrainWakesReads: those that wait answer what they have, those that come
// later what there is, and all else goes on.
func TestDrainWakesReads(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		m := newManager(t, b, nil)
		o := jsonOptions(m)
		o.FetchMinBytes = 1000
		tp := TopicPartition{Topic: topic, Partition: 0}
		begin := time.Now()
		var all []*Instance
		answers := make(chan []record, 6)
		for n := range 3 {
			i := create(t, m, testkit.Group(t), o)
			all = append(all, i)
			switch n {
			case 0: // waits for records
				ok(t, i.Assign(t.Context(), []TopicPartition{tp}))
			case 1: // waits for its group
				ok(t, i.Subscribe(t.Context(), []string{testkit.Topic(t)}))
			case 2: // waits for more records
				ok(t, i.Assign(t.Context(), []TopicPartition{tp}))
				produce(t, b, numbers(topic, 0, 0, 5)...)
			}
			for range 2 { // one in its poll, one behind it
				go func() { answers <- read(t, i, ReadOptions{}) }()
			}
			testkit.Eventually(t, patience, "a read waits", func() bool { return polls(i) })
			if n != 1 {
				continue
			}
			if tps := assigned(t, i); len(tps) != 0 {
				t.Fatalf("assigned %v", tps)
			}
		}
		for _, i := range []*Instance{all[0], all[2]} {
			testkit.Eventually(t, patience, "the records are in the backlog", func() bool {
				i.mu.Lock()
				defer i.mu.Unlock()
				return i.session.backlog.records == 5
			})
		}
		m.Drain()
		m.Drain() // again
		got := 0
		for range cap(answers) {
			got += len(<-answers)
		}
		if got != 10 {
			t.Errorf("the reads that waited answered %d records, want 10", got)
		}
		nothingMore := read(t, all[0], ReadOptions{})
		if len(nothingMore) != 0 {
			t.Errorf("a read after the drain began answered %v", nothingMore)
		}
		if took := time.Since(begin); took >= patience {
			t.Errorf("it took %v", took)
		}
		ok(t, all[0].Commit(t.Context(), nil))
		if at := committedRaw(t, b, all[0].Group(), tp); at != 5 {
			t.Errorf("committed %d, want 5", at)
		}
		ok(t, m.Delete(t.Context(), all[1].Group(), all[1].Name()))
	})
}

func TestCloseDrains(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		produce(t, b, numbers(topic, 0, 0, 10)...)
		m := newManager(t, b, nil)
		o := jsonOptions(m)
		o.AutoCommit = true
		var all []*Instance
		var waiting []chan error
		for range 5 {
			i := create(t, m, testkit.Group(t), o)
			ok(t, i.Subscribe(t.Context(), []string{topic}))
			all = append(all, i)
		}
		for _, i := range all {
			readN(t, i, 10)
			failed := make(chan error, 1)
			go func() { _, err := i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{}); failed <- err }()
			waiting = append(waiting, failed)
			testkit.Eventually(t, patience, "the read waits", func() bool { return polls(i) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ok(t, m.Close(ctx))
		for n, i := range all {
			wantKind(t, <-waiting[n], apierr.Draining)
			if left := members(t, b, i.Group()); len(left) != 0 {
				t.Errorf("members after the shutdown: %v", left)
			}
			if at := committedRaw(t, b, i.Group(), TopicPartition{Topic: topic, Partition: 0}); at != 10 {
				t.Errorf("committed %d, want 10: the read that was interrupted confirms the one before", at)
			}
			wantKind(t, i.Unsubscribe(t.Context()), apierr.Draining)
		}
		_, err := m.Create("g", o)
		wantKind(t, err, apierr.Draining)
		_, err = m.Get("g", "x")
		wantKind(t, err, apierr.Draining)
		ok(t, m.Close(ctx)) // again
	})
}

// TestCloseOfASilentKafka: a broker that answers no commit must hold up neither
// a shutdown nor a delete beyond their bounds.
func TestCloseOfASilentKafka(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	m := newManager(t, f.Broker, nil)
	o := jsonOptions(m)
	o.AutoCommit = true
	produce(t, f.Broker, numbers("t", 0, 0, 1)...)
	var all []*Instance
	for range 2 {
		i := create(t, m, testkit.Group(t), o)
		ok(t, i.Subscribe(t.Context(), []string{"t"}))
		readN(t, i, 1)
		nothing(t, i)
		all = append(all, i)
	}
	f.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		return nil, nil, true
	})
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := m.Delete(ctx, all[0].Group(), all[0].Name()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the delete gave %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the shutdown gave %v", err)
	}
	if took := time.Since(begin); took > 4500*time.Millisecond { // leaving takes 5 s without them
		t.Errorf("both took %v with bounds of half a second each", took)
	}
}

// An instance that another node takes over before it has its place here does not get it: nothing
// could take it out again.
func TestInstanceDiscardedBeforeItIsInstalled(t *testing.T) {
	t.Parallel()
	m := newManager(t, testkit.Fake(t).Broker, nil)
	o := jsonOptions(m)
	o.Name = "i"
	i := newInstance(m, "g", o)
	ok(t, m.reserve(i.key(), o))
	m.mu.Lock()
	m.discard(i)
	m.mu.Unlock()
	wantKind(t, m.install(i.key(), i), apierr.InstanceMoved)
	m.unreserve(i.key(), o)
	if m.Holds("g", "i") {
		t.Error("the node holds it")
	}
	if _, err := m.Create("g", o); err != nil {
		t.Errorf("the name is not free: %v", err)
	}
}
