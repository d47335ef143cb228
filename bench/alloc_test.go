//go:build !race

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

// What a produce request may allocate, with all libraries included and whatever
// the number of its records. It has two parts, because how many HTTP requests
// share a Kafka request depends on how busy machine and broker are, and what
// each of both costs does not:
//
//   - an HTTP request: 2 allocations, both the router's, for the path parameter;
//   - a Kafka request: 39 with one record batch, all inside the Kafka client, 3 of
//     them for the hooks that metrics are counted by.
//
// Both with a tenth on top.
const (
	maxAllocsHTTP  = 2.2
	maxAllocsKafka = 43.0
)

// goalAllocs is what a request should come to altogether. It is shown, not
// held: a lone connection, whose every request is a Kafka request of its own,
// cannot reach it with this Kafka client.
const goalAllocs = 12

// The whole proxy allocates a bounded number of times a request and never a
// record: HTTP server, codec, batch, metadata cache, Kafka client, over real
// sockets. The broker is another process and the client allocates nothing.
func TestProduceAllocationBudget(t *testing.T) {
	s := startStack(t, startBlackhole(t))
	values, err := realValues(distinctValues, 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 10, 100, 1000} {
		for _, conns := range []int{1, connections(n)} {
			got := produceAllocs(t, s, n, conns, func() *rawClient { return newRawClient(t, s.addr, values, n) })
			budget := maxAllocsHTTP + maxAllocsKafka*got.kafkaRequests
			note := ""
			if got.allocs > goalAllocs {
				note = fmt.Sprintf(", over the goal of %d", goalAllocs)
			}
			t.Logf("%4d records, %2d connections: %5.2f allocations a request (%.4f a record), %.2f Kafka requests a request%s",
				n, conns, got.allocs, got.allocs/float64(n), got.kafkaRequests, note)
			if got.allocs > budget {
				t.Errorf("%d records, %d connections: %.2f allocations a request, budget %.2f", n, conns, got.allocs, budget)
			}
		}
	}
}

// perRequest is what an HTTP request came to.
type perRequest struct{ allocs, kafkaRequests float64 }

// produceAllocs counts: the run of the least allocations of a few, because what
// else happens in a process, such as a refresh of metadata, comes on top of
// some. The garbage collector is off, as it empties pools when it likes.
func produceAllocs(t *testing.T, s *stack, records, conns int, client func() *rawClient) (least perRequest) {
	t.Helper()
	const runs = 3
	each := max(min(2000, 200_000/records)/conns, 20)
	clients := make([]*rawClient, conns)
	for i := range clients {
		clients[i] = client()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for run := range runs {
		runtime.GC()
		sendAll(t, clients, max(each/4, 20)) // pools and maps fill
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sent := s.kafkaRequests.Load()
		sendAll(t, clients, each)
		sent = s.kafkaRequests.Load() - sent
		runtime.ReadMemStats(&after)
		total := float64(each * conns)
		got := perRequest{float64(after.Mallocs-before.Mallocs) / total, float64(sent) / total}
		if run == 0 || got.allocs < least.allocs {
			least = got
		}
	}
	for _, c := range clients {
		_ = c.conn.Close()
	}
	return least
}

// sendAll has every client send n requests, all at the same time.
func sendAll(t testing.TB, clients []*rawClient, n int) {
	t.Helper()
	var all sync.WaitGroup
	errs := make(chan error, len(clients))
	for _, c := range clients {
		all.Go(func() {
			for range n {
				if err := c.send(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
}

// BenchmarkProduce is for profiles, as it has the whole proxy in the process:
//
//	go test ./bench -run '^$' -bench 'Produce/json/200/records=100$' -benchtime 5s -cpuprofile cpu.out
//
// The client costs what its system calls cost. For figures run the program.
func BenchmarkProduce(b *testing.B) {
	values, err := realValues(distinctValues, 200)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("format=json/value=200/records=%d", n), func(b *testing.B) {
			s := startStack(b, startBlackhole(b))
			clients := make([]*rawClient, connections(n))
			for i := range clients {
				clients[i] = newRawClient(b, s.addr, values, n)
			}
			sendAll(b, clients, 20)
			b.ReportAllocs()
			b.SetBytes(int64(len(clients[0].request)))
			b.ResetTimer()
			sendAll(b, clients, (b.N+len(clients)-1)/len(clients))
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
