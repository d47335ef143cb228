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
	"slices"
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
	client, err := kgo.NewClient(kgo.DisableClientMetrics(), kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(50*time.Millisecond))
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
	names, err := c.newTopics(ctx, 1, 1)
	if err != nil {
		return "", err
	}
	return names[0], nil
}

// newTopics creates topics and returns their names when all partitions have leaders.
func (c *cluster) newTopics(ctx context.Context, n, partitions int) ([]string, error) {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("bench-%d-%d", os.Getpid(), topics.Add(1))
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	created, err := c.admin.CreateTopics(ctx, int32(partitions), 1, nil, names...)
	if err == nil {
		err = created.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot create topics: %w", err)
	}
	err = until(ctx, func() bool {
		found, err := c.admin.ListTopics(ctx, names...)
		return err == nil && !slices.ContainsFunc(names, func(name string) bool {
			led := found[name].Partitions
			for _, p := range led {
				if p.Leader < 0 {
					return true
				}
			}
			return len(led) != partitions
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot create topics: some have no leader: %w", err)
	}
	return names, nil
}

// deleteTopic makes room; that it fails is no reason to end a bench.
func (c *cluster) deleteTopic(ctx context.Context, names ...string) {
	if _, err := c.admin.DeleteTopics(ctx, names...); err != nil {
		fmt.Fprintf(os.Stderr, "cannot delete topics: %v\n", err)
	}
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
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/millrace")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build millrace: %w\n%s", err, out)
	}
	return path, nil
}
