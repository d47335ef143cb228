package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/batch"
	"millrace/config"
	"millrace/consumer"
	"millrace/internal/kafka"
	"millrace/metadata"
	"millrace/metrics"
	direct "millrace/reader"
	"millrace/schema"
	"millrace/server/api"
)

// blackholeTopic is longer than the text that a conversion of Go keeps on the stack, as the names
// of many topics are.
const blackholeTopic = "telemetry.vehicles.in-the-field.positions.v1"

// startBlackhole starts a broker in a process of its own that keeps nothing of what it is sent. It
// has blackholeTopic with one partition.
func startBlackhole(t testing.TB) (addr string) {
	t.Helper()
	cmd, err := childProcess(context.Background(), childBroker)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(startPrinting(t, cmd), "broker ")
}

// startPrinting starts cmd and returns the first line that it prints. The
// process is told to end, by the end of its stdin, when t ends.
func startPrinting(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("cannot learn where the broker is: %v", err)
	}
	return strings.TrimSpace(line)
}

// stack is the whole node in this process.
type stack struct {
	addr          string
	kafkaRequests atomic.Int64 // produce requests written to the broker
}

// OnBrokerWrite implements [kgo.HookBrokerWrite].
func (s *stack) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == int16(kmsg.Produce) && err == nil {
		s.kafkaRequests.Add(1)
	}
}

