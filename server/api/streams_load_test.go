package api_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
	"millrace/reader"
)

// A client that does not read blocks its own stream and nothing else: little is read for it, and
// its connection is closed in the end.
func TestStreamToASlowClient(t *testing.T) {
	testkit.Long(t)
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	const records, each = 200, 400 << 10
	value := []byte(`"` + strings.Repeat("x", each) + `"`)
	writer := testkit.Client(t, b)
	for range records {
		if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var answered atomic.Int64
	s := start(t, b, func(o *stackOptions) {
		o.server.WriteTimeout = 3 * time.Second
		o.read = func(r reader.Returned) { answered.Add(int64(r.Bytes)) }
	})
	c := s.raw(t)
	if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	before := heap()
	fmt.Fprintf(c, "GET /topics/%s/stream?from=beginning HTTP/1.1\r\nHost: h\r\n\r\n", topic)
	testkit.Eventually(t, 20*time.Second, "the stream", func() bool { return s.streams(t) == 1 })
	fast := s.follow(t, "/topics/"+topic+"/stream?from=beginning")
	for range records {
		if !fast.in.Scan() || len(fast.in.Bytes()) < len(value) {
			t.Fatalf("the other client got %.100s, %v", fast.in.Text(), fast.in.Err())
		}
	}
	alone := answered.Load() - records*int64(len(value))
	if alone > 20<<20 {
		t.Errorf("%d bytes were read for a client that takes none", alone)
	}
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("%d bytes are held for a client that takes none", grown)
	}
	fast.close()
	testkit.Eventually(t, 20*time.Second, "the end of both streams", func() bool {
		s.put(t, topic, 1)
		return s.streams(t) == 0
	})
}

// A drain does not wait for a client that does not read.
func TestDrainWithASlowStream(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	writer := testkit.Client(t, b)
	for range 40 {
		if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(`"` + strings.Repeat("x", 900<<10) + `"`)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var answered atomic.Int64
	s := start(t, b, func(o *stackOptions) {
		o.read = func(r reader.Returned) { answered.Add(int64(r.Records)) }
	})
	fmt.Fprintf(s.raw(t), "GET /topics/%s/stream?from=beginning HTTP/1.1\r\nHost: h\r\n\r\n", topic)
	var before int64 = -1
	testkit.Eventually(t, 20*time.Second, "the stream to stall", func() bool {
		was := before
		before = answered.Load()
		return before > 0 && before == was && s.streams(t) == 1
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// heap returns the bytes in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Hundreds of streams of a topic share their wait at the brokers, and leave no goroutine or
// memory behind.
func TestManyStreams(t *testing.T) {
	testkit.Long(t)
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	s := start(t, b)
	// The memory that the process holds after the first stream stays.
	first := s.follow(t, "/topics/"+topic+"/stream?from=beginning")
	s.put(t, topic, 0)
	first.want(0)
	first.close()
	testkit.Eventually(t, 20*time.Second, "the end of the first stream", func() bool {
		s.put(t, topic, 0)
		return s.streams(t) == 0
	})
	before, clients := runtime.NumGoroutine(), running("updateMetadataLoop")
	const streams, records = 200, 20
	var open []*follower
	for range streams {
		open = append(open, s.follow(t, "/topics/"+topic+"/stream", sse))
	}
	// One goroutine here, and two and a context's in our own client.
	if n := runtime.NumGoroutine() - before; n > streams*5+50 {
		t.Errorf("%d streams take %d goroutines", streams, n)
	}
	var all sync.WaitGroup
	for _, f := range open {
		all.Go(func() {
			seen := make(map[string]bool)
			for len(seen) < records {
				e, ok := f.next()
				if !ok || seen[string(e.Value)] {
					t.Errorf("%q is the end, or comes twice", e.text)
					return
				}
				seen[string(e.Value)] = true
			}
		})
	}
	for n := range records {
		s.put(t, topic, n+1)
	}
	all.Wait()
	for _, f := range open {
		f.close()
	}
	testkit.Eventually(t, 30*time.Second, "the end of all", func() bool {
		s.put(t, topic, 0)
		return s.streams(t) == 0 && running("millrace/consumer.(*tail)") == 0 && running("updateMetadataLoop") <= clients
	})
}

// running returns how many goroutines have a function of that name on their stack.
func running(name string) (n int) {
	buf := make([]byte, 8<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, name+"(") || strings.Contains(stack, name+".") {
			n++
		}
	}
	return n
}
