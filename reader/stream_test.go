package reader

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"millrace/codec"
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

// plain frames a message as a line, and marks messages that are no records.
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

// A stream that the tail has overtaken, and one that is ahead of the tail, both get everything in
// order.
func TestStreamsOfDifferentPace(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		m := newReader(t, b, nil)
		topic := testkit.CreateTopic(t, b, 2)
		open := func(offset int64) *Stream {
			s, err := m.OpenStream(t.Context(), StreamRead{Topic: topic, Partitions: []int32{0}, Offset: offset, Format: codec.JSON, Frames: plain{}})
			ok(t, err)
			return s
		}
		fast := testkit.Listen(t, open(Beginning).Run)
		slow, pace := open(Beginning), make(chan struct{})
		stalled := testkit.Listen(t, func(ctx context.Context, send func([]byte) error) error {
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
			fast.Want(span(n, 20))
		}
		close(pace)
		stalled.Want(span(0, 400))
		late := testkit.Listen(t, open(200).Run)
		late.Want(span(200, 200))
		produce(t, b, numbers(topic, 0, 400, 1)...)
		for _, l := range []*testkit.Listener{fast, stalled, late} {
			l.Want(span(400, 1))
			l.End()
			ok(t, <-l.Done)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.tails) > 0 {
			t.Errorf("%d tails are left", len(m.tails))
		}
	})
}

// A stream notices a recreated topic without being opened again: its offsets mean nothing in the
// new topic.
func TestStreamSeesARecreatedTopic(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		m := newReader(t, b, nil)
		topic := testkit.CreateTopic(t, b, 2)
		produce(t, b, numbers(topic, 0, 0, 5)...)
		s, err := m.OpenStream(t.Context(), StreamRead{Topic: topic, Offset: Beginning, Format: codec.JSON, Frames: plain{}})
		ok(t, err)
		stalled, pace := make(chan struct{}, 100), make(chan struct{})
		l := testkit.Listen(t, func(ctx context.Context, send func([]byte) error) error {
			return s.Run(ctx, func(b []byte) error {
				if bytes.Contains(b, []byte(`"value":4`)) {
					stalled <- struct{}{}
					<-pace // its topic is recreated meanwhile
				}
				return send(b)
			})
		})
		<-stalled
		testkit.RecreateTopic(t, b, topic, 1)
		produce(t, b, numbers(topic, 0, 20, 3)...)
		close(pace)
		l.Want(span(0, 5))
		if text := l.Message(); !strings.HasPrefix(text, `#{"error_code":40404,`) || !strings.HasSuffix(text, `"final":false}`) {
			t.Errorf("the stream goes on with %q", text)
		}
		l.Want(span(20, 3))
		produce(t, b, numbers(topic, 0, 23, 1)...)
		l.Want(span(23, 1))
	})
}
