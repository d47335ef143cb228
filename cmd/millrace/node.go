package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/admin"
	"millrace/auth"
	"millrace/batch"
	"millrace/cluster"
	"millrace/config"
	"millrace/consumer"
	"millrace/ingest"
	"millrace/internal/fair"
	"millrace/internal/kafka"
	"millrace/internal/tracing"
	"millrace/metadata"
	"millrace/metrics"
	"millrace/reader"
	"millrace/schema"
	"millrace/server/api"
	"millrace/server/ops"
	"millrace/spool"
)

// node is the running program: its parts in the order in which they are
// built, which is the reverse of that in which they end.
type node struct {
	cfg       *config.Config // as it was at the start; live has what holds
	log       *slog.Logger
	metrics   *metrics.Metrics
	metadata  *metadata.Cache
	changes   *kgo.Client       // of what describes and changes the cluster
	liveness  *kafka.Liveness   // of the brokers, as the producer's client sees them
	contact   kafka.Contact     // of that client with any of them
	conns     kafka.Connections // of the other clients
	producer  *batch.Producer
	held      *fair.Sum        // bytes that the producer and those of callers have admitted
	member    *cluster.Node    // nil unless the node is one of several
	schemas   *schema.Registry // nil: there is no schema registry
	consumers *consumer.Manager
	reader    *reader.Reader
	spool     *spool.Spool // nil: there is none; dead too
	dead      *spool.Spool
	server    *api.API
	access    *auth.Access     // nil: nobody is asked who they are
	audit     *kafka.Recorder  // nil: the log alone has refusals and changes
	tracing   *tracing.Tracing // nil: off
	live      *live
	ended     chan struct{} // closed at the end
	addrs     []net.Addr
}

// run serves with the configuration that load gives until SIGINT or SIGTERM,
// then drains; SIGHUP loads again. ready is called once the listeners are open.
func run(load func() (*config.Config, error), ready func(*node)) error {
	// Registered first: a signal during start-up must not be lost. Those that
	// reload have a channel of their own, or one could count as the second
	// that ends a drain.
	signals, hangups := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(signals)
	defer signal.Stop(hangups)

	cfg, err := load()
	if err != nil {
		return err
	}
	n, err := start(cfg)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- n.server.Serve() }()
	go n.live.reloadOn(hangups, n.ended, load)
	ready(n)
	for {
		select {
		case err := <-served: // a listener broke; what was accepted is still finished
			n.drain(signals)
			return err
		case sig := <-signals:
			n.log.Info("draining", "signal", sig.String(), "within", cfg.Server.GracefulTimeout)
			return n.drain(signals)
		}
	}
}

// brokerWait is how long the start waits for a broker.
const brokerWait = 2 * time.Second

// start builds all parts and opens the listeners. It does not depend on Kafka: the node starts
// without Kafka, is not ready on /readyz meanwhile, and refuses requests that need Kafka.
func start(cfg *config.Config) (_ *node, err error) {
	level := new(slog.LevelVar)
	level.Set(cfg.LogLevel)
	n := &node{cfg: cfg, held: new(fair.Sum), ended: make(chan struct{}), log: newLogger(cfg.LogFormat, level)}
	for _, line := range cfg.NotUsed {
		n.log.Warn("setting is not used", "setting", line)
	}
	n.metrics = newMetrics(cfg)
	defer func() {
		if err != nil {
			n.close(context.Background())
		}
	}()
	if n.tracing, err = n.newTracing(cfg); err != nil {
		return nil, err
	}
	if err := n.openAccess(); err != nil {
		return nil, err
	}
	if err := n.newMetadata(); err != nil {
		return nil, err
	}
	compressor, err := n.newProducer()
	if err != nil {
		return nil, err
	}
	if err := n.join(); err != nil {
		return nil, err
	}
	if n.schemas, err = newRegistry(cfg, n.log); err != nil {
		return nil, err
	}
	n.newConsumers()
	if err := n.openAudit(); err != nil {
		return nil, err
	}
	if err := n.openSpool(); err != nil {
		return nil, err
	}
	n.live = &live{log: n.log, level: level, compressor: compressor, access: n.access, cfg: cfg}
	n.server = api.New(apiSettings(cfg), api.Parts{
		Producer:   n.producer,
		Metadata:   n.metadata,
		Admin:      admin.New(n.changes, admin.Settings{Reserved: cfg.Metadata.Reserved}, admin.Deps{Changed: n.metadata.Invalidate}),
		Consumers:  n.consumers,
		Reader:     n.reader,
		Cluster:    n.member,
		Schemas:    n.schemas,
		Spool:      n.spool,
		Dead:       n.dead,
		Config:     ops.Config{Settings: n.live.settings, Change: n.live.change},
		Metrics:    n.metrics,
		Access:     n.access,
		Audit:      n.auditLog(),
		Delegation: n.delegation(compressor),
		Tracing:    n.tracing,
		Logger:     n.log,
	})
	if err := n.server.CheckEndpoints(); err != nil {
		return nil, err
	}
	n.watch(compressor)
	n.live.server = n.server
	n.awaitBrokers()
	if n.addrs, err = n.server.Listen(); err == nil && n.member != nil {
		n.member.Start(n.peerURL(), n.consumers)
	}
	return n, err
}

