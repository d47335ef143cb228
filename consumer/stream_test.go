package consumer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

func TestPositions(t *testing.T) {
	f := func(want string, set ...int64) { // pairs of partition and offset
		t.Helper()
		a := positionsIn("t.1", [16]byte{1, 2, 3, 4, 5})
		for n := 0; n < len(set); n += 2 {
			a.Set(int32(set[n]), set[n+1])
		}
		got := string(a.Append([]byte("id ")))
		if want != "" {
			want = "t.1/AQIDBA/" + want
		}
		if got != "id "+want {
			t.Errorf("%v: %q, want %q", set, got, want)
		}
		if want == "" {
			return
		}
		again, err := ParsePositions(want)
		ok(t, err)
		if !slices.Equal(again.next, a.next) || !again.sameTopic(&a) {
			t.Errorf("%q is read as %v, not %v", want, again.next, a.next)
		}
	}
	f("")
	f("0", 0, 0)
	f("a", 0, 10)
	f("0.1.2", 0, 0, 1, 1, 2, 2)
	f("0.1.z", 2, 35, 0, 0, 1, 1)
	f("3:5.7:0.1", 3, 5, 7, 0, 8, 1)
	f("0.1y2p0ij32e8e7", 0, 0, 1, 1<<63-1)
	f("b.7.9", 0, 1, 1, 7, 2, 8, 2, 9, 0, 11)
	for _, bad := range []string{"0", "t/0", "/0", "t//0/", "t/a/b/0", ""} {
		if a, err := ParsePositions(bad); err == nil {
			t.Errorf("%q is read as %v", bad, a)
		}
	}
	for _, bad := range []string{"", ".", "1.", "-1", "1:", ":1", "5:1.3:1", "x:1", "1:2:3", "100000:1", "99999:1.1", "1y2p0ij32e8e8", "0 ", "a b"} {
		if a, err := ParsePositions("t//" + bad); err == nil {
			t.Errorf("%q is read as %v", bad, a.next)
		}
	}
}

func FuzzParsePositions(f *testing.F) {
	for _, seed := range []string{"t//0", "t/Yk3x-T/5k.0.1zz", "t//3:5k.7:0.1", "t//99999:0", "t/a/.", "//:", "0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParsePositions(text)
		if err != nil {
			return
		}
		written := a.Append(nil)
		b, err := ParsePositions(string(written))
		if err != nil || !slices.Equal(a.next, b.next) || !a.sameTopic(b) {
			t.Errorf("%q is written as %q, which is %v, not %v: %v", text, written, b, a.next, err)
		}
	})
}

// plain frames a message as a line, and marks what is no record.
type plain struct{}

func (plain) Begin(dst []byte, _ *Positions) []byte { return append(dst, "#begin\n"...) }
func (plain) Open(dst []byte, failure bool, _ *Positions) []byte {
	if failure {
		return append(dst, '#')
	}
	return dst
}
func (plain) Close(dst []byte) []byte              { return append(dst, '\n') }
func (plain) Beat(dst []byte, _ *Positions) []byte { return append(dst, "#beat\n"...) }

// listener takes a stream in.
type listener struct {
	t    *testing.T
	in   chan string // what was sent, message by message
	gone chan struct{}
	done chan error
	end  context.CancelFunc
}

var errGone = errors.New("the client is gone")

func listen(t *testing.T, run func(ctx context.Context, send func([]byte) error) error) *listener {
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{t: t, in: make(chan string, 100_000), gone: make(chan struct{}), done: make(chan error, 1), end: cancel}
	go func() {
		l.done <- run(ctx, func(b []byte) error {
			select {
			case <-l.gone:
				return errGone
			default:
			}
			for line := range bytes.Lines(b) {
				l.in <- string(bytes.TrimSuffix(line, []byte{'\n'}))
			}
			return nil
		})
	}()
	t.Cleanup(cancel)
	return l
}

// message is the next one; "" after patience.
func (l *listener) message() string {
	select {
	case m := <-l.in:
		return m
	case <-time.After(patience):
		return ""
	}
}

