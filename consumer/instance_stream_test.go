package consumer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/reader"
)

// plain frames a message as a line, and marks what is no record.
type plain struct{}

func (plain) Begin(dst []byte, _ *reader.Positions) []byte { return append(dst, "#begin\n"...) }
func (plain) Open(dst []byte, failure bool, _ *reader.Positions) []byte {
	if failure {
		return append(dst, '#')
	}
	return dst
}
func (plain) Close(dst []byte) []byte                     { return append(dst, '\n') }
func (plain) Beat(dst []byte, _ *reader.Positions) []byte { return append(dst, "#beat\n"...) }

func TestInstanceStream(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		m := newManager(t, b, nil)
		topic := testkit.CreateTopic(t, b, 1)
		produce(t, b, numbers(topic, 0, 0, 5)...)
		o := jsonOptions(m)
		o.RequestTimeout = 200 * time.Millisecond
		i := create(t, m, testkit.Group(t), o)
		_, err := i.OpenStream(t.Context(), StreamOptions{Frames: plain{}})
		wantKind(t, err, apierr.IllegalState)
		ok(t, i.Assign(t.Context(), partitions(topic, 1)))
		st, err := i.OpenStream(t.Context(), StreamOptions{Frames: plain{}})
		ok(t, err)
		l := testkit.Listen(t, st.Run)
		l.Want(span(0, 5))
		produce(t, b, numbers(topic, 0, 5, 1)...)
		l.Want(span(5, 1))
		_, err = i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
		wantKind(t, err, apierr.IllegalState) // one reads at a time
		ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: TopicPartition{Topic: topic, Partition: 0}, Offset: 3}}, nil))
		l.Want(span(3, 3))
		l.End()
		ok(t, <-l.Done)
		produce(t, b, numbers(topic, 0, 6, 1)...)
		wantValues(t, readN(t, i, 1), span(6, 1))
	})
}

// Records that were written are answered, and confirmed by the next write; records that a
// client did not take are read again.
func TestInstanceStreamGivesBack(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		m := newManager(t, b, nil)
		topic := testkit.CreateTopic(t, b, 1)
		group := testkit.Group(t)
		o := jsonOptions(m)
		o.AutoCommit = true
		i := create(t, m, group, o)
		ok(t, i.Subscribe(t.Context(), []string{topic}))
		st, err := i.OpenStream(t.Context(), StreamOptions{Frames: plain{}})
		ok(t, err)
		l := testkit.Listen(t, st.Run)
		for n := range 3 {
			produce(t, b, numbers(topic, 0, n, 1)...)
			l.Want(span(n, 1))
		}
		close(l.Gone)
		produce(t, b, numbers(topic, 0, 3, 1)...)
		if err := <-l.Done; !errors.Is(err, testkit.ErrGone) {
			t.Fatalf("the stream ended with %v", err)
		}
		wantValues(t, readN(t, i, 2), span(2, 2)) // 1 was confirmed when 2 was written
		ok(t, m.Delete(t.Context(), group, i.Name()))
		if at := committedRaw(t, b, group, TopicPartition{Topic: topic, Partition: 0}); at != 4 {
			t.Errorf("committed is %d, want 4", at)
		}
	})
}

// A heartbeat confirms as well, and what is confirmed is committed at the end.
func TestInstanceStreamBeats(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	m := newManager(t, b, nil)
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 2)...)
	group := testkit.Group(t)
	o := jsonOptions(m)
	o.AutoCommit = true
	i := create(t, m, group, o)
	ok(t, i.Assign(t.Context(), partitions(topic, 1)))
	st, err := i.OpenStream(t.Context(), StreamOptions{Frames: plain{}, Heartbeat: 20 * time.Millisecond})
	ok(t, err)
	l := testkit.Listen(t, st.Run)
	l.Want(span(0, 2))
	for beats := 0; beats < 3; {
		if l.Message() == "#beat" {
			beats++
		}
	}
	m.Drain()
	ok(t, <-l.Done)
	ok(t, m.Close(t.Context()))
	if at := committedRaw(t, b, group, TopicPartition{Topic: topic, Partition: 0}); at != 2 {
		t.Errorf("committed is %d, want 2", at)
	}
}

func TestInstanceStreamEnds(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	m := newManager(t, b, nil)
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 1)...)
	open := func() (*Instance, *testkit.Listener) {
		i := newReader(t, m, topic, 1)
		st, err := i.OpenStream(t.Context(), StreamOptions{Frames: plain{}})
		ok(t, err)
		l := testkit.Listen(t, st.Run)
		l.Want(span(0, 1))
		return i, l
	}
	told := func(l *testkit.Listener, code string) {
		t.Helper()
		if text := l.Message(); !strings.HasPrefix(text, "#"+`{"error_code":`+code) {
			t.Errorf("the stream ends with %q, want %s", text, code)
		}
		ok(t, <-l.Done)
	}
	i, l := open()
	ok(t, m.Delete(t.Context(), i.Group(), i.Name()))
	told(l, "40403")
	i, l = open()
	ok(t, i.Unsubscribe(t.Context()))
	ok(t, i.Assign(t.Context(), nil))
	told(l, "40903")
	i, l = open()
	bad := numbers(topic, 0, 0, 1)
	bad[0].Value = []byte("{")
	produce(t, b, bad...)
	told(l, "40801")
	_, err := i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
	wantKind(t, err, apierr.Undecodable)
}

// Records that are passed over are no answer: they confirm nothing of what was
// written before, and do not hold up the heartbeats.
func TestInstanceStreamPassesOver(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	m := newManager(t, b, nil)
	topic := testkit.CreateTopic(t, b, 1)
	bad := func(n int) (rs []*kgo.Record) {
		for range n {
			rs = append(rs, &kgo.Record{Topic: topic, Value: append([]byte{'"'}, make([]byte, 100<<10)...)})
		}
		return rs
	}
	produce(t, b, numbers(topic, 0, 0, 1)...)
	i := newReader(t, m, topic, 1)
	open := func(heartbeat time.Duration) *testkit.Listener {
		st, err := i.OpenStream(t.Context(), StreamOptions{Frames: plain{}, Undecodable: reader.Skip, Heartbeat: heartbeat})
		ok(t, err)
		return testkit.Listen(t, st.Run)
	}
	l := open(0)
	l.Want(span(0, 1))
	produce(t, b, bad(1)...)
	testkit.Eventually(t, patience, "the stream to pass over a record", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.session.parts[TopicPartition{Topic: topic, Partition: 0}].position() == 2
	})
	close(l.Gone)
	produce(t, b, numbers(topic, 0, 2, 1)...)
	if err := <-l.Done; !errors.Is(err, testkit.ErrGone) {
		t.Fatalf("the stream ended with %v", err)
	}
	produce(t, b, bad(200)...)
	produce(t, b, numbers(topic, 0, 203, 1)...)
	l = open(100 * time.Microsecond)
	l.Want([]int{0, 2})
	beats := 0
	for text := l.Message(); text != ""; text = l.Message() {
		if text != "#beat" {
			break
		}
		beats++
	}
	if beats < 10 {
		t.Errorf("there were %d heartbeats while 20 MB were passed over", beats)
	}
}
