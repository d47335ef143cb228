package faults

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"millrace/internal/testkit"
)

const (
	partitions = 6
	// scheduleTime ends a schedule that does not come to its end.
	scheduleTime = 6 * time.Minute
	// recoveryTime is how long the service may take before it counts as not recovered.
	recoveryTime = 90 * time.Second
)

// Schedule is one row of the table: what breaks, and what is right nevertheless.
type Schedule struct {
	Name  string
	Fault Fault
	// Short has CI run it as well.
	Short bool
	// Nodes is how many millrace processes there are; 0: one. Settings are theirs, name=value.
	Nodes    int
	Settings []string
	// Disk says that it needs the broker with a small disk.
	Disk bool
	// Logs matches what brokers log because of the fault itself.
	Logs *regexp.Regexp
}

// Run is a schedule while it runs.
type Run struct {
	Cluster *Cluster
	Nodes   []*Node
	// Topic is what clients write to and read from.
	Topic string

	t       testing.TB
	program string
	brokers *Probe // straight at the brokers
	service *Probe // through a node
	traffic *traffic
	result  Result
}

// Execute runs a schedule from beginning to end, and returns its figures.
func (s Schedule) Execute(t testing.TB, c *Cluster, program string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scheduleTime)
	defer cancel()
	r := &Run{Cluster: c, Topic: testkit.Topic(t), t: t, program: program, result: Result{Schedule: s.Name}}
	probed := r.Topic + "-probe"
	for _, topic := range []string{r.Topic, probed} {
		r.must(c.CreateTopic(ctx, topic, partitions))
	}
	for range max(1, s.Nodes) {
		r.Nodes = append(r.Nodes, startNode(t, c, program, s.Settings...))
	}
	loading, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	var load sync.WaitGroup
	defer load.Wait()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	r.brokers = newBrokerProbe(c.Client(t, probeOpts...), probed)
	r.service = newNodeProbe(client, r.url, probed)
	r.traffic = newTraffic(r)
	for _, run := range []func(context.Context){
		func(ctx context.Context) { r.brokers.run(ctx, partitions) },
		func(ctx context.Context) { r.service.run(ctx, partitions) },
		r.traffic.run,
	} {
		load.Go(func() { run(loading) })
	}
	r.settle(ctx)
	_, err := c.LogsSince(nil)
	r.must(err)
	for _, n := range r.Nodes {
		n.atPeace()
	}
	r.inflict(ctx, s.Fault)
	stopLoad()
	load.Wait()
	r.must(c.Mend(ctx))
	r.conclude(ctx, s)
	return r.result
}

// url is that of a node that clients of no node in particular use: the last.
func (r *Run) url() string { return r.Nodes[len(r.Nodes)-1].URL }

// settle returns when all has been well for a while.
func (r *Run) settle(ctx context.Context) {
	err := eventually(ctx, "all to be well before anything breaks", func() bool {
		_, brokers := r.brokers.recovered(time.Now())
		_, service := r.service.recovered(time.Now())
		return brokers && service
	})
	if err != nil {
		r.t.Fatalf("%v; brokers: %v; service: %v", err, r.brokers.lastErr(), r.service.lastErr())
	}
}

// inflict breaks and mends, and takes the time that it needs to be well again.
func (r *Run) inflict(ctx context.Context, f Fault) {
	began := time.Now()
	r.must(f.Begin(ctx, r))
	if f.Survivable || f.End == nil {
		r.measure(ctx, began)
	}
	if f.End == nil {
		return
	}
	select {
	case <-time.After(time.Until(began.Add(f.Lasts))):
	case <-ctx.Done():
	}
	r.must(f.End(ctx, r))
	since := time.Now()
	if f.Survivable {
		since = began // the cluster did not wait for its end
	}
	r.measure(ctx, since)
}

// measure waits until brokers and service are well, and notes how much later the service was. since is
// when it could be at the soonest.
func (r *Run) measure(ctx context.Context, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	var cluster, service time.Time
	err := eventually(ctx, "the service to recover", func() bool {
		var ok1, ok2 bool
		now := time.Now()
		cluster, ok1 = r.brokers.recovered(now)
		service, ok2 = r.service.recovered(now)
		// What was well before it broke proves nothing.
		return ok1 && ok2 && now.Sub(since) >= lasting
	})
	if err != nil {
		r.t.Errorf("%v; brokers: %v; service: %v", err, r.brokers.lastErr(), r.service.lastErr())
	}
	if cluster.Before(since) {
		cluster = since
	}
	r.result.ClusterAway = max(r.result.ClusterAway, cluster.Sub(since))
	r.result.Recovery = max(r.result.Recovery, service.Sub(cluster))
}

// conclude collects the figures when all has ended.
func (r *Run) conclude(ctx context.Context, s Schedule) {
	r.traffic.report(ctx, &r.result)
	for _, n := range r.Nodes {
		steady, peak := n.memory()
		if peak-steady >= r.result.Peak-r.result.Steady {
			r.result.Steady, r.result.Peak = steady, peak
		}
		if c := n.complaint(); c != "" {
			r.result.Complaints = append(r.result.Complaints, c)
		}
	}
	alarms, err := r.Cluster.LogsSince(s.Logs)
	r.must(err)
	r.result.Alarms = alarms
}

func (r *Run) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Program is what is tried: MILLRACE_BIN, or what is built from this source.
func Program(t testing.TB) string {
	t.Helper()
	if program := os.Getenv("MILLRACE_BIN"); program != "" {
		return program
	}
	return testkit.Binary(t)
}