// want fails unless the next records have these values.
func (l *listener) want(values []int) {
	l.t.Helper()
	for _, v := range values {
		text := l.message()
		for text == "#begin" || text == "#beat" {
			text = l.message()
		}
		var r record
		if err := json.Unmarshal([]byte(text), &r); err != nil || string(r.Value) != fmt.Sprint(v) {
			l.t.Fatalf("the stream has %q, want the value %d", text, v)
		}
	}
}

func TestInstanceStream(t *testing.T) {
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
		l := listen(t, st.Run)
		l.want(span(0, 5))
		produce(t, b, numbers(topic, 0, 5, 1)...)
		l.want(span(5, 1))
		_, err = i.AppendRecords(t.Context(), nil, ReadOptions{})
		wantKind(t, err, apierr.IllegalState) // one reads at a time
		ok(t, i.Seek(t.Context(), []Offset{{TopicPartition: TopicPartition{topic, 0}, Offset: 3}}, nil))
		l.want(span(3, 3))
		l.end()
		ok(t, <-l.done)
		produce(t, b, numbers(topic, 0, 6, 1)...)
		wantValues(t, readN(t, i, 1), span(6, 1))
	})
}

// What was written is answered, and confirmed by what is written after it; what
// a client did not take is read again.
func TestInstanceStreamGivesBack(t *testing.T) {
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
		l := listen(t, st.Run)
		for n := range 3 {
			produce(t, b, numbers(topic, 0, n, 1)...)
			l.want(span(n, 1))
		}
		close(l.gone)
		produce(t, b, numbers(topic, 0, 3, 1)...)
		if err := <-l.done; !errors.Is(err, errGone) {
			t.Fatalf("the stream ended with %v", err)
		}
		wantValues(t, readN(t, i, 2), span(2, 2)) // 1 was confirmed when 2 was written
		ok(t, m.Delete(t.Context(), group, i.Name()))
		if at := committedRaw(t, b, group, TopicPartition{topic, 0}); at != 4 {
			t.Errorf("committed is %d, want 4", at)
		}
	})
}

// A heartbeat confirms as well, and what is confirmed is committed at the end.
func TestInstanceStreamBeats(t *testing.T) {
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
	l := listen(t, st.Run)
	l.want(span(0, 2))
	for beats := 0; beats < 3; {
		if l.message() == "#beat" {
			beats++
		}
	}
	m.Drain()
	ok(t, <-l.done)
	ok(t, m.Close(t.Context()))
	if at := committedRaw(t, b, group, TopicPartition{topic, 0}); at != 2 {
		t.Errorf("committed is %d, want 2", at)
	}
}

func TestInstanceStreamEnds(t *testing.T) {
	b := testkit.Fake(t).Broker
	m := newManager(t, b, nil)
	topic := testkit.CreateTopic(t, b, 1)
	produce(t, b, numbers(topic, 0, 0, 1)...)
	open := func() (*Instance, *listener) {
		i := newReader(t, m, topic, 1)
		st, err := i.OpenStream(t.Context(), StreamOptions{Frames: plain{}})
		ok(t, err)
		l := listen(t, st.Run)
		l.want(span(0, 1))
		return i, l
	}
	told := func(l *listener, code string) {
		t.Helper()
		if text := l.message(); !strings.HasPrefix(text, "#"+`{"error_code":`+code) {
			t.Errorf("the stream ends with %q, want %s", text, code)
		}
		ok(t, <-l.done)
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
	_, err := i.AppendRecords(t.Context(), nil, ReadOptions{})
	wantKind(t, err, apierr.Undecodable)
}

// A stream that was overtaken by the tail of its topic, and one that the tail
// is behind, both get everything in order.
func TestStreamsOfDifferentPace(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		m := newManager(t, b, nil)
		topic := testkit.CreateTopic(t, b, 2)
		open := func(offset int64) *Stream {
			s, err := m.OpenStream(t.Context(), StreamRead{Topic: topic, Partitions: []int32{0}, Offset: offset, Format: codec.JSON, Frames: plain{}})
			ok(t, err)
			return s
		}
		fast := listen(t, open(Beginning).Run)
		slow, pace := open(Beginning), make(chan struct{})
		stalled := listen(t, func(ctx context.Context, send func([]byte) error) error {
			return slow.Run(ctx, func(b []byte) error {
				select {
				case <-pace:
				case <-ctx.Done():
				}
				return send(b)
			})
		})
		padding := strings.Repeat(" ", 20<<10)
		for n := 0; n < 400; n += 20 { // 8 MB, four times what a tail holds
			rs := numbers(topic, 0, n, 20)
			for _, r := range rs {
				r.Value = append([]byte(padding), r.Value...)
			}
			produce(t, b, rs...)
			fast.want(span(n, 20))
		}
		close(pace)
		stalled.want(span(0, 400))
		late := listen(t, open(200).Run)
		late.want(span(200, 200))
		produce(t, b, numbers(topic, 0, 400, 1)...)
		for _, l := range []*listener{fast, stalled, late} {
			l.want(span(400, 1))
			l.end()
			ok(t, <-l.done)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.tails) > 0 {
			t.Errorf("%d tails are left", len(m.tails))
		}
	})
}

