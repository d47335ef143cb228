package main

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/config"
	"millrace/internal/registry"
)

// devCommand is a node with a broker and a schema registry in the same
// process: franz-go's kfake, which speaks Kafka's protocol to any client, and
// internal/registry, which keeps its schemas in that broker.
type devCommand struct {
	sources
	Port         int    `help:"Port of the REST API on this machine." default:"8082"`
	Partitions   int    `help:"Partitions of a topic that is created on first use." default:"1"`
	Data         string `help:"Keep the broker's data in this directory instead of in memory." type:"path" placeholder:"DIR"`
	KafkaPort    int    `help:"Port of the broker; another one is taken when it is in use." default:"9092"`
	RegistryPort int    `help:"Port of the schema registry; another one is taken when it is in use." default:"8081"`
	Retain       int    `help:"Megabytes that the broker keeps of each partition; older records go." default:"64"`
}

// retentionInterval is how often the broker drops what is over its limit.
const retentionInterval = 2 * time.Second

// devHost is where the REST API listens unless a setting says otherwise. Dev
// mode asks nobody who they are and lets them change settings, so it is for this
// machine alone; the broker and the registry listen nowhere else at all.
const devHost = "127.0.0.1"

// Bounds of the flags: what a process that keeps everything in memory can hold.
const (
	maxDevPartitions = 10_000
	maxDevRetain     = 1 << 20 // MB
)

// Validate is called by kong.
func (c devCommand) Validate() error {
	switch {
	case c.Partitions < 1 || c.Partitions > maxDevPartitions:
		return fmt.Errorf("--partitions must be from 1 to %d", maxDevPartitions)
	case c.Retain < 1 || c.Retain > maxDevRetain:
		return fmt.Errorf("--retain must be from 1 to %d", maxDevRetain)
	case !isPort(c.Port):
		return fmt.Errorf("--port must be from 0 to %d", math.MaxUint16)
	case !isPort(c.KafkaPort):
		return fmt.Errorf("--kafka-port must be from 0 to %d", math.MaxUint16)
	case !isPort(c.RegistryPort):
		return fmt.Errorf("--registry-port must be from 0 to %d", math.MaxUint16)
	}
	return nil
}

func isPort(n int) bool { return n >= 0 && n <= math.MaxUint16 }

// Run serves until a signal ends it.
func (c devCommand) Run() error {
	broker, err := c.startBroker()
	if err != nil {
		return err
	}
	defer broker.Close()
	stop := make(chan struct{})
	defer close(stop)
	go retain(broker, stop)

	addr := broker.ListenAddrs()[0]
	schemas, err := registry.Start(registry.Options{
		Listen:  net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(c.RegistryPort))),
		Brokers: []string{addr},
		Log:     slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	defer schemas.Close()
	load := func() (*config.Config, error) {
		return c.load("listeners=http://"+net.JoinHostPort(devHost, strconv.Itoa(c.Port)), "hosts.own.only=true", "bootstrap.servers="+addr, "schema.registry.url="+schemas.URL(),
			"log.level=warn", "admin.enable=true")
	}
	return run(load, func(n *node) { c.welcome(n, addr, schemas.URL()) })
}

// startBroker starts a broker as a fresh Kafka has it: one node, topics
// created on first use.
func (c devCommand) startBroker() (*kfake.Cluster, error) {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(c.Partitions),
		kfake.BrokerConfigs(map[string]string{"log.retention.bytes": strconv.Itoa(c.Retain << 20)}),
		kfake.Ports(freePort(c.KafkaPort)),
	}
	if c.Data != "" {
		opts = append(opts, kfake.DataDir(c.Data))
	}
	broker, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("cannot start the broker: %w", err)
	}
	return broker, nil
}

// freePort returns the port if nobody listens on it, else 0 for any.
func freePort(port int) int {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0
	}
	ln.Close()
	return port
}

// retain bounds the broker's memory: kfake enforces retention when it is told to.
func retain(broker *kfake.Cluster, stop <-chan struct{}) {
	tick := time.NewTicker(retentionInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			broker.ApplyRetention()
		case <-stop:
			return
		}
	}
}

// welcome says where things are and what to try first.
func (c devCommand) welcome(n *node, kafka, registry string) {
	where := "in memory"
	if c.Data != "" {
		where = "in " + c.Data
	}
	fmt.Fprintf(os.Stdout, `millrace %s
  REST API  %s (%s)
  Dashboard %[2]s/ui
  Kafka     %[4]s (built in, data %[5]s)
  Registry  %[6]s (built in, schemas in the topic _schemas)

Try it:
  curl -X POST -H 'Content-Type: application/vnd.kafka.json.v2+json' --data '{"records":[{"value":{"foo":"bar"}}]}' %[2]s/topics/jsontest
  curl %[2]s/topics
  curl %[2]s/topics/jsontest

Stop with Ctrl-C.
`, version, n.urls()[0], reach(n.addrs[0]), kafka, where, registry)
}

// reach says who reaches a listener.
func reach(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	switch {
	case ok && tcp.IP.IsLoopback():
		return "this machine alone"
	case ok && tcp.IP.IsUnspecified():
		return "listening on " + addr.String() + ", every interface: whoever reaches it can change settings"
	}
	return "whoever reaches it can change settings"
}
