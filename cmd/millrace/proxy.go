package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/batch"
	"millrace/cluster"
	"millrace/config"
	"millrace/consumer"
	"millrace/internal/kafka"
	"millrace/internal/tracing"
	"millrace/metadata"
	"millrace/metrics"
	"millrace/reader"
	"millrace/schema"
	"millrace/server/api"
	"millrace/server/ops"
)

// proxy is the running program: its parts in the order in which they are
// built, which is the reverse of that in which they end.
type proxy struct {
	cfg       *config.Config // as it was at the start; live has what holds
	log       *slog.Logger
	metrics   *metrics.Metrics
	metadata  *metadata.Cache
	producer  *batch.Producer
	node      *cluster.Node    // nil unless the proxy is one of several
	schemas   *schema.Registry // nil: there is no schema registry
	consumers *consumer.Manager
	reader    *reader.Reader
	server    *api.API
	tracing   *tracing.Tracing // nil: off
	live      *live
	addrs     []net.Addr
}

// run serves with the configuration that load gives until SIGINT or SIGTERM,
// then drains; SIGHUP loads again. ready is called once the listeners are open.
func run(load func() (*config.Config, error), ready func(*proxy)) error {
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
	p, err := start(cfg)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- p.server.Serve() }()
	ready(p)
	for {
		select {
		case err := <-served: // a listener broke; what was accepted is still finished
			p.drain(signals)
			return err
		case <-hangups:
			p.live.reload(load)
		case sig := <-signals:
			p.log.Info("draining", "signal", sig.String(), "within", cfg.Server.GracefulTimeout)
			return p.drain(signals)
		}
	}
}

// brokerWait is how long the start waits for a broker.
const brokerWait = 2 * time.Second

// start builds all parts and opens the listeners. It does not depend on Kafka: the node starts
// without Kafka, is not ready on /readyz meanwhile, and refuses requests that need Kafka.
func start(cfg *config.Config) (_ *proxy, err error) {
	level := new(slog.LevelVar)
	level.Set(cfg.LogLevel)
	p := &proxy{cfg: cfg, log: newLogger(cfg.LogFormat, level)}
	for _, line := range cfg.NotUsed {
		p.log.Warn("setting is not used", "setting", line)
	}
	p.metrics = newMetrics(cfg)
	defer func() {
		if err != nil {
			p.close(context.Background())
		}
	}()
	if p.tracing, err = p.newTracing(cfg); err != nil {
		return nil, err
	}
	admin, err := kafka.NewAdmin(p.clientSettings(cfg.Kafka, metrics.MetadataClient))
	if err != nil {
		return nil, err
	}
	p.metadata = metadata.New(admin, cfg.Metadata, p.log)
	produce := p.clientSettings(cfg.KafkaProduce, metrics.ProducerClient)
	consume := p.clientSettings(cfg.KafkaConsume, metrics.ConsumerClient)
	// A response to a produce or fetch request is as good a sign of life as any,
	// and tells where a leader is.
	produce.Hooks = append(produce.Hooks, p.metadata.Hook())
	if cfg.KafkaConsumer.Rack != "" {
		consume.Hooks = append(consume.Hooks, p.metadata.ReplicaHook())
	} else {
		consume.Hooks = append(consume.Hooks, p.metadata.Hook())
	}
	compressor, err := kafka.NewCompressor(cfg.Producer.Compression, cfg.Producer.Level)
	if err != nil {
		return nil, err
	}
	client, err := kafka.NewProducer(produce, cfg.Producer, kgo.WithCompressor(compressor))
	if err != nil {
		return nil, err
	}
	p.producer = batch.New(client, batch.Cluster{
		Topic:   p.topic,
		Healthy: p.metadata.Healthy,
		Contradicted: func() {
			p.metadata.Invalidate()
			client.ForceMetadataRefresh()
		},
		Recreated: func(topic string) { client.PurgeTopicsFromProducing(topic) },
		Waited:    p.metrics.ObserveWait,
	}, cfg.Batch)
	if err := p.join(); err != nil {
		return nil, err
	}
	if p.schemas, err = newRegistry(cfg, p.log); err != nil {
		return nil, err
	}
	read := countRead(p.metrics)
	deps := consumer.Deps{Schemas: p.schemas, Read: read, Logger: p.log}
	if p.node != nil {
		deps.Directory = p.node
	}
	p.consumers = consumer.New(consume, cfg.KafkaConsumer, cfg.Consumer, deps)
	p.reader = reader.New(consume, cfg.KafkaConsumer, readerSettings(cfg), reader.Deps{Schemas: p.schemas, Read: read})
	p.live = &live{log: p.log, level: level, compressor: compressor, cfg: cfg}
	p.server = api.New(apiSettings(cfg), api.Parts{
		Producer:  p.producer,
		Metadata:  p.metadata,
		Consumers: p.consumers,
		Reader:    p.reader,
		Cluster:   p.node,
		Schemas:   p.schemas,
		Config:    ops.Config{Settings: p.live.settings, Change: p.live.change},
		Metrics:   p.metrics,
		Tracing:   p.tracing,
		Logger:    p.log,
	})
	p.watch(client, compressor)
	p.live.server = p.server
	p.awaitBrokers()
	if p.addrs, err = p.server.Listen(); err == nil && p.node != nil {
		p.node.Start(p.peerURL(), p.consumers)
	}
	return p, err
}

