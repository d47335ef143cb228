package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

const (
	brokers = 3
	// diskBytes is the size of the disk of the broker that has one of its own.
	diskBytes = 192 << 20
	// cramped is the index of that broker.
	cramped = brokers - 1
)

// The user of the nodes, the only one that Kafka checks the rights of. Brokers, and what checks,
// come by another listener, and may do all.
const (
	nodeUser     = "millrace"
	nodePassword = "of-the-faults"
)

// Cluster is three brokers that belong to a run, with a proxy in front of each. It is used by one
// goroutine.
type Cluster struct {
	Brokers []*testkit.Kafka
	Proxies []*Proxy
	// Admin goes straight to the brokers.
	Admin *kadm.Client
	// Disk is the mount point of the small disk that the last broker keeps its data on; "" where it
	// has none.
	Disk string

	down map[int]bool
	logs []int // how much of each broker's log was looked at
}

// properties are those of all brokers of a run. A broker that is gone is found out in 3 s instead
// of 9, and is not in sync any more after 5 s instead of 30: the schedules wait for it, and the
// order of things is the same. Nobody but the brokers themselves may do what no rule allows.
var properties = map[string]string{
	"broker.session.timeout.ms":                     "3000",
	"broker.heartbeat.interval.ms":                  "500",
	"replica.lag.time.max.ms":                       "5000",
	"auto.create.topics.enable":                     "false",
	"listener.security.protocol.map":                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENTS:SASL_PLAINTEXT",
	"sasl.enabled.mechanisms":                       "PLAIN",
	"authorizer.class.name":                         "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
	"super.users":                                   "User:ANONYMOUS",
	"listener.name.clients.sasl.enabled.mechanisms": "PLAIN",
	"listener.name.clients.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required " +
		"user_" + nodeUser + "=\"" + nodePassword + "\";",
}

// StartCluster starts the brokers of a run, which end with t. With cramp the last one keeps its
// data on a small disk, where this system can mount one: that is for schedules that fill it, and
// for no run that writes much.
func StartCluster(t testing.TB, cramp bool) *Cluster {
	t.Helper()
	c := &Cluster{down: map[int]bool{}, logs: make([]int, brokers)}
	if cramp {
		c.Disk = smallDisk(t)
	}
	var advertised []string
	for range brokers {
		p, err := NewProxy()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		c.Proxies = append(c.Proxies, p)
		advertised = append(advertised, p.Addr())
	}
	opts := testkit.KafkasOptions{
		Brokers: brokers,
		// As little of a shared machine as three brokers can do with; they are up in half the time.
		Flags:      []string{"-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"},
		Advertised: advertised, Properties: properties,
	}
	if c.Disk != "" {
		opts.Data = make([]string, brokers)
		opts.Data[cramped] = filepath.Join(c.Disk, "data")
	}
	c.Brokers = testkit.StartKafkasWith(t, opts)
	for i, k := range c.Brokers {
		c.Proxies[i].Forward(k.ClientAddr)
	}
	c.Admin = kadm.NewClient(c.Client(t))
	all := kadm.NewACLs().Allow("User:" + nodeUser).AllowHosts("*").Topics("*").Groups("*").Clusters().
		ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpAll)
	if _, err := c.Admin.CreateACLs(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return c
}

// smallDisk mounts a file system of its own, which ends with t; "" where that is not possible.
func smallDisk(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-disk-*")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", diskBytes), "tmpfs", dir).CombinedOutput()
	if err != nil {
		_ = os.Remove(dir)
		t.Logf("no disk of its own for a broker, the schedules that fill it are left out: %v %s", err, out)
		return ""
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("cannot unmount %s: %v %s", dir, err, out)
		}
		_ = os.Remove(dir)
	})
	return dir
}

// Client returns a bare client that goes straight to the brokers.
func (c *Cluster) Client(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return testkit.Client(t, testkit.Broker{Name: "kafka", Addrs: c.Straight()}, opts...)
}