// Records that are passed over are no answer: they confirm nothing of what was
// written before, and do not hold up the heartbeats.
func TestInstanceStreamPassesOver(t *testing.T) {
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
	open := func(heartbeat time.Duration) *listener {
		st, err := i.OpenStream(t.Context(), StreamOptions{Frames: plain{}, Undecodable: Skip, Heartbeat: heartbeat})
		ok(t, err)
		return listen(t, st.Run)
	}
	l := open(0)
	l.want(span(0, 1))
	produce(t, b, bad(1)...)
	testkit.Eventually(t, patience, "the stream to pass over a record", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.session.parts[TopicPartition{topic, 0}].position() == 2
	})
	close(l.gone)
	produce(t, b, numbers(topic, 0, 2, 1)...)
	if err := <-l.done; !errors.Is(err, errGone) {
		t.Fatalf("the stream ended with %v", err)
	}
	produce(t, b, bad(200)...)
	produce(t, b, numbers(topic, 0, 203, 1)...)
	l = open(100 * time.Microsecond)
	l.want([]int{0, 2})
	beats := 0
	for text := l.message(); text != ""; text = l.message() {
		if text != "#beat" {
			break
		}
		beats++
	}
	if beats < 10 {
		t.Errorf("there were %d heartbeats while 20 MB were passed over", beats)
	}
}

// A stream does not have to be opened again to see that the topic is another
// one: its offsets mean nothing in that.
func TestStreamSeesARecreatedTopic(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		m := newManager(t, b, nil)
		topic := testkit.CreateTopic(t, b, 2)
		produce(t, b, numbers(topic, 0, 0, 5)...)
		s, err := m.OpenStream(t.Context(), StreamRead{Topic: topic, Offset: Beginning, Format: codec.JSON, Frames: plain{}})
		ok(t, err)
		stalled, pace := make(chan struct{}, 100), make(chan struct{})
		l := listen(t, func(ctx context.Context, send func([]byte) error) error {
			return s.Run(ctx, func(b []byte) error {
				if bytes.Contains(b, []byte(`"value":4`)) {
					stalled <- struct{}{}
					<-pace // its topic goes behind its back
				}
				return send(b)
			})
		})
		<-stalled
		admin := kadm.NewClient(testkit.Client(t, b))
		_, err = admin.DeleteTopics(t.Context(), topic)
		ok(t, err)
		testkit.Eventually(t, patience, "the topic to be created again", func() bool {
			_, err := admin.CreateTopic(t.Context(), 1, 1, nil, topic)
			return err == nil
		})
		produce(t, b, numbers(topic, 0, 20, 3)...)
		close(pace)
		l.want(span(0, 5))
		if text := l.message(); !strings.HasPrefix(text, `#{"error_code":40404,`) || !strings.HasSuffix(text, `"final":false}`) {
			t.Errorf("the stream goes on with %q", text)
		}
		l.want(span(20, 3))
		produce(t, b, numbers(topic, 0, 23, 1)...)
		l.want(span(23, 1))
	})
}
