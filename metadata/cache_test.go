package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// testContext ends a test that hangs well before go test does.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newCluster starts a broker in the process.
func newCluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ClusterID("c1")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// newCache returns a cache of a cluster that has responded already.
func newCache(t testing.TB, cluster *kfake.Cluster, s Settings, opts ...kgo.Opt) *Cache {
	t.Helper()
	c := startCache(t, cluster.ListenAddrs(), s, opts...)
	if err := c.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func startCache(t testing.TB, addrs []string, s Settings, opts ...kgo.Opt) *Cache {
	t.Helper()
	admin, err := kafka.NewAdmin(kafka.Settings{Brokers: addrs}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	c := New(admin, s, slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	return c
}

// inBubble runs f with a clock of its own and a network in memory, so that
// seconds pass at once and exactly.
func inBubble(t *testing.T, f func(t *testing.T, network *kfake.VirtualNetwork)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, new(kfake.VirtualNetwork)) })
}

// virtual are the options of a broker on that network, which always has the
// same address.
func virtual(network *kfake.VirtualNetwork, opts ...kfake.Opt) []kfake.Opt {
	return append([]kfake.Opt{kfake.Ports(9092), kfake.ListenFn(network.Listen)}, opts...)
}

// dialer connects over that network. Its errors have the types that they have on a real one.
func dialer(network *kfake.VirtualNetwork) kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, kind, addr string) (net.Conn, error) {
		conn, err := network.DialContext(ctx, kind, addr)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: kind, Err: err}
		}
		return pipeConn{conn}, nil
	})
}

// pipeConn gives a closed pipe the errors of a closed socket.
type pipeConn struct{ net.Conn }

func (c pipeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, reset("read", err)
}

func (c pipeConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, reset("write", err)
}

func reset(op string, err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, syscall.ECONNRESET)}
	}
	return err
}

// count counts metadata requests from now on: those about all topics, and those about one. Probes
// name none.
func count(cluster *kfake.Cluster, what string) func() int {
	var mu sync.Mutex
	n := 0
	cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req := r.(*kmsg.MetadataRequest)
		if what == "all" && req.Topics == nil || len(req.Topics) == 1 && *req.Topics[0].Topic == what {
			mu.Lock()
			n++
			mu.Unlock()
		}
		return nil, nil, false
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func wantKind(t *testing.T, err error, want *apierr.Kind) {
	t.Helper()
	if !want.Is(err) {
		t.Errorf("error is %v, want %s", err, want.Name)
	}
}

func TestSnapshot(t *testing.T) {
	cluster := newCluster(t, kfake.NumBrokers(3), kfake.SeedTopics(2, "b", "a"), kfake.SeedTopics(1, "c"))
	c := newCache(t, cluster, Settings{})
	s, err := c.Snapshot(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.ClusterID != "c1" || s.Controller < 0 || time.Since(s.Taken) > time.Minute {
		t.Errorf("cluster %q, controller %d, taken %v", s.ClusterID, s.Controller, s.Taken)
	}
	if len(s.Brokers) != 3 || s.Brokers[0].ID != 0 || s.Brokers[2].ID != 2 || s.Brokers[1].Rack == "" {
		t.Errorf("brokers %+v", s.Brokers)
	}
	if addr := net.JoinHostPort(s.Brokers[0].Host, strconv.Itoa(int(s.Brokers[0].Port))); addr != cluster.ListenAddrs()[0] {
		t.Errorf("broker 0 is at %s", addr)
	}
	if len(s.Topics) != 3 || s.Topics[0].Name != "a" || s.Topics[2].Name != "c" || len(s.Topics[1].Partitions) != 2 {
		t.Errorf("topics %+v", s.Topics)
	}
}

// TestRefresh checks that a view is cached for MaxAge and that all who wait for the next one
// share one request.
func TestRefresh(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "a"))...)
		c := newCache(t, cluster, Settings{MaxAge: 10 * time.Second}, dialer(network))
		ctx := t.Context()
		if _, err := c.Snapshot(ctx); err != nil {
			t.Fatal(err)
		}
		asked := count(cluster, "all")
		readers := func() {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if _, err := c.Snapshot(ctx); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		time.Sleep(4 * time.Second)
		readers()
		if n := asked(); n != 0 {
			t.Errorf("%d requests while the view is young enough", n)
		}
		time.Sleep(2 * time.Second) // half of MaxAge is over
		readers()
		time.Sleep(100 * time.Millisecond)
		if n := asked(); n != 1 {
			t.Errorf("%d requests for 50 readers of a view that is due for renewal", n)
		}
		time.Sleep(15 * time.Second) // no reader for so long that the refreshes stop
		if n := asked(); n > 3 {
			t.Errorf("%d requests for readers that are gone", n)
		}
		time.Sleep(time.Minute)
		before := asked()
		readers()
		if n := asked(); n != before+1 {
			t.Errorf("%d requests for 50 readers of an old view", n-before)
		}
		c.Invalidate()
		readers()
		if n := asked(); n != before+2 {
			t.Errorf("%d requests after the view was called invalid", n-before-1)
		}
	})
}