func apiSettings(cfg *config.Config) api.Settings {
	return api.Settings{Edge: cfg.Server, REST: cfg.REST, Peer: cfg.Peer, Admin: cfg.Admin, UI: cfg.UI}
}

// readerSettings are those of the instances, where they mean the same.
func readerSettings(cfg *config.Config) reader.Settings {
	c := cfg.Consumer
	return reader.Settings{IsolationLevel: c.IsolationLevel, RequestTimeout: c.RequestTimeout, MaxBytes: c.MaxBytes}
}

// join makes the proxy a node of a cluster, if it is to be one.
func (p *proxy) join() (err error) {
	if !p.cfg.Cluster.Enabled {
		return nil
	}
	s := p.cfg.Cluster.Settings
	s.Logger = p.log
	p.node, err = cluster.New(p.clientSettings(p.cfg.Kafka, metrics.MetadataClient), s)
	return err
}

// peerURL is where other nodes reach this one: as configured, or the first
// listener under a name that means something on other hosts.
func (p *proxy) peerURL() string {
	if p.cfg.Cluster.URL != "" {
		return p.cfg.Cluster.URL
	}
	first, err := url.Parse(p.urls()[0])
	if err != nil {
		return p.urls()[0]
	}
	host := p.cfg.Server.HostName
	if listened, _, _ := net.SplitHostPort(p.cfg.Server.Listeners[0].Addr); host == "" && listened != "" {
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

// newRegistry returns the schema registry's client, nil where there is none.
func newRegistry(cfg *config.Config, log *slog.Logger) (*schema.Registry, error) {
	if len(cfg.Schema.URLs) == 0 {
		return nil, nil
	}
	return schema.New(cfg.Schema, log)
}

// clientSettings returns the settings of Kafka clients of that name, which log and are
// counted as such. Those that move records report them to the collector of traces.
func (p *proxy) clientSettings(s kafka.Settings, name string) kafka.Settings {
	s.Logger = p.log
	s.Hooks = []kgo.Hook{p.metrics.Hook(name)}
	if p.tracing != nil && name != metrics.MetadataClient {
		s.Hooks = append(s.Hooks, p.tracing.Hook(s.ClientID))
	}
	return s
}

// awaitBrokers gives the brokers a moment to answer before requests come in,
// which would be refused until then.
func (p *proxy) awaitBrokers() {
	ctx, cancel := context.WithTimeout(context.Background(), brokerWait)
	defer cancel()
	if p.metadata.Wait(ctx) != nil {
		p.log.Warn("no Kafka broker answers yet; serving without", "brokers", p.cfg.Kafka.Brokers)
	}
}

// topic answers the producer's question about a topic from the metadata cache.
func (p *proxy) topic(ctx context.Context, name string) (string, int32, error) {
	t, err := p.metadata.Topic(ctx, name)
	if err != nil {
		return "", 0, err
	}
	return t.Name, int32(len(t.Partitions)), nil
}

// drain ends the program in the order that loses nothing: no new requests, the
// ones in flight answered, consumers out of their groups, records flushed. It
// takes no longer than shutdown.graceful.ms; a second signal ends it at once.
func (p *proxy) drain(signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.Server.GracefulTimeout)
	defer cancel()
	go func() {
		<-signals
		p.log.Warn("second signal: exiting at once")
		os.Exit(1)
	}()
	answered := make(chan error, 1)
	go func() { answered <- p.server.Shutdown(ctx) }()
	p.consumers.Drain()
	p.reader.Drain()
	// Requests get the first half of the time. Closing a consumer then cuts short the requests
	// that still use it.
	var err error
	select {
	case err = <-answered:
		answered <- err
	case <-time.After(p.cfg.Server.GracefulTimeout / 2):
	}
	closed := p.close(ctx)
	if err = <-answered; err == nil {
		err = closed
	}
	if err == nil {
		p.log.Info("drained")
	}
	return err
}

// close ends the parts behind the server. It returns the first failure but
// goes on to the end.
func (p *proxy) close(ctx context.Context) (err error) {
	if p.consumers != nil {
		if failed := p.consumers.Close(ctx); failed != nil {
			err = fmt.Errorf("cannot leave all consumer groups: %w", failed)
		}
	}
	if p.reader != nil {
		if failed := p.reader.Close(ctx); failed != nil && err == nil {
			err = failed
		}
	}
	if p.node != nil { // what the consumers gave up stands in its topic
		p.node.Close(ctx, true)
	}
	if p.producer != nil {
		if failed := p.producer.Close(ctx); failed != nil && err == nil {
			err = failed
		}
	}
	if p.schemas != nil {
		p.schemas.Close()
	}
	if p.metadata != nil {
		p.metadata.Close()
	}
	p.closeTracing(ctx)
	return err
}

// addresses are the URLs of the listeners as they are, for the log: one on every
// interface has the unspecified address.
func (p *proxy) addresses() (urls []string) {
	for i, addr := range p.addrs {
		urls = append(urls, p.scheme(i)+"://"+addr.String())
	}
	return urls
}

// urls are the same for people to open, on this machine.
func (p *proxy) urls() (urls []string) {
	for i, addr := range p.addrs {
		host, port, _ := net.SplitHostPort(addr.String())
		if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
			host = "localhost"
		}
		urls = append(urls, p.scheme(i)+"://"+net.JoinHostPort(host, port))
	}
	return urls
}

func (p *proxy) scheme(listener int) string {
	if p.cfg.Server.Listeners[listener].TLS != nil {
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
