//go:build !race

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"millrace/internal/lab"
	"millrace/internal/testkit"
)

// maxAllocs is what a produce request may allocate where many share a request to Kafka, with all
// libraries included, in v2's envelope and as lines. A request of 1000 records, of 200 KB, makes
// about 0.4 requests to Kafka under load.
const maxAllocs = 6

// The parts of a request may allocate, whatever the number of its records:
//
//   - an HTTP request: one allocation, which the HTTP library makes for the stream of a body. The
//     router would make three more for the path parameter, hence server/frequent.go;
//   - a Kafka request: 9 with any number of record batches, all inside the Kafka client, 3 of
//     them for the hooks that metrics are counted by.
//
// Both with a tenth on top.
const (
	maxAllocsHTTP  = 1.1
	maxAllocsKafka = 9.9
)

// load is how produce requests are sent, and what each may come to.
type load struct {
	records, conns   int
	maxKafkaRequests float64 // for each HTTP request
	maxAllocs        float64 // 0: as the Kafka requests allow
}

// Each HTTP request that is sent alone makes one Kafka request. Under load, requests share.
var loads = []load{
	{1, 1, 1.25, 0},
	{10, 1, 1.25, 0},
	{100, 1, 1.25, 0},
	{1000, 1, 1.25, 0},
	{1, 64, 0.2, maxAllocs},
	{10, 64, 0.2, maxAllocs},
	{100, 32, 0.2, maxAllocs},
	{1000, 16, 1, maxAllocs},
}

// broken says what a request exceeds; nothing if it does not.
func (l load) broken(got perRequest) (why string) {
	if budget := maxAllocsHTTP + maxAllocsKafka*got.kafkaRequests; got.allocs > budget {
		why += fmt.Sprintf(" over the budget of %.2f for as many Kafka requests;", budget)
	}
	if got.kafkaRequests > l.maxKafkaRequests {
		why += fmt.Sprintf(" more Kafka requests than %.2f;", l.maxKafkaRequests)
	}
	if l.maxAllocs > 0 && got.allocs > l.maxAllocs {
		why += fmt.Sprintf(" over %.0f allocations;", l.maxAllocs)
	}
	return why
}

// The whole node allocates a bounded number of times a request and never a
// record: HTTP server, codec, batch, metadata cache, Kafka client, over real
// sockets. The broker is another process and the client allocates nothing.
func TestProduceAllocationBudget(t *testing.T) {
	testkit.Long(t)
	s := startStack(t, startBlackhole(t), routesFile(t))
	values, err := realValues(distinctValues, 200)
	if err != nil {
		t.Fatal(err)
	}
	for form, client := range forms {
		for _, l := range loads {
			if form == "rules" { // which take CPU, so that fewer requests meet
				l.maxKafkaRequests, l.maxAllocs = 1.25, 0
			}
			each := max(min(2000, 200_000/l.records)/l.conns, 20)
			got, why := produceAllocs(t, s, l, each, func() *rawClient { return client(t, s.addr, values, l.records) })
			t.Logf("%5s, %4d records, %2d connections: %5.2f allocations a request (%.4f a record), %.2f Kafka requests a request",
				form, l.records, l.conns, got.allocs, got.allocs/float64(l.records), got.kafkaRequests)
			if why != "" {
				t.Errorf("%s, %d records, %d connections: %.2f allocations a request with %.2f Kafka requests:%s", form, l.records, l.conns, got.allocs, got.kafkaRequests, why)
			}
		}
	}
}

// forms are how records stand in a request.
var forms = map[string]func(t testing.TB, addr string, values [][]byte, n int) *rawClient{
	"v2": newRawClient, "lines": newLinesClient, "rules": newRouteClient,
}

// perRequest is what an HTTP request came to.
type perRequest struct{ allocs, kafkaRequests float64 }

// produceAllocs has every connection send each requests, and says what is broken if it is every
// time that it tries. A code path that allocates more than it should does so always. Other work
// of a process, such as a refresh of metadata, shows only now and then, as does a busy machine
// on which requests do not meet. The garbage collector is off, as it empties pools when it
// likes.
func produceAllocs(t *testing.T, s *stack, l load, each int, client func() *rawClient) (got perRequest, why string) {
	t.Helper()
	const tries = 10
	clients := make([]*rawClient, l.conns)
	for i := range clients {
		clients[i] = client()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range tries {
		runtime.GC()
		sendAll(t, clients, max(each/4, 20)) // pools and maps fill
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sent := s.kafkaRequests.Load()
		sendAll(t, clients, each)
		sent = s.kafkaRequests.Load() - sent
		runtime.ReadMemStats(&after)
		total := float64(each * l.conns)
		got = perRequest{float64(after.Mallocs-before.Mallocs) / total, float64(sent) / total}
		if why = l.broken(got); why == "" {
			break
		}
	}
	for _, c := range clients {
		_ = c.conn.Close()
	}
	return got, why
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

// BenchmarkProduce is for profiles, as it has the whole node in the process:
//
//	go test ./bench -run '^$' -bench 'Produce/v2/records=100$' -benchtime 5s -cpuprofile cpu.out
//
// The client costs what its system calls cost. For figures run the program.
func BenchmarkProduce(b *testing.B) {
	values, err := realValues(distinctValues, 200)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 10, 100, 1000} {
		for form, client := range forms {
			b.Run(fmt.Sprintf("form=%s/records=%d", form, n), func(b *testing.B) {
				s := startStack(b, startBlackhole(b), routesFile(b))
				clients := make([]*rawClient, connections(n))
				for i := range clients {
					clients[i] = client(b, s.addr, values, n)
				}
				sendAll(b, clients, 20)
				b.ReportAllocs()
				b.SetBytes(int64(len(clients[0].request)))
				b.ResetTimer()
				began := lab.ProcessCPU()
				sendAll(b, clients, (b.N+len(clients)-1)/len(clients))
				b.ReportMetric(float64((lab.ProcessCPU()-began).Nanoseconds())/float64(b.N*n), "cpu-ns/record")
				b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}
