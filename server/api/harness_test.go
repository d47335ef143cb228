package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/admin"
	"millrace/auth"
	"millrace/batch"
	"millrace/cluster"
	"millrace/consumer"
	"millrace/ingest"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
	"millrace/metadata"
	"millrace/reader"
	"millrace/schema"
	"millrace/server"
	"millrace/server/api"
	"millrace/server/idempotency"
	"millrace/server/ops"
	"millrace/server/peer"
	"millrace/server/rest"
	v3api "millrace/server/v3"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// stack is a whole node in this process, with all of its parts.
type stack struct {
	base      string // http://host:port
	addr      string
	addrs     []net.Addr // of all listeners; addr is the first
	server    *api.API
	producer  *batch.Producer
	metadata  *metadata.Cache
	node      *cluster.Node // nil for a single node
	consumers *consumer.Manager
	broker    testkit.Broker
	log       *logBuffer
	access    *auth.Access // nil: nobody is asked who they are
}

// stackOptions are the defaults of a stack, for a test to change.
type stackOptions struct {
	logs      *logBuffer // of the node and its parts
	server    server.Settings
	rest      rest.Settings
	produce   v3api.ProduceSettings
	ingest    ingest.Settings
	peer      peer.Settings
	endpoints api.Endpoints
	batch     batch.Settings
	consumer  consumer.Settings
	producer  kafka.Producer
	fetch     kafka.Consumer
	metadata  metadata.Settings
	admin     ops.Config // of /admin/config, if adminOn
	adminOn   bool
	ui        bool
	schemas   *schema.Registry
	read      func(reader.Returned) // counts what is read
	create    bool
	node      *cluster.Settings        // of a stack that is one of several
	reserved  string                   // the topic of nodes
	via       func(base string) string // where the others reach that one
	hooks     []kgo.Hook               // of all Kafka clients
	silence   time.Duration            // of a broker before it is lost
	access    auth.Settings            // who callers can be
}

// defaultOptions are those of a stack that no test changes.
func defaultOptions() stackOptions {
	return stackOptions{
		logs: &logBuffer{},
		server: server.Settings{
			Listeners:    []server.Listener{{Addr: "127.0.0.1:0"}},
			MaxBodyBytes: 64 << 20, MaxHeaderBytes: 16 << 10, MaxConnections: 1000,
			ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
			GracefulTimeout:  10 * time.Second,
			ForwardedTrusted: server.LoopbackPrefixes(),
			Idempotency:      idempotency.Settings{Window: time.Minute, MaxBytes: 8 << 20},
		},
		rest:   rest.Settings{MaxRecords: 100_000},
		ingest: ingest.Settings{DefaultRoutes: true, MaxEvents: 100_000},
		batch:  batch.Settings{BufferBytes: 64 << 20, Timeout: 30 * time.Second, Linger: time.Millisecond, BatchBytes: 1 << 20},
		consumer: consumer.Settings{
			OffsetReset: "latest", IsolationLevel: "read_uncommitted", RequestTimeout: 10 * time.Second, MaxBytes: 64 << 20,
			InstanceTimeout: 5 * time.Minute, AutoCommitInterval: 5 * time.Second, MaxInstances: 1000,
		},
		producer: kafka.DefaultProducer(),
		metadata: metadata.Settings{MaxAge: 100 * time.Millisecond, Timeout: 10 * time.Second},
		create:   true,
		via:      func(base string) string { return base },
	}
}

