package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// newBroker starts a broker in process with a topic of two partitions and writes
// "a", "b", "c" to the first and "d" to the second.
func newBroker(t *testing.T) (dial func(...kgo.Opt) (*kgo.Client, error), admin *kadm.Client) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	dial = func(opts ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append(opts, kgo.DisableClientMetrics(), kgo.SeedBrokers(c.ListenAddrs()...))...)
	}
	client, err := dial(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for i, v := range []string{"a", "b", "c", "d"} {
		r := &kgo.Record{Topic: "t", Partition: int32(i / 3), Value: []byte(v)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return dial, kadm.NewClient(client)
}

// read returns the values of spans, sorted; enough ends a partition at that value.
func read(ctx context.Context, b ReadBack, spans []Span, enough string) (values []string, err error) {
	err = b.Read(ctx, spans, func(r *kgo.Record) bool {
		values = append(values, string(r.Value))
		return string(r.Value) != enough
	})
	slices.Sort(values)
	return values, err
}

func TestReadBack(t *testing.T) {
	dial, admin := newBroker(t)
	spans, err := Extent(t.Context(), admin, "t")
	slices.SortFunc(spans, func(a, b Span) int { return int(a.Partition - b.Partition) })
	if want := []Span{{"t", 0, 0, 3}, {"t", 1, 0, 1}}; err != nil || !slices.Equal(spans, want) {
		t.Fatalf("%v, %v, want %v", spans, err, want)
	}
	if awaited, err := AwaitExtent(t.Context(), admin, "t"); err != nil || len(awaited) != len(spans) {
		t.Errorf("awaited: %v, %v", awaited, err)
	}
	b := ReadBack{Dial: dial, Patience: 10 * time.Second}
	f := func(spans []Span, enough, want string) {
		t.Helper()
		values, err := read(t.Context(), b, spans, enough)
		if got := fmt.Sprint(values); err != nil || got != want {
			t.Errorf("%v up to %q: %s, %v, want %s", spans, enough, got, err, want)
		}
	}
	f(spans, "", "[a b c d]")
	f(spans, "b", "[a b d]")
	f([]Span{{"t", 0, 1, 2}}, "", "[b]")
	f([]Span{{"t", 0, 3, 3}, {"t", 1, 5, 0}}, "", "[]")
	f(nil, "", "[]")
}

// TestReadBackStalls asks for a record that does not come, and for a read that its
// caller gives up.
func TestReadBackStalls(t *testing.T) {
	dial, admin := newBroker(t)
	b := ReadBack{Dial: dial, Patience: 200 * time.Millisecond}
	values, err := read(t.Context(), b, []Span{{"t", 0, 2, 5}}, "")
	if !errors.Is(err, ErrStalled) || fmt.Sprint(values) != "[c]" {
		t.Errorf("%v, %v", values, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(ctx, b, []Span{{"t", 0, 0, 3}}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("a read that was given up says %v", err)
	}
	if _, err := Extent(t.Context(), admin, "no such topic"); err == nil {
		t.Error("a topic that is not there has an extent")
	}
	if _, err := AwaitExtent(ctx, admin, "no such topic"); err == nil {
		t.Error("a topic that is waited for no longer has an extent")
	}
}

func TestContent(t *testing.T) {
	sum := func(values ...string) (c Content) {
		for _, v := range values {
			c.Add(1, SumOf([]byte(v)))
		}
		return c
	}
	all := sum("a", "b", "c", "a", "b", "c")
	for _, same := range []Content{sum("c", "c", "b", "b", "a", "a")} {
		if same != all {
			t.Errorf("%+v is not %+v", same, all)
		}
	}
	for _, other := range []Content{sum("a", "b", "c", "a", "b"), sum("a", "b", "c", "a", "b", "b"), sum("a", "b", "c", "a", "b", "x")} {
		if other == all {
			t.Errorf("%+v is taken for the same", other)
		}
	}
}
