//go:build !race

package main

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"millrace/internal/lab"
)

// recordsClient sends records of v3 on one stream, as a chunk for each record or for many, and
// allocates nothing. Its sends and reads may be of different goroutines.
type recordsClient struct {
	conn  net.Conn
	piece []byte
	n     int // records of a piece
	buf   []byte
	end   []byte // of what was read, behind the last whole result
}

var resultEnd = []byte("}}\r\n")

// recordsForm is the format of values, and how many records are a chunk.
type recordsForm struct {
	format   string
	perChunk int
}

// newRecordsClient begins a stream whose pieces have n records of values.
func newRecordsClient(t testing.TB, addr string, values [][]byte, n int, form recordsForm) *recordsClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	kind := map[string]string{"json": "JSON", "binary": "BINARY"}[form.format]
	var piece, chunk []byte
	for i := range n {
		chunk = append(appendDatum(append(chunk, `{"value":{"type":"`+kind+`","data":`...), values[i%len(values)], form.format), "}}\n"...)
		if (i+1)%form.perChunk == 0 || i+1 == n {
			piece = append(fmt.Appendf(piece, "%x\r\n", len(chunk)), chunk...)
			piece, chunk = append(piece, "\r\n"...), chunk[:0]
		}
	}
	id, err := clusterID(addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST /v3/clusters/%s/topics/%s/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", id, blackholeTopic); err != nil {
		t.Fatal(err)
	}
	c := &recordsClient{conn: conn, piece: piece, n: n, buf: make([]byte, 64<<10)}
	if k, err := conn.Read(c.buf); err != nil || !bytes.HasPrefix(c.buf[:k], okStatus) {
		t.Fatalf("%v, %.300s", err, c.buf[:k])
	}
	return c
}

// clusterID asks a node for the id of its cluster, by the answer to one that is wrong.
func clusterID(addr string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v3/clusters/none/topics/t/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	_, id, found := bytes.Cut(buf[:n], []byte(`this node serves \"`))
	id, _, _ = bytes.Cut(id, []byte(`\`))
	if !found {
		return "", fmt.Errorf("no id of a cluster in %.500s, %w", buf[:n], err)
	}
	return string(id), nil
}

// send sends a piece and reads its results, which must be successes.
func (c *recordsClient) send() error {
	if _, err := c.conn.Write(c.piece); err != nil {
		return err
	}
	return c.read(c.n)
}

// read reads the results of n records.
func (c *recordsClient) read(n int) error {
	for n > 0 {
		k, err := c.conn.Read(c.buf[len(c.end):])
		if err != nil {
			return err
		}
		got := c.buf[:len(c.end)+k]
		n -= bytes.Count(got, resultEnd)
		if bytes.Contains(got, []byte(`"message"`)) {
			return fmt.Errorf("a record failed: %.500s", got)
		}
		keep := min(len(resultEnd)-1, len(got))
		if bytes.HasSuffix(got, resultEnd) {
			keep = 0
		}
		c.end = c.buf[:copy(c.buf, got[len(got)-keep:])]
	}
	return nil
}

// A stream allocates no more for many records than for few: a bounded number of times for each row
// of records that arrives together, and for each request to Kafka.
func TestStreamAllocationBudget(t *testing.T) {
	s := startStack(t, startBlackhole(t))
	values, err := realValues(distinctValues, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, format := range []string{"json", "binary"} {
		for _, records := range []int{1, 100, 1000} {
			c := newRecordsClient(t, s.addr, values, records, recordsForm{format, records})
			pieces := max(20_000/records, 50)
			var got perRequest
			budget := 0.0
			for range 10 {
				runtime.GC()
				for range max(pieces/4, 20) {
					if err := c.send(); err != nil {
						t.Fatal(err)
					}
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				sent := s.kafkaRequests.Load()
				for range pieces {
					if err := c.send(); err != nil {
						t.Fatal(err)
					}
				}
				runtime.ReadMemStats(&after)
				got = perRequest{float64(after.Mallocs-before.Mallocs) / float64(pieces), float64(s.kafkaRequests.Load()-sent) / float64(pieces)}
				// A record that is cut off at the end of what has arrived costs an error.
				budget = 1 + float64(len(c.piece)/(16<<10)) + maxAllocsKafka*got.kafkaRequests
				if got.allocs <= budget {
					break
				}
			}
			t.Logf("%s, %d records together: %.2f allocations, %.2f Kafka requests", format, records, got.allocs, got.kafkaRequests)
			if got.allocs > budget {
				t.Errorf("%s, %d records together: %.2f allocations, more than %.2f", format, records, got.allocs, budget)
			}
		}
	}
}

// BenchmarkStream is the CPU time of a record, client included, on a busy stream of v3 and by
// requests of 100 records of v2. Compare within one run.
func BenchmarkStream(b *testing.B) {
	s := startStack(b, startBlackhole(b))
	values, err := realValues(distinctValues, 200)
	if err != nil {
		b.Fatal(err)
	}
	const records = 100
	v2 := newRawClient(b, s.addr, values, records)
	busy := func(perChunk int) func(b *testing.B) {
		return func(b *testing.B) {
			c := newRecordsClient(b, s.addr, values, records, recordsForm{"json", perChunk})
			measure(b, records, func(n int) error {
				sent := make(chan error, 1)
				go func() {
					for range n {
						if _, err := c.conn.Write(c.piece); err != nil {
							sent <- err
							return
						}
					}
					sent <- nil
				}()
				if err := c.read(n * records); err != nil {
					return err
				}
				return <-sent
			})
		}
	}
	for _, round := range []string{"A", "B"} {
		b.Run("v2/records=100/"+round, func(b *testing.B) {
			measure(b, records, func(n int) error {
				for range n {
					if err := v2.send(); err != nil {
						return err
					}
				}
				return nil
			})
		})
		b.Run("v3/chunk=100/"+round, busy(records))
		b.Run("v3/chunk=1/"+round, busy(1))
	}
}

// measure reports the CPU time of a record.
func measure(b *testing.B, records int, do func(n int) error) {
	if err := do(20); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	began := lab.ProcessCPU()
	if err := do(b.N); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((lab.ProcessCPU()-began).Nanoseconds())/float64(b.N*records), "cpu-ns/record")
}