// start runs a node in front of b until t ends. change may alter its settings.
func start(t testing.TB, b testkit.Broker, change ...func(*stackOptions)) *stack {
	t.Helper()
	o := defaultOptions()
	for _, f := range change {
		f(&o)
	}
	logs := o.logs
	log := slog.New(slog.NewTextHandler(logs, nil))
	base := kafka.Settings{Brokers: b.Addrs, ClientID: "millrace-test", Logger: log, Hooks: o.hooks}
	if o.node != nil {
		o.reserved = o.node.Topic
	}
	if o.reserved != "" {
		base.Reserved = kafka.Reserved{o.reserved}
		o.metadata.Reserved = base.Reserved
	}
	lookups, err := kafka.NewAdmin(base)
	if err != nil {
		t.Fatal(err)
	}
	o.metadata.CreateTopics = o.create
	cache := metadata.New(lookups, o.metadata, log)
	if err := cache.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	changes, err := kafka.NewAdmin(base)
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{log: logs, metadata: cache, broker: b}
	s.producer = newProducer(t, base, &o, cache)
	node := joinCluster(t, base, &o)
	deps := consumer.Deps{Schemas: o.schemas, Healthy: cache.Healthy, Read: o.read, Logger: log}
	if node != nil {
		deps.Directory = node
	}
	consumers := consumer.New(base, o.fetch, o.consumer, deps)
	reads := reader.New(base, o.fetch, reader.Settings{IsolationLevel: o.consumer.IsolationLevel, RequestTimeout: o.consumer.RequestTimeout, MaxBytes: o.consumer.MaxBytes},
		reader.Deps{Schemas: o.schemas, Healthy: cache.Healthy, Read: o.read})
	s.access = newAccess(t, &o, log)
	s.server = api.New(
		api.Settings{Endpoints: o.endpoints, Edge: o.server, REST: o.rest, Produce: o.produce, Ingest: o.ingest, Peer: o.peer, Admin: o.adminOn, UI: o.ui},
		api.Parts{Producer: s.producer, Metadata: cache, Admin: newAdmin(changes, cache, base), Consumers: consumers, Reader: reads, Schemas: o.schemas, Cluster: node, Config: o.admin, Access: s.access, Logger: log})
	addrs, err := s.server.Listen()
	if err != nil {
		t.Fatal(err)
	}
	s.addr, s.addrs = addrs[0].String(), addrs
	s.base = "http://" + s.addr
	if s.node = node; node != nil {
		reached := s.base
		if own := o.server.Listeners; len(own) > 1 && own[1].TLS != nil { // the first is for the test's clients
			reached = "https://" + addrs[1].String()
		}
		node.Start(o.via(reached), consumers)
	}
	s.consumers = consumers
	served := make(chan error, 1)
	go func() { served <- s.server.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for what, err := range map[string]error{
			"server": s.server.Shutdown(ctx), "consumers": consumers.Close(ctx), "reader": reads.Close(ctx), "producer": s.producer.Close(ctx), "serving": <-served,
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if node != nil {
			node.Close(ctx, true)
		}
		cache.Close()
		lookups.Close()
		changes.Close()
		if t.Failed() {
			t.Logf("the node's log:\n%s", logs)
		}
	})
	return s
}

// newAdmin builds what changes the cluster.
func newAdmin(client *kgo.Client, cache *metadata.Cache, base kafka.Settings) *admin.Admin {
	return admin.New(client, admin.Settings{Reserved: base.Reserved}, admin.Deps{Changed: cache.Invalidate})
}

// newAccess returns what decides about the callers of a stack.
func newAccess(t testing.TB, o *stackOptions, log *slog.Logger) *auth.Access {
	t.Helper()
	access, err := auth.New(o.access, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(access.Close)
	return access
}

// newProducer builds the produce side of a stack.
func newProducer(t testing.TB, base kafka.Settings, o *stackOptions, cache *metadata.Cache) *batch.Producer {
	t.Helper()
	liveness := kafka.NewLiveness(o.silence)
	client, err := kafka.NewSender(base.WithHooks(cache.Hook(), liveness), o.producer)
	if err != nil {
		t.Fatal(err)
	}
	compressor, err := kafka.NewCompressor(o.producer.Compression, o.producer.Level)
	if err != nil {
		t.Fatal(err)
	}
	return batch.New(client, compressor, batch.Cluster{
		Topic: topicOf(cache.Topic), Afresh: topicOf(cache.Afresh), Healthy: cache.Healthy, Lost: liveness.Check, Quiet: liveness.Quiet, Contradicted: cache.Invalidate,
	}, o.batch, o.producer)
}

func topicOf(look func(context.Context, string) (*metadata.Topic, error)) func(context.Context, string) (string, int32, error) {
	return func(ctx context.Context, name string) (string, int32, error) {
		topic, err := look(ctx, name)
		if err != nil {
			return "", 0, err
		}
		return topic.Name, int32(len(topic.Partitions)), nil
	}
}

// logBuffer keeps the log of a stack.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// reply is the response to one request.
type reply struct {
	status int
	header http.Header
	body   string
}

// client does not follow redirects and does not decompress by itself.
var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       time.Minute,
}

// do sends one request; headers are "Name: value" lines.
func (s *stack) do(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := s.try(method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *stack) try(method, path, body string, headers ...string) (reply, error) {
	req, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}, nil
}

const (
	jsonV2   = "Content-Type: application/vnd.kafka.json.v2+json"
	binaryV2 = "Content-Type: application/vnd.kafka.binary.v2+json"
	plainV2  = "Content-Type: application/vnd.kafka.v2+json"
)

// want fails t unless the reply has the status and its body contains text.
func (r reply) want(t testing.TB, status int, text string) reply {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, text) {
		t.Errorf("got %d %s\nwant %d with %q", r.status, r.body, status, text)
	}
	return r
}

// raw opens a connection for requests that no HTTP client would send.
func (s *stack) raw(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}
