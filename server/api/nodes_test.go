package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/cluster"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

const clusterSecret = "the nodes know it"

// asNode makes a stack a node of a cluster. Its lease is sixteen heartbeats long: such tests run
// beside others, and a shorter one ends early on a machine that is busy with them.
func asNode(id string) func(*stackOptions) {
	return func(o *stackOptions) {
		o.node = &cluster.Settings{
			ID: id, Topic: meeting, Replication: 1,
			Heartbeat: 250 * time.Millisecond, Lease: 4 * time.Second, Idle: time.Minute, Keys: true,
		}
		o.peer.Secret, o.node.Secret = clusterSecret, clusterSecret
		o.peer.Lease = o.node.Lease
		o.consumer.RequestTimeout = time.Second
	}
}

// joinCluster returns the node of a stack, nil if it is on its own.
func joinCluster(t testing.TB, base kafka.Settings, o *stackOptions) *cluster.Node {
	t.Helper()
	if o.node == nil {
		return nil
	}
	o.node.Logger = base.Logger
	node, err := cluster.New(base, *o.node)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// nodes starts a cluster of n.
func nodes(t *testing.T, b testkit.Broker, n int) []*stack {
	t.Helper()
	var all []*stack
	for i := range n {
		all = append(all, start(t, b, asNode(fmt.Sprintf("node-%c", 'a'+i))))
	}
	seeEachOther(t, all...)
	return all
}

// seeEachOther waits until each of all nodes of a cluster takes part and knows of the others.
func seeEachOther(t *testing.T, all ...*stack) {
	t.Helper()
	testkit.Eventually(t, 40*time.Second, "all nodes to see each other", func() bool {
		return !slices.ContainsFunc(all, func(s *stack) bool {
			st := s.node.Stats()
			return !st.Leased || st.Nodes != len(all)
		})
	})
}

// produceNumbers writes the values from, from+1, … to both partitions of a topic in turn.
func produceNumbers(t *testing.T, b testkit.Broker, topic string, from, n int) {
	t.Helper()
	cl := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	var rs []*kgo.Record
	for v := from; v < from+n; v++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: int32(v % 2), Value: fmt.Appendf(nil, "%d", v)})
	}
	if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// tally is which values were read, and how often.
type tally map[int]int

// readFrom reads once through s and counts; the caller checks the reply.
func (c tally) readFrom(t *testing.T, s *stack, path string) reply {
	t.Helper()
	r := s.do(t, "GET", path+"/records?timeout=500", "", "Accept: application/vnd.kafka.json.v2+json")
	if r.status != http.StatusOK {
		return r
	}
	var records []struct{ Value int }
	if err := json.Unmarshal([]byte(r.body), &records); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	for _, rec := range records {
		c[rec.Value]++
	}
	return r
}

// readAll reads through all nodes in turn until n values were read. A retriable error is not a
// failure.
func (c tally) readAll(t *testing.T, through []*stack, path string, n int) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for turn := 0; len(c) < n; turn++ {
		r := c.readFrom(t, through[turn%len(through)], path)
		if r.status != http.StatusOK && r.status != http.StatusServiceUnavailable {
			t.Fatalf("a read was answered %d %s", r.status, r.body)
		}
		if time.Now().After(deadline) {
			t.Fatalf("read %d of %d values; the last answer is %d %s", len(c), n, r.status, r.body)
		}
	}
}

// doMoved is [stack.do] of an instance whose node has ended: while it moves the response is 503,
// and asks to try again.
func (s *stack) doMoved(t *testing.T, method, path, body string, headers ...string) (r reply) {
	t.Helper()
	testkit.Eventually(t, 40*time.Second, "the instance to have moved", func() bool {
		r = s.do(t, method, path, body, headers...)
		return r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, `"error_code":50307`)
	})
	return r
}

func (c tally) repeated() (n int) {
	for _, times := range c {
		n += times - 1
	}
	return n
}

// drain ends a node as the program does on SIGTERM.
func (s *stack) drain(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- s.server.Shutdown(ctx) }()
	s.consumers.Drain()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := s.consumers.Close(ctx); err != nil {
		t.Error(err)
	}
	s.node.Close(ctx, true)
}

// cut makes a node stop its part in the cluster without notice. Everything else continues, its
// membership in groups included, as in a node that is cut off. Its lease ends.
func (s *stack) cut(t *testing.T) {
	t.Helper()
	s.node.Close(t.Context(), false)
	testkit.Eventually(t, 20*time.Second, "the lease to end", func() bool { return !s.node.Stats().Leased })
}

// prepare makes an instance on the first node, with a subscription or an
// assignment to both partitions of a new topic, which has n values.
func prepare(t *testing.T, all []*stack, how, more string, n int) (path, topic string) {
	t.Helper()
	b := all[0].broker
	topic = testkit.CreateTopic(t, b, 2)
	path = createConsumer(t, all[0], more)
	if how == "subscription" {
		all[0].do(t, "POST", path+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
	} else {
		all[0].do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%[1]q,"partition":0},{"topic":%[1]q,"partition":1}]}`, topic), plainV2).want(t, 204, "")
	}
	produceNumbers(t, b, topic, 0, n)
	return path, topic
}

// lossy is a proxy before a node that loses responses.
type lossy struct {
	net.Listener
	to   string
	lose atomic.Int32                  // how many answers more, notices aside
	drop atomic.Bool                   // nothing comes through, and nobody is told
	gate atomic.Pointer[chan struct{}] // holds up what comes after 40 KiB more
}

func newLossy(t *testing.T) *lossy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{Listener: ln}
	t.Cleanup(func() { ln.Close() })
	return l
}

// before puts l before a node.
func (l *lossy) before(base string) string {
	l.to = strings.TrimPrefix(base, "http://")
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go l.carry(near)
		}
	}()
	return "http://" + l.Addr().String()
}

func (l *lossy) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer far.Close()
	var notices atomic.Bool // are what was last asked
	go func() {
		piece := make([]byte, 64<<10)
		for {
			n, err := near.Read(piece)
			if err != nil {
				break
			}
			notices.Store(bytes.Contains(piece[:n], []byte("X-Millrace-Notices")))
			if !l.drop.Load() {
				_, _ = far.Write(piece[:n])
			}
		}
		far.Close()
	}()
	piece := make([]byte, 8<<10)
	for passed := 0; ; {
		n, err := far.Read(piece)
		if err != nil || !notices.Load() && l.lose.Add(-1) >= 0 {
			return
		}
		if gate := l.gate.Load(); gate != nil {
			if passed += n; passed > 40<<10 {
				<-*gate
			}
		}
		if _, err := near.Write(piece[:n]); err != nil {
			return
		}
	}
}