// startStack runs a node with its default settings and those in set, wired as
// cmd/millrace does.
func startStack(t testing.TB, broker string, set ...string) *stack {
	t.Helper()
	cfg, err := config.Load(config.Sources{Set: append([]string{"bootstrap.servers=" + broker, "listeners=http://127.0.0.1:0"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	m := metrics.New(cfg.Metrics, metrics.Build{})
	cfg.KafkaProduce.Hooks = []kgo.Hook{m.Hook(metrics.ProducerClient)}
	admin, err := kafka.NewAdmin(cfg.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	cache := metadata.New(admin, cfg.Metadata, log)
	s := &stack{}
	producing := cfg.KafkaProduce.WithHooks(s, cache.Hook())
	client, err := kafka.NewSender(producing, cfg.Producer)
	if err != nil {
		t.Fatal(err)
	}
	compressor, err := kafka.NewCompressor(cfg.Producer.Compression, cfg.Producer.Level)
	if err != nil {
		t.Fatal(err)
	}
	producer := batch.New(client, compressor, batch.Cluster{Waited: m.ObserveWait, Written: kafka.BatchWritten(producing.Hooks), Healthy: cache.Healthy, Contradicted: cache.Invalidate, Topic: func(ctx context.Context, name string) (string, int32, error) {
		topic, err := cache.Topic(ctx, name)
		if err != nil {
			return "", 0, err
		}
		return topic.Name, int32(len(topic.Partitions)), nil
	}}, cfg.Batch, cfg.Producer)
	var registry *schema.Registry
	if len(cfg.Schema.URLs) > 0 {
		if registry, err = schema.New(cfg.Schema, log); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(registry.Close)
	}
	consumers := consumer.New(cfg.KafkaConsume, cfg.KafkaConsumer, cfg.Consumer, consumer.Deps{Schemas: registry, Logger: log})
	reads := direct.New(cfg.KafkaConsume, cfg.KafkaConsumer, direct.Settings{IsolationLevel: cfg.Consumer.IsolationLevel, RequestTimeout: cfg.Consumer.RequestTimeout, MaxBytes: cfg.Consumer.MaxBytes}, direct.Deps{Schemas: registry})
	t.Cleanup(func() { _ = reads.Close(context.Background()) })
	srv := api.New(api.Settings{Edge: cfg.Server, REST: cfg.REST, Ingest: cfg.Ingest}, api.Parts{Producer: producer, Metadata: cache, Consumers: consumers, Reader: reads, Schemas: registry, Metrics: m, Logger: log})
	addrs, err := srv.Listen()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for what, err := range map[string]error{
			"server": srv.Shutdown(ctx), "consumers": consumers.Close(ctx), "producer": producer.Close(ctx), "serving": <-served,
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		cache.Close()
		admin.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := cache.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	s.addr = addrs[0].String()
	return s
}

// rawClient sends one finished request over and over, and allocates nothing.
type rawClient struct {
	conn    net.Conn
	request []byte
	rawRequest
	buf []byte
}

// rawRequest is a POST, and what a response to it must have in it, so many times.
type rawRequest struct {
	path, contentType string
	body, part        []byte
	times             int
}

// newRawClient connects to the node; its requests have n records of values.
func newRawClient(t testing.TB, addr string, values [][]byte, n int) *rawClient {
	t.Helper()
	return newSender(t, addr, rawRequest{"/topics/" + blackholeTopic, v2JSONRecords, requestBodies(values, n, "json", "")[0], offsetMember, n})
}

// newLinesClient is newRawClient for the same values as events, a line each.
func newLinesClient(t testing.TB, addr string, values [][]byte, n int) *rawClient {
	t.Helper()
	return newEventsClient(t, addr, blackholeTopic, values, n)
}

// newRouteClient is newLinesClient for the route of routesFile.
func newRouteClient(t testing.TB, addr string, values [][]byte, n int) *rawClient {
	t.Helper()
	return newEventsClient(t, addr, ruledRoute, values, n)
}

// ruledRoute is a route with rules for events.
const ruledRoute = "positions.of.vehicles.with-a-key-and-headers"

// routesFile returns the setting that names a file with ruledRoute.
func routesFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "routes.yaml")
	text := fmt.Sprintf("routes:\n  %s: {topic: %s, key: {pointer: /Ticket}, headers: {a: {pointer: /Make}, b: fixed}, drop: [{pointer: /Make, is: [none]}], cors: {origins: [\"https://a.example\"]}}\n", ruledRoute, blackholeTopic)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "ingest.routes.file=" + path
}

func newEventsClient(t testing.TB, addr, route string, values [][]byte, n int) *rawClient {
	t.Helper()
	return newSender(t, addr, rawRequest{"/ingest/" + route, "application/x-ndjson", lineBodies(values, n)[0], fmt.Appendf(nil, `{"accepted":%d,"refused":0}`, n), 1})
}

// newSender is newRawClient for any request.
func newSender(t testing.TB, addr string, r rawRequest) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n",
		r.path, addr, r.contentType, v2JSON, len(r.body))
	return &rawClient{conn: conn, request: append([]byte(head), r.body...), rawRequest: r, buf: make([]byte, 64<<10+r.times*100)}
}

var (
	okStatus      = []byte("HTTP/1.1 200 ")
	headerEnd     = []byte("\r\n\r\n")
	contentLength = []byte("Content-Length: ")
)

// send sends the request and reads the answer, which must be a success.
func (c *rawClient) send() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	for have, want := 0, -1; want < 0 || have < want; {
		n, err := c.conn.Read(c.buf[have:])
		if err != nil {
			return fmt.Errorf("cannot read the answer: %w: %.300s", err, c.buf[:have])
		}
		if have += n; want < 0 {
			want = answerLength(c.buf[:have])
		}
		if want == have {
			if !bytes.HasPrefix(c.buf, okStatus) || bytes.Count(c.buf[:have], c.part) != c.times {
				return fmt.Errorf("answer %.300s", c.buf[:have])
			}
			return nil
		}
	}
	return io.ErrUnexpectedEOF
}

// answerLength is the length of the answer that b begins with, -1 when b does
// not hold its whole header yet.
func answerLength(b []byte) int {
	end := bytes.Index(b, headerEnd)
	at := bytes.Index(b, contentLength)
	if end < 0 || at < 0 || at > end {
		return -1
	}
	digits := b[at+len(contentLength):]
	digits = digits[:bytes.IndexByte(digits, '\r')]
	n, err := strconv.Atoi(string(digits)) // does not escape, so it is no allocation
	if err != nil {
		return -1
	}
	return end + len(headerEnd) + n
}
