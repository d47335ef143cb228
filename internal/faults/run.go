package faults

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/internal/registry"
	"millrace/internal/testkit"
	"millrace/loadtest/check"
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
	// Registry has the probe write Avro with new schemas, for which the node needs a registry.
	Registry bool
	// Cluster has the nodes serve consumers as one service.
	Cluster bool
	// Bad is the share of records that break a rule of Kafka's.
	Bad float64
	// Disk says that it needs the broker with a small disk.
	Disk bool
	// Cuts allows requests to be cut off, because it is their node that dies.
	Cuts bool
	// Recovery is how much later than the Kafka cluster the service may be; 0: [goalRecovery].
	Recovery time.Duration
	// Expected are anomalies that are known, each with what will mend it.
	Expected map[check.Anomaly]string
	// Logs matches what brokers log because of the fault itself.
	Logs *regexp.Regexp
}

// Run is a schedule while it runs.
type Run struct {
	Cluster *Cluster
	Nodes   []*Node
	// Registry is the network to the schema registry; nil without one.
	Registry *Proxy
	// Topic is what clients write to and read from, Probed what the probes write to.
	Topic, Probed string

	t          testing.TB
	partitions atomic.Int32 // that the probes write to
	brokers    *Probe       // straight at the brokers
	service    *Probe       // through a node
	traffic    *traffic
	result     Result
}

// Execute runs a schedule from beginning to end, and returns its figures.
func (s Schedule) Execute(t testing.TB, c *Cluster, program string, seed uint64) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scheduleTime)
	defer cancel()
	r, _, stop := s.prepare(ctx, t, c, program, seed)
	r.inflict(ctx, s)
	stop()
	r.must(c.Mend(ctx))
	r.conclude(ctx, s)
	return r.result
}

// prepare makes the topics, nodes, probes and traffic of a run, and returns once all works. The
// traffic ends with stop, or with t.
func (s Schedule) prepare(ctx context.Context, t testing.TB, c *Cluster, program string, seed uint64) (r *Run, client *http.Client, stop func()) {
	t.Helper()
	r = &Run{Cluster: c, Topic: testkit.Topic(t), t: t, result: Result{Schedule: s}}
	r.Probed = r.Topic + "-probe"
	r.partitions.Store(partitions)
	for _, topic := range []string{r.Topic, r.Probed} {
		r.must(c.CreateTopic(ctx, topic, partitions))
	}
	r.startNodes(s, program)
	client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	t.Cleanup(client.CloseIdleConnections)
	write := writer(writeJSON)
	if s.Registry {
		write = writeNewSchemas()
	}
	r.brokers = newBrokerProbe(c.Client(t, probeOpts...), r.Probed)
	r.service = newNodeProbe(client, r.Nodes[0], r.Probed, write)
	r.traffic = newTraffic(r, s, seed)
	stop = r.load(ctx)
	t.Cleanup(stop)
	r.settle(ctx)
	_, err := c.LogsSince(nil)
	r.must(err)
	for _, n := range r.Nodes {
		n.atPeace()
	}
	return r, client, stop
}

// startNodes starts the processes of a schedule, and the registry if they need one.
func (r *Run) startNodes(s Schedule, program string) {
	settings := slices.Clone(s.Settings)
	if s.Registry {
		settings = append(settings, "schema.registry.url="+r.startRegistry())
	}
	if s.Cluster {
		settings = append(settings, "cluster.enable=true", "cluster.secret=sixteen letters.", "cluster.topic=_"+r.Topic,
			"cluster.heartbeat.interval.ms=1000", "cluster.lease.ms=5000")
	}
	for n := range max(1, s.Nodes) {
		args := nodeArgs(r.Cluster, append(settings, fmt.Sprintf("id=%s-%d", r.Topic, n)))
		r.Nodes = append(r.Nodes, newNode(r.t, program, args))
	}
}

// startRegistry starts a schema registry behind a proxy, and returns its URL.
func (r *Run) startRegistry() string {
	schemas, err := registry.Start(registry.Options{Listen: "127.0.0.1:0", Brokers: r.Cluster.Straight()})
	r.must(err)
	r.t.Cleanup(schemas.Close)
	at, err := url.Parse(schemas.URL())
	r.must(err)
	r.Registry, err = NewProxy()
	r.must(err)
	r.t.Cleanup(r.Registry.Close)
	r.Registry.Forward(at.Host)
	at.Host = r.Registry.Addr()
	return at.String()
}

// load has probes and clients at work until stop is called, which returns when the last has ended.
func (r *Run) load(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, p := range []*Probe{r.brokers, r.service} {
		all.Go(func() { p.run(ctx, &r.partitions) })
	}
	all.Go(func() { r.traffic.run(ctx) })
	return func() {
		cancel()
		all.Wait()
	}
}

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
func (r *Run) inflict(ctx context.Context, s Schedule) {
	for f := &s.Fault; f != nil; f = f.Then {
		r.suffer(ctx, s.Name, f)
	}
}

// suffer is inflict for one fault. Its beginning and its end are two disturbances, each measured
// from its own time on: the bare client may notice only the first and the service only the second,
// and the time between them would be taken for that of a recovery.
func (r *Run) suffer(ctx context.Context, name string, f *Fault) {
	began := time.Now()
	r.traffic.disturb(name)
	if f.Begin != nil {
		r.must(f.Begin(ctx, r))
	}
	broken := time.Now()
	if f.End == nil {
		r.measure(ctx, began, broken)
		return
	}
	select {
	case <-time.After(f.Lasts):
	case <-ctx.Done():
	}
	if f.Survivable {
		r.measure(ctx, began, broken)
	}
	r.traffic.disturb(name + ": its end")
	r.must(f.End(ctx, r))
	mended := time.Now()
	r.measure(ctx, mended, mended)
}

// measure waits until brokers and service are well, and notes how much later the service was. since
// is when it could be at the soonest; what was well before from proves nothing.
func (r *Run) measure(ctx context.Context, since, from time.Time) {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	err := eventually(ctx, "the service to recover", func() bool {
		_, cluster := r.brokers.recovered(time.Now())
		_, service := r.service.recovered(time.Now())
		return cluster && service && time.Since(from) >= lasting
	})
	if err != nil {
		r.t.Errorf("%v; brokers: %v; service: %v", err, r.brokers.lastErr(), r.service.lastErr())
	}
	r.judge(since)
}

// judge notes how long after since the brokers were well, and how much later the service was, or
// how much later it is by now. If the brokers are not well, nothing can be said of the service. Of
// several disturbances the longest counts.
func (r *Run) judge(since time.Time) {
	now := time.Now()
	cluster, ok := r.brokers.recovered(now)
	service, _ := r.service.recovered(now)
	if !ok {
		r.result.ClusterAway = max(r.result.ClusterAway, now.Sub(since))
		return
	}
	if cluster.Before(since) {
		cluster = since
	}
	away, later := cluster.Sub(since), max(0, service.Sub(cluster))
	r.t.Logf("Kafka was away for %v, the service for %v more", away.Round(time.Millisecond), later.Round(time.Millisecond))
	r.result.ClusterAway, r.result.Recovery = max(r.result.ClusterAway, away), max(r.result.Recovery, later)
}

// conclude collects the figures when all has ended.
func (r *Run) conclude(ctx context.Context, s Schedule) {
	r.must(r.traffic.verify(ctx, &r.result))
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
