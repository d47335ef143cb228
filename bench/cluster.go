package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// cluster is the Kafka under all servers of a run.
type cluster struct {
	brokers []string
	admin   *kadm.Client
	close   func()
}

// openCluster connects to brokers, or starts a Kafka of its own if there are none.
func openCluster(ctx context.Context, brokers []string) (*cluster, error) {
	stop := func() {}
	if len(brokers) == 0 {
		k, err := testkit.NewKafka(ctx, testkit.KafkaOptions{Properties: map[string]string{
			// A run writes gigabytes; its topic is deleted when it is over.
			"log.segment.delete.delay.ms": "1000",
		}})
		if err != nil {
			return nil, err
		}
		brokers, stop = k.Addrs, k.Close
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		stop()
		return nil, fmt.Errorf("cannot build the Kafka client: %w", err)
	}
	c := &cluster{brokers: brokers, admin: kadm.NewClient(client), close: func() {
		client.Close()
		stop()
	}}
	if err := client.Ping(ctx); err != nil {
		c.close()
		return nil, fmt.Errorf("cannot reach Kafka at %v: %w", brokers, err)
	}
	return c, nil
}

var topics atomic.Int64

// newTopic creates a topic of one partition and returns its name when it has a leader.
func (c *cluster) newTopic(ctx context.Context) (string, error) {
	name := fmt.Sprintf("bench-%d-%d", os.Getpid(), topics.Add(1))
	if _, err := c.admin.CreateTopic(ctx, 1, 1, nil, name); err != nil {
		return "", fmt.Errorf("cannot create topic %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := until(ctx, func() bool {
		found, err := c.admin.ListTopics(ctx, name)
		return err == nil && found[name].Err == nil && len(found[name].Partitions) == 1 && found[name].Partitions[0].Leader >= 0
	})
	if err != nil {
		return "", fmt.Errorf("cannot create topic %s: it has no leader: %w", name, err)
	}
	return name, nil
}

// deleteTopic makes room; that it fails is no reason to end a bench.
func (c *cluster) deleteTopic(ctx context.Context, name string) {
	if _, err := c.admin.DeleteTopic(ctx, name); err != nil {
		fmt.Fprintf(os.Stderr, "cannot delete topic %s: %v\n", name, err)
	}
}

// held returns how many records a topic of [cluster.newTopic] holds.
func (c *cluster) held(ctx context.Context, topic string) (uint64, error) {
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("cannot read the end of topic %s: %w", topic, err)
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok || end.Err != nil {
		return 0, fmt.Errorf("cannot read the end of topic %s: %w", topic, end.Err)
	}
	return uint64(end.Offset), nil
}

// until waits until is returns true.
func until(ctx context.Context, is func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// waitReady waits until url answers 200, or the server has ended.
func waitReady(ctx context.Context, url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	var dead bool
	err := until(ctx, func() bool {
		select {
		case <-ended:
			dead = true
			return true
		default:
		}
		resp, err := client.Get(url)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if dead {
		return errors.New("it ended by itself")
	}
	return err
}

// freeAddress returns an address at 127.0.0.1 that nothing listens on.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("cannot find a free port: %w", err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String(), nil
}

// buildMillrace builds the program into dir, as `make build` does.
func buildMillrace(ctx context.Context, dir string) (string, error) {
	root, err := testkit.ModuleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "millrace")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", path, "./cmd/millrace")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build millrace: %w\n%s", err, out)
	}
	return path, nil
}