// TestProduceRefresh checks that a produce look-up of a cached topic never waits, but keeps the
// view from growing old.
func TestProduceRefresh(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "a"))...)
		c := newCache(t, cluster, Settings{}, dialer(network))
		// The first response may be a probe's. A reader that finds no view yet is a poller, for
		// whom the view is refreshed; there must be none.
		synctest.Wait()
		if c.Known().Taken.IsZero() {
			t.Fatal("no view was taken at the start")
		}
		asked := count(cluster, "all")
		gone, cancel := context.WithCancel(t.Context())
		cancel() // a look-up that waited would fail
		find := func() {
			t.Helper()
			if topic, err := c.Topic(gone, "a"); err != nil || topic.Name != "a" {
				t.Errorf("topic %v, error %v", topic, err)
			}
			synctest.Wait()
		}
		time.Sleep(29 * time.Second)
		find()
		if n := asked(); n != 0 {
			t.Errorf("%d refreshes of a view of 29 s", n)
		}
		time.Sleep(2 * time.Second)
		find()
		find()
		time.Sleep(100 * time.Millisecond)
		if n := asked(); n != 1 {
			t.Errorf("%d refreshes of a view of 31 s", n)
		}
	})
}

// TestChanges checks that moved leaders and added partitions show within MaxAge.
func TestChanges(t *testing.T) {
	cluster := newCluster(t, kfake.NumBrokers(2), kfake.SeedTopics(1, "a"))
	c := newCache(t, cluster, Settings{MaxAge: 20 * time.Millisecond})
	ctx := testContext(t)
	leader := cluster.LeaderFor("a", 0)
	if err := cluster.MoveTopicPartition("a", 0, 1-leader); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "the leader to move", func() bool {
		got, err := body(ctx, c, Query{Of: OnePartition, Topic: "a", Partition: 0})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(got), `"leader":`+strconv.Itoa(int(1-leader))+`,`)
	})

	grown := make(chan string, 8)
	c.OnGrown(func(topic string) { grown <- topic })
	req := kmsg.NewPtrCreatePartitionsRequest()
	add := kmsg.NewCreatePartitionsRequestTopic()
	add.Topic, add.Count = "a", 3
	req.Topics = append(req.Topics, add)
	if _, err := req.RequestWith(ctx, c.client); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "three partitions", func() bool {
		var got []any
		out, err := body(ctx, c, Query{Of: TopicPartitions, Topic: "a"})
		if err != nil || json.Unmarshal(out, &got) != nil {
			t.Fatal(err)
		}
		return len(got) == 3
	})
	if got := <-grown; got != "a" || len(grown) > 0 {
		t.Errorf("%q has grown, and %d others", got, len(grown))
	}
	if _, err := body(ctx, c, Query{Of: OnePartition, Topic: "a", Partition: 2}); err != nil {
		t.Error(err)
	}
}

// TestClose checks that no caller waits for a closed cache, and that it leaves no goroutine: the
// bubble fails if one is left.
func TestClose(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network)...)
		c := newCache(t, cluster, Settings{}, dialer(network))
		hang := make(chan struct{})
		cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			<-hang
			return nil, nil, false
		})
		failed := make(chan error)
		go func() {
			_, err := c.Topic(t.Context(), "new")
			failed <- err
		}()
		synctest.Wait()
		c.Close()
		wantKind(t, <-failed, apierr.Draining)
		_, err := c.Topic(t.Context(), "another")
		wantKind(t, err, apierr.Draining)
		c.Invalidate()
		close(hang)
	})
}