// Straight are the addresses of the brokers that go by no proxy.
func (c *Cluster) Straight() (addrs []string) {
	for _, k := range c.Brokers {
		addrs = append(addrs, k.Addrs[0])
	}
	return addrs
}

// Bootstrap is what nodes are told of the brokers: the proxies.
func (c *Cluster) Bootstrap() (addrs []string) {
	for _, p := range c.Proxies {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// CreateTopic creates a topic, and returns when each partition has all its replicas in sync.
func (c *Cluster) CreateTopic(ctx context.Context, topic string, partitions int32) error {
	if _, err := c.Admin.CreateTopic(ctx, partitions, brokers, nil, topic); err != nil {
		return fmt.Errorf("cannot create topic %s: %w", topic, err)
	}
	return c.AwaitSync(ctx, topic)
}

// AwaitSync returns when each partition of the topic has a leader and all replicas in sync.
func (c *Cluster) AwaitSync(ctx context.Context, topic string) error {
	return eventually(ctx, "all replicas of "+topic, func() bool {
		topics, err := c.Admin.ListTopics(ctx, topic)
		if err != nil || len(topics[topic].Partitions) == 0 {
			return false
		}
		for _, p := range topics[topic].Partitions {
			if p.Err != nil || p.Leader < 0 || len(p.ISR) < brokers {
				return false
			}
		}
		return true
	})
}

// Leader returns the index of the broker that leads a partition.
func (c *Cluster) Leader(ctx context.Context, topic string, partition int32) (int, error) {
	leader := -1
	err := eventually(ctx, "a leader", func() bool {
		topics, err := c.Admin.ListTopics(ctx, topic)
		p, ok := topics[topic].Partitions[partition]
		if err == nil && ok && p.Err == nil && p.Leader > 0 {
			leader = int(p.Leader) - 1
		}
		return leader >= 0
	})
	return leader, err
}

// Kill ends brokers by SIGKILL, all at once.
func (c *Cluster) Kill(which ...int) { c.end((*testkit.Kafka).Kill, which) }

// Stop ends brokers as an operator does, and returns when they are gone.
func (c *Cluster) Stop(which ...int) { c.end((*testkit.Kafka).Stop, which) }

func (c *Cluster) end(how func(*testkit.Kafka), which []int) {
	var all sync.WaitGroup
	for _, i := range which {
		c.down[i] = true
		all.Go(func() { how(c.Brokers[i]) })
	}
	all.Wait()
}

// Start starts brokers that were ended, and returns when they are up.
func (c *Cluster) Start(ctx context.Context, which ...int) error {
	errs := make([]error, len(which))
	var all sync.WaitGroup
	for n, i := range which {
		all.Go(func() { errs[n] = c.Brokers[i].Restart(ctx) })
	}
	all.Wait()
	for n, i := range which {
		if errs[n] == nil {
			delete(c.down, i)
		}
	}
	return errors.Join(errs...)
}

// Mend undoes whatever a schedule has left broken: the next one begins with a sound cluster.
func (c *Cluster) Mend(ctx context.Context) error {
	var errs []error
	for _, p := range c.Proxies {
		p.Set(Harm{})
		errs = append(errs, p.Accept())
	}
	for i := range c.down {
		errs = append(errs, c.Start(ctx, i))
	}
	return errors.Join(errs...)
}

// FillDisk leaves no byte on the disk of the broker that has one of its own. It returns what
// gives the room back.
func (c *Cluster) FillDisk() (free func() error, err error) {
	name := filepath.Join(c.Disk, "filler")
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("cannot fill the disk: %w", err)
	}
	defer func() { _ = f.Close() }() // what was written counts
	for block := make([]byte, 1<<20); len(block) > 0; {
		_, err := f.Write(block)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			block = block[:len(block)/2]
		case err != nil:
			return nil, fmt.Errorf("cannot fill the disk: %w", err)
		}
	}
	return func() error { return os.Remove(name) }, nil
}

// eventually returns when is does, looking often, or with an error when ctx ends before.
func eventually(ctx context.Context, what string, is func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}
