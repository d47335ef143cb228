package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"millrace/internal/kafka"
	"millrace/internal/lab"
)

// floorAnswer is what the HTTP floor answers to every request.
type floorAnswer struct {
	Status      int // 0: 200
	ContentType string
	Headers     [][2]string // more of them
	Body        []byte
}

// give writes the answer.
func (a *floorAnswer) give(resp *fasthttp.Response) {
	if a.Status != 0 {
		resp.SetStatusCode(a.Status)
	}
	resp.Header.SetContentType(a.ContentType)
	for _, h := range a.Headers {
		resp.Header.Set(h[0], h[1])
	}
	resp.SetBodyRaw(a.Body)
}

// serveHTTPFloor is the HTTP floor: a server that reads the body and answers a
// constant. It reads the constant from in, writes its address to out, and ends
// when in does.
func serveHTTPFloor(in io.Reader, out io.Writer) error {
	var answer floorAnswer
	dec := json.NewDecoder(in)
	if err := dec.Decode(&answer); err != nil {
		return fmt.Errorf("cannot read the answer to give: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	var read atomic.Int64
	srv := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			read.Add(int64(len(ctx.Request.Body())))
			answer.give(&ctx.Response)
		},
		Name:                 "millrace", // as many bytes
		NoDefaultContentType: true,
		MaxRequestBodySize:   64 << 20,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	if _, err := fmt.Fprintln(out, ln.Addr()); err != nil {
		return fmt.Errorf("cannot say where the HTTP floor listens: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(ended)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("cannot serve: %w", err)
	case <-ended:
		return nil
	}
}

// kafkaFloorSpec is what the bare producer is told to do.
type kafkaFloorSpec struct {
	Brokers  []string
	Topics   []string // of the groups, in turn
	Settings kafka.Producer
	Linger   time.Duration
	Values   [][]byte
	// Workers each produce Records records and wait for all of them, again
	// and again, as the connections of the HTTP load do.
	Workers, Records int
	// Rate is that of the load, see [loadSpec].
	Rate   float64
	Timing timing

	sums []uint64 // of a group's values from each value on; the child's own
}

// runKafkaFloor is the Kafka floor: a bare producer fed with finished records out of memory. A
// group of records here stands for a request of the HTTP load.
func runKafkaFloor(spec kafkaFloorSpec) (window, error) {
	var w window
	client, err := newBareProducer(spec)
	if err != nil {
		return w, err
	}
	defer client.Close()
	m := meter{mallocs: ownMallocs}
	spec.sums = groupSums(spec.Values, spec.Records)
	l := lab.Load{Workers: spec.Workers, Schedule: spec.Timing.schedule(spec.Rate)}
	err = m.watch(&l, spec.Timing, os.Getpid(), &w, func(number int, t *tally) (lab.Send, func()) {
		return produceGroups(client, spec, number, &m, t), func() {}
	})
	return w, err
}

// newBareProducer builds the client of a program that only writes to Kafka. It leaves out what
// millrace adds (its partitioner, its compressor, its hooks). The requests to Kafka are the
// same.
func newBareProducer(spec kafkaFloorSpec) (*kgo.Client, error) {
	codec, err := bareCodec(spec.Settings.Compression)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(spec.Brokers...),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(spec.Linger),
		kgo.ProducerBatchMaxBytes(int32(spec.Settings.MaxRequestBytes)),
		kgo.MaxBufferedRecords(math.MaxInt),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot build the bare producer: %w", err)
	}
	return client, nil
}

func bareCodec(c kafka.Codec) (kgo.CompressionCodec, error) {
	switch c {
	case kafka.None:
		return kgo.NoCompression(), nil
	case kafka.Gzip:
		return kgo.GzipCompression(), nil
	case kafka.Snappy:
		return kgo.SnappyCompression(), nil
	case kafka.LZ4:
		return kgo.Lz4Compression(), nil
	case kafka.Zstd:
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("the library has no codec %q", c)
}

// ownMallocs is how many times this process has allocated.
func ownMallocs() (uint64, error) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs, nil
}

// group is a number of records on their way together.
type group struct {
	records []kgo.Record
	pending atomic.Int32
	failure atomic.Pointer[error]
	done    chan struct{}
}

// landed is the promise of each record of the group.
func (g *group) landed(_ *kgo.Record, err error) {
	if err != nil {
		g.fail(err)
	}
	if g.pending.Add(-1) == 0 {
		g.done <- struct{}{}
	}
}

// fail is apart from landed, which would else allocate for each record.
func (g *group) fail(err error) { g.failure.CompareAndSwap(nil, &err) }

// produceGroups is one worker.
func produceGroups(client *kgo.Client, spec kafkaFloorSpec, number int, m *meter, t *tally) lab.Send {
	g := &group{records: make([]kgo.Record, spec.Records), done: make(chan struct{}, 1)}
	landed := g.landed // bound once: a method value allocates
	ctx := context.Background()
	next := number * 7 * spec.Records
	return func(began time.Time) bool {
		g.pending.Store(int32(len(g.records)))
		topic := spec.Topics[(next/spec.Records)%len(spec.Topics)]
		for i := range g.records {
			g.records[i] = kgo.Record{
				Topic: topic, Value: spec.Values[next%len(spec.Values)],
				Timestamp: began,
			}
			next++
			client.Produce(ctx, &g.records[i], landed)
		}
		<-g.done
		if err := g.failure.Swap(nil); err != nil {
			return t.failed("%v", *err)
		}
		t.ok(m, len(g.records), spec.sums[(next-spec.Records)%len(spec.Values)], time.Since(began))
		return true
	}
}
