package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// probeEvery is how often a probe begins an attempt, whatever became of those before.
	probeEvery = 50 * time.Millisecond
	// swift is how long an attempt may take where all is well, on a machine that is busy.
	swift = 700 * time.Millisecond
	// probePatience ends an attempt.
	probePatience = 40 * time.Second
	// lasting is how long all must be well before it counts as well again.
	lasting = 2 * time.Second
)

// attempt is one record that a probe has tried to write.
type attempt struct {
	began, ended time.Time // ended is zero while it runs
	err          error
}

func (a *attempt) good() bool {
	return a.err == nil && !a.ended.IsZero() && a.ended.Sub(a.began) <= swift
}

// Probe finds out when something that stores records does so again: it begins an attempt every
// [probeEvery], in the partitions of a topic in turn. Two of them, one straight at the brokers
// and one through a node, differ by what the node adds.
type Probe struct {
	send func(ctx context.Context, partition int32) error

	mu       sync.Mutex
	attempts []*attempt
}

// run makes attempts until ctx ends, and returns when the last has ended.
func (p *Probe) run(ctx context.Context, partitions *atomic.Int32) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	for n := int32(0); ; n++ {
		a := &attempt{began: time.Now()}
		p.mu.Lock()
		p.attempts = append(p.attempts, a)
		p.mu.Unlock()
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probePatience)
			defer cancel()
			err := p.send(ctx, n%partitions.Load())
			p.mu.Lock()
			defer p.mu.Unlock()
			a.err, a.ended = err, time.Now()
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// recovered is when the first of those attempts began, all of them good, that are the last
// until now; ok is whether they go back far enough to be believed.
func (p *Probe) recovered(now time.Time) (at time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at = now
	for i := len(p.attempts) - 1; i >= 0; i-- {
		a := p.attempts[i]
		if a.ended.IsZero() && now.Sub(a.began) < swift {
			continue // nobody knows yet
		}
		if !a.good() {
			break
		}
		at = a.began
	}
	return at, now.Sub(at) >= lasting
}

// lastErr is why the last attempt that was not good was not.
func (p *Probe) lastErr() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.attempts) - 1; i >= 0; i-- {
		a := p.attempts[i]
		switch {
		case a.good(), a.ended.IsZero() && time.Since(a.began) < swift:
		case a.err != nil:
			return a.err
		case a.ended.IsZero():
			return errors.New("no answer yet")
		default:
			return fmt.Errorf("it took %v", a.ended.Sub(a.began).Round(time.Millisecond))
		}
	}
	return nil
}

// newBrokerProbe writes to the topic straight at the brokers. Its client waits no longer than it
// must to look again, so that it is no slower than the cluster.
func newBrokerProbe(client *kgo.Client, topic string) *Probe {
	return &Probe{send: func(ctx context.Context, partition int32) error {
		err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: partition, Value: []byte("probe")}).FirstErr()
		if errors.Is(err, kerr.UnknownTopicID) {
			// The library keeps the id of a topic that was created again until it forgets the topic.
			client.PurgeTopicsFromProducing(topic)
		}
		return err
	}}
}

// probeOpts are the options of a client for [newBrokerProbe]: what does not come within a second is
// given up, and nothing is in the way of the next attempt, no order of records either.
var probeOpts = []kgo.Opt{
	kgo.RecordPartitioner(kgo.ManualPartitioner()),
	kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5),
	kgo.MetadataMinAge(50 * time.Millisecond), kgo.MetadataMaxAge(time.Second),
	kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
	kgo.ProducerLinger(0),
	kgo.DialTimeout(time.Second), kgo.RequestTimeoutOverhead(500 * time.Millisecond),
	kgo.ProduceRequestTimeout(500 * time.Millisecond), kgo.RecordDeliveryTimeout(time.Second),
}

// newNodeProbe writes to the topic through a node, on a new connection where none is free.
func newNodeProbe(client *http.Client, n *Node, topic string, write writer) *Probe {
	return &Probe{send: func(ctx context.Context, partition int32) error {
		format, body := write(partition)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL+"/topics/"+topic, strings.NewReader(body))
		if err != nil {
			return fmt.Errorf("cannot make a request: %w", err)
		}
		req.Header.Set("Content-Type", "application/vnd.kafka."+format+".v2+json")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // it was read
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return fmt.Errorf("cannot read the answer: %w", err)
		}
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `"error_code":null`) {
			return fmt.Errorf("the node answers %d %s", resp.StatusCode, text)
		}
		return nil
	}}
}

// writer returns the format and the body of a produce request of one record.
type writer func(partition int32) (format, body string)

func writeJSON(partition int32) (format, body string) {
	return "json", fmt.Sprintf(`{"records":[{"partition":%d,"value":"probe"}]}`, partition)
}

// writeNewSchemas returns a writer of Avro records. Each tenth has a schema that nobody has seen
// before: the node must ask the registry for it. With a new one each time the registry, which
// stores them one after the other in Kafka, would be what is measured.
func writeNewSchemas() writer {
	var n atomic.Int64
	return func(partition int32) (format, body string) {
		schema := fmt.Sprintf(`{"type":"record","name":"probe","fields":[{"name":"at","type":"long","doc":"%d"}]}`, n.Add(1)/10)
		return "avro", fmt.Sprintf(`{"value_schema":%q,"records":[{"partition":%d,"value":{"at":1}}]}`, schema, partition)
	}
}
