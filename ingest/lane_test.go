package ingest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
	"millrace/metrics"
	"millrace/pool"
	"millrace/spool"
)

// noBroker is a client that nothing is sent by.
type noBroker struct{ batch.Client }

// Close implements [batch.Client].
func (noBroker) Close() {}

// lanes is a forwarder whose Kafka has no topics: what it sends comes into the folder dead.
func lanes(t *testing.T, dir string) *forwarder {
	t.Helper()
	open := func() *spool.Spool {
		s, err := spool.Open(t.TempDir(), spool.Settings{MaxBytes: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	in := &Ingest{spool: open(), dead: open(), log: slog.New(slog.DiscardHandler), figures: &metrics.Ingest{}}
	in.producer = batch.New(noBroker{}, nil, batch.Cluster{
		Healthy: func() error { return nil },
		Topic: func(context.Context, string) (string, int32, error) {
			return "", 0, apierr.TopicNotFound.New("There is no such topic.")
		},
	}, batch.Settings{BufferBytes: 64 << 20, Timeout: time.Second, BatchBytes: 1 << 20}, kafka.DefaultProducer())
	t.Cleanup(func() { _ = in.producer.Close(context.Background()) })
	in.forwarder = &forwarder{in: in, dir: dir, patience: patience, lanes: map[string]*lane{}}
	in.SetRoutes(nil)
	return in.forwarder
}

// entryOf returns an entry of one record.
func entryOf(topic, value string) []byte {
	return appendRecords(nil, topic, "route", []kgo.Record{{Value: []byte(value), Partition: -1}}, time.Now())
}

// sent returns the values that the forwarder has sent.
func sent(t *testing.T, f *forwarder) (all []string) {
	t.Helper()
	for {
		e, ok, err := f.in.dead.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		_, records, err := headOfEntry(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		var slab pool.Slab
		for records.next(&slab, false) {
		}
		for _, r := range slab.Records {
			all = append(all, string(r.Value))
		}
	}
}

// A topic is set aside whose lane has events that an earlier process left, and that could not be
// read when this one began: they are sent, and so is what came behind them.
func TestSetAsideBehindOthers(t *testing.T) {
	f := lanes(t, t.TempDir())
	l, err := f.openLane("topic")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.spool.Append(entryOf("topic", "1")); err != nil {
		t.Fatal(err)
	}
	if err := l.spool.Close(); err != nil {
		t.Fatal(err)
	}
	s := &share{topic: "topic", entries: [][]byte{entryOf("topic", "2")}, over: make(chan struct{})}
	if !f.setAside(t.Context(), s) {
		t.Fatal("the topic is not set aside")
	}
	close(s.over) // Kafka has taken it
	f.done.Wait()
	if got := strings.Join(sent(t, f), " "); got != "1 2" {
		t.Errorf("%q is sent, want 1 and, once more, 2", got)
	}
}

// A topic for whose events there was no room on the disk is set aside when there is.
func TestSetAsideOnAFullDisk(t *testing.T) {
	disk := testkit.SmallDisk(t, 4<<20)
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 7<<19), 0o600); err != nil {
		t.Fatal(err)
	}
	f := lanes(t, filepath.Join(disk, "aside"))
	s := &share{topic: "topic", entries: [][]byte{entryOf("topic", strings.Repeat("x", 1<<20))}, over: make(chan struct{})}
	if f.setAside(t.Context(), s) {
		t.Fatal("the topic is set aside on a full disk")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if !f.setAside(t.Context(), s) {
		t.Error("the topic is not set aside though there is room")
	}
	close(s.over)
	f.done.Wait()
}

// The end of forwarding does not wait for Kafka for longer than it is told to, and sets nothing
// aside: what is in the spool would come twice.
func TestForwardingEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := lanes(t, t.TempDir())
		if err := f.in.producer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{})
		f.in.producer = batch.New(noBroker{}, nil, batch.Cluster{
			Healthy: func() error { return nil },
			Topic: func(ctx context.Context, _ string) (string, int32, error) {
				close(asked)
				<-ctx.Done() // with the producer
				return "", 0, apierr.NotWritten.Err()
			},
		}, batch.Settings{BufferBytes: 64 << 20, Timeout: time.Second, BatchBytes: 1 << 20}, kafka.DefaultProducer())
		stop := f.in.Start()
		if err := f.in.spool.Append(entryOf("topic", "1")); err != nil {
			t.Fatal(err)
		}
		<-asked
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := stop(over); !errors.Is(err, context.Canceled) {
			t.Errorf("the end waits for what is on its way, or says that nothing is: %v", err)
		}
		if err := f.in.spool.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * patience)
		if f.lane("topic") != nil {
			t.Error("the topic is set aside")
		}
		if err := f.in.producer.Close(over); err != nil {
			t.Error(err)
		}
		if f.done.Wait(); f.in.spool.Stats().Entries != 1 {
			t.Error("the event is not kept for the next process")
		}
	})
}

// Events before a segment that the disk does not read are forwarded, and none behind it.
func TestForwardsUpToWhatCannotBeRead(t *testing.T) {
	f, dir := lanes(t, t.TempDir()), t.TempDir()
	s, err := spool.Open(dir, spool.Settings{MaxBytes: 1 << 20, SegmentBytes: 1}) // each entry has a segment
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, value := range []string{"1", "2", "3"} {
		if err := s.Append(entryOf("topic", value)); err != nil {
			t.Fatal(err)
		}
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.segment"))
	if err != nil || len(segments) != 3 {
		t.Fatalf("%v %v", segments, err)
	}
	unread := segments[2]
	if err := os.Rename(unread, unread+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(unread, 0o700); err != nil { // which cannot be read like a file
		t.Fatal(err)
	}
	r, err := f.gather(t.Context(), s, maxRound)
	if err != nil || len(r) != 1 || len(r[0].entries) != 2 {
		t.Fatalf("%d shares are gathered, %v", len(r), err)
	}
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	if r, err := f.gather(t.Context(), s, maxRound); err == nil {
		t.Errorf("%d shares are gathered of what cannot be read", len(r))
	}
}