// newConsumers makes the parts that read records.
func (n *node) newConsumers() {
	read := countRead(n.metrics)
	deps := consumer.Deps{Schemas: n.schemas, Healthy: n.metadata.Healthy, Read: read, Logger: n.log}
	if n.member != nil {
		deps.Directory = n.member
	}
	consume := n.consumeSettings()
	n.consumers = consumer.New(consume, n.cfg.KafkaConsumer, n.cfg.Consumer, deps)
	n.metadata.OnGrown(n.consumers.Grown)
	n.reader = reader.New(consume, n.cfg.KafkaConsumer, readerSettings(n.cfg), reader.Deps{Schemas: n.schemas, Healthy: n.metadata.Healthy, Read: read})
}

// newMetadata makes the metadata cache, and the client of what changes the cluster.
func (n *node) newMetadata() (err error) {
	lookups, err := kafka.NewAdmin(n.clientSettings(n.cfg.Kafka, metrics.MetadataClient))
	if err != nil {
		return err
	}
	n.metadata = metadata.New(lookups, n.cfg.Metadata, n.log)
	n.changes, err = kafka.NewAdmin(n.clientSettings(n.cfg.Kafka, metrics.AdminClient))
	return err
}

// newProducer makes the producer, and returns its compressor. Responses to produce requests tell
// the metadata that a broker is alive and where a leader is.
func (n *node) newProducer() (*kafka.Compressor, error) {
	compressor, err := kafka.NewCompressor(n.cfg.Producer.Compression, n.cfg.Producer.Level)
	if err != nil {
		return nil, err
	}
	n.liveness = kafka.NewLiveness(n.cfg.Producer.SilenceLimit)
	s := n.clientSettings(n.cfg.KafkaProduce, metrics.ProducerClient)
	s.Hooks = append(s.Hooks, n.metadata.Hook(), n.liveness, &n.contact)
	around := batch.Cluster{Lost: n.lost, Quiet: n.liveness.Quiet}
	if n.producer, err = n.producerWith(s, n.metadata, around, compressor); err != nil {
		return nil, err
	}
	n.liveness.OnHalfOpen(func(broker int32) {
		n.producer.Renew(broker)
		n.conns.Reset(broker) // those of the other clients are as old, and wait for longer
	})
	return compressor, nil
}

// producerWith makes a producer whose client has the settings s, and that asks cache about topics.
// around has what it knows of the brokers; the rest is filled in. All producers of the node share
// one bound of memory.
func (n *node) producerWith(s kafka.Settings, cache *metadata.Cache, around batch.Cluster, compressor *kafka.Compressor) (*batch.Producer, error) {
	client, err := kafka.NewSender(s, n.cfg.Producer)
	if err != nil {
		return nil, err
	}
	around.Topic, around.Afresh = topicBy(cache.Topic), topicBy(cache.Afresh)
	around.Healthy, around.Contradicted = cache.Healthy, cache.Invalidate
	around.Waited, around.Written, around.Held = n.metrics.ObserveWait, kafka.BatchWritten(s.Hooks), n.held
	if n.tracing != nil {
		around.Begin, around.End = n.tracing.Records(s.ClientID)
	}
	return batch.New(client, compressor, around, n.cfg.Batch, n.cfg.Producer), nil
}

// topicBy answers a producer's question about a topic by a look-up in metadata.
func topicBy(look func(context.Context, string) (*metadata.Topic, error)) func(context.Context, string) (string, int32, error) {
	return func(ctx context.Context, name string) (string, int32, error) {
		t, err := look(ctx, name)
		if err != nil {
			return "", 0, err
		}
		return t.Name, int32(len(t.Partitions)), nil
	}
}

// consumeSettings returns the settings of clients that read. Responses to fetch requests tell the
// metadata that a broker is alive and, unless they come from replicas, where a leader is.
func (n *node) consumeSettings() kafka.Settings {
	s := n.clientSettings(n.cfg.KafkaConsume, metrics.ConsumerClient)
	if n.cfg.KafkaConsumer.Rack != "" {
		s.Hooks = append(s.Hooks, n.metadata.ReplicaHook())
	} else {
		s.Hooks = append(s.Hooks, n.metadata.Hook())
	}
	s.Hooks = append(s.Hooks, n.liveness.Witness())
	return s
}

func apiSettings(cfg *config.Config) api.Settings {
	return api.Settings{Endpoints: cfg.Endpoints, Edge: cfg.Server, REST: cfg.REST, Produce: cfg.Produce, Ingest: cfg.Ingest, Peer: cfg.Peer, Admin: cfg.Admin, UI: cfg.UI}
}

// readerSettings are those of the instances, where they mean the same.
func readerSettings(cfg *config.Config) reader.Settings {
	c := cfg.Consumer
	return reader.Settings{IsolationLevel: c.IsolationLevel, RequestTimeout: c.RequestTimeout, MaxBytes: c.MaxBytes}
}

// join makes the node one of several, if the settings ask for it.
func (n *node) join() (err error) {
	if !n.cfg.Cluster.Enabled {
		return nil
	}
	s := n.cfg.Cluster.Settings
	s.Logger, s.Keys = n.log, n.cfg.Server.Idempotency.Window > 0
	n.member, err = cluster.New(n.clientSettings(n.cfg.Kafka, metrics.MetadataClient), s)
	return err
}

// peerURL is where other nodes reach this one: as configured, or the first
// listener under a name that means something on other hosts.
func (n *node) peerURL() string {
	if n.cfg.Cluster.URL != "" {
		return n.cfg.Cluster.URL
	}
	first, err := url.Parse(n.urls()[0])
	if err != nil {
		return n.urls()[0]
	}
	host := n.cfg.Server.HostName
	if listened, _, _ := net.SplitHostPort(n.cfg.Server.Listeners[0].Addr); host == "" && listened != "" {
		if ip := net.ParseIP(listened); ip == nil || !ip.IsUnspecified() {
			host = listened
		}
	}
	if host == "" {
		host, _ = os.Hostname()
	}
	first.Host = net.JoinHostPort(host, first.Port())
	return first.String()
}

// openSpool opens the spool of events, if the settings have one.
func (n *node) openSpool() (err error) {
	s := n.cfg.Ingest.SpoolLimits
	if n.cfg.Ingest.SpoolDir == "" {
		return nil
	}
	s.Corrupt = func(d spool.Damage) {
		n.log.Error("the disk has damaged events of the spool; those behind are read", "segment", d.Segment, "offset", d.Offset, "bytes", d.Bytes, "kept", d.Kept, "err", d.Err)
	}
	if n.spool, err = spool.Open(n.cfg.Ingest.SpoolDir, s); err != nil {
		return err
	}
	s.MaxAge = 0 // nothing takes these away but people
	n.dead, err = spool.Open(filepath.Join(n.cfg.Ingest.SpoolDir, ingest.DeadFolder), s)
	return err
}

// newRegistry returns the schema registry's client, nil where there is none.
func newRegistry(cfg *config.Config, log *slog.Logger) (*schema.Registry, error) {
	if len(cfg.Schema.URLs) == 0 {
		return nil, nil
	}
	return schema.New(cfg.Schema, log)
}

// clientSettings returns the settings of Kafka clients of that name, which log and are
// counted as such. Those that move records report them to the collector of traces.
func (n *node) clientSettings(s kafka.Settings, name string) kafka.Settings {
	s.Logger = n.log
	s.Hooks = []kgo.Hook{n.metrics.Hook(name)}
	if name != metrics.ProducerClient {
		s.Hooks = append(s.Hooks, &n.conns)
	}
	if n.tracing != nil && name == metrics.ConsumerClient {
		s.Hooks = append(s.Hooks, n.tracing.Hook(s.ClientID))
	}
	return s
}

// awaitBrokers gives the brokers a moment to answer before requests come in, which would be refused
// until then. That none does is in the log of package metadata.
func (n *node) awaitBrokers() {
	ctx, cancel := context.WithTimeout(context.Background(), brokerWait)
	defer cancel()
	if n.metadata.Wait(ctx) == nil {
		return
	}
	for _, address := range n.cfg.Kafka.Brokers {
		if kafka.IsWebServer(context.Background(), n.cfg.Kafka, address) {
			n.log.Error("an address of bootstrap.servers is a web server, and no Kafka broker", "addr", address)
			return
		}
	}
}

// lost tells the producer whether a broker can be reached, or any if it is negative.
func (n *node) lost(broker int32) error {
	if err := n.contact.Lost(); err != nil {
		return err
	}
	if broker < 0 || n.liveness.AllWell() {
		return nil
	}
	return n.liveness.Check(broker)
}

// drain ends the program in the order that loses nothing: no new requests, the
// ones in flight answered, consumers out of their groups, records flushed. It
// takes no longer than shutdown.graceful.ms; a second signal ends it at once.
func (n *node) drain(signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.Server.GracefulTimeout)
	defer cancel()
	go func() {
		<-signals
		n.log.Warn("second signal: exiting at once")
		os.Exit(1)
	}()
	answered := make(chan error, 1)
	go func() { answered <- n.server.Shutdown(ctx) }()
	n.consumers.Drain()
	n.reader.Drain()
	// Requests get the first half of the time. Closing a consumer then cuts short the requests
	// that still use it.
	var err error
	select {
	case err = <-answered:
		answered <- err
	case <-time.After(n.cfg.Server.GracefulTimeout / 2):
	}
	closed := n.close(ctx)
	if err = <-answered; err == nil {
		err = closed
	}
	if err == nil {
		n.log.Info("drained")
	}
	return err
}

// close ends the parts behind the HTTP edge. It returns the first failure but
// goes on to the end.
func (n *node) close(ctx context.Context) (err error) {
	if n.consumers != nil {
		if failed := n.consumers.Close(ctx); failed != nil {
			err = fmt.Errorf("cannot leave all consumer groups: %w", failed)
		}
	}
	if n.reader != nil {
		if failed := n.reader.Close(ctx); failed != nil && err == nil {
			err = failed
		}
	}
	if n.member != nil { // what the consumers gave up stands in its topic
		n.member.Close(ctx, true)
	}
	if n.spool != nil {
		if n.server != nil {
			if failed := n.server.StopForwarding(ctx); failed != nil { // and nothing is lost
				n.log.Warn("events of the spool are on their way to Kafka: the next start sends them again", "err", failed)
			}
		}
		if failed := n.spool.Close(); failed != nil && err == nil {
			err = failed
		}
	}
	if n.dead != nil {
		if failed := n.dead.Close(); failed != nil && err == nil {
			err = failed
		}
	}
	if n.server != nil {
		n.server.CloseDelegation()
	}
	if n.producer != nil {
		if failed := n.producer.Close(ctx); failed != nil && err == nil {
			err = failed
		}
	}
	if n.audit != nil {
		if failed := n.audit.Close(ctx); failed != nil && err == nil {
			err = fmt.Errorf("cannot write to %s: %w", n.cfg.AuditTopic, failed)
		}
	}
	if n.schemas != nil {
		n.schemas.Close()
	}
	if n.changes != nil {
		n.changes.Close()
	}
	if n.metadata != nil {
		n.metadata.Close()
	}
	close(n.ended)
	n.access.Close()
	n.closeTracing(ctx)
	return err
}

// addresses are the URLs of the listeners as they are, for the log: one on every
// interface has the unspecified address.
func (n *node) addresses() (urls []string) {
	for i, addr := range n.addrs {
		urls = append(urls, n.scheme(i)+"://"+addr.String())
	}
	return urls
}

// urls are the same for people to open, on this machine.
func (n *node) urls() (urls []string) {
	for i, addr := range n.addrs {
		host, port, _ := net.SplitHostPort(addr.String())
		if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
			host = "localhost"
		}
		urls = append(urls, n.scheme(i)+"://"+net.JoinHostPort(host, port))
	}
	return urls
}

func (n *node) scheme(listener int) string {
	if n.cfg.Server.Listeners[listener].TLS != nil {
		return "https"
	}
	return "http"
}

// newLogger returns the program's log, which goes to standard error.
func newLogger(format string, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
