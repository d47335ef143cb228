// Command gateways measures millrace beside other gateways that take events over HTTP and write
// them to Kafka: what a core does in a second, and what of the acknowledged events is lost.
//
//	make gateways            builds the others from their modules, and runs all of it
//	go run ./bench/gateways -otelcol PATH -telegraf PATH -millrace PATH
//
// Each gateway gets the same events, 100 in a request, from 16 clients that send the next request
// when they have the answer to the last. It runs alone, on a Kafka of its own data. Three runs:
//
//   - rate: events over the gateway's own CPU time, counted when Kafka has all of them;
//   - the gateway is killed (SIGKILL) under load, and started again;
//   - Kafka is killed under load for 20 s, and started again.
//
// Of the last two each event that was answered with 2xx is looked for in Kafka. An event has an id,
// and is sent once. main.go has the runs, peers.go the gateways and the forms of their requests,
// process.go what is a process.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

const (
	clients = 16
	batch   = 100 // events of a request
	// quiet is how long a topic that has stopped to grow has to stand still before it is read.
	quiet = 12 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.millrace, "millrace", "bin/millrace", "path of millrace")
	flag.StringVar(&o.otelcol, "otelcol", "", "path of the OpenTelemetry collector of bench/gateways/otelcol; empty: without it")
	flag.StringVar(&o.telegraf, "telegraf", "", "path of Telegraf; empty: without it")
	flag.DurationVar(&o.time, "time", 5*time.Second, "how long the rate is measured")
	flag.DurationVar(&o.outage, "outage", 20*time.Second, "how long Kafka is away")
	flag.IntVar(&o.rounds, "rounds", 3, "of the rate; the best one counts")
	flag.StringVar(&o.only, "only", "", "only gateways whose names have this in them")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "gateways:", err)
		os.Exit(1)
	}
}

type options struct {
	millrace, otelcol, telegraf string
	only                        string
	time, outage                time.Duration
	rounds                      int
}

// trial is one run of the program.
type trial struct {
	options
	kafka  *testkit.Kafka
	client *kgo.Client
	dir    string
	// lost is, by gateway, how many per cent of the events that it acknowledged are not in Kafka,
	// though nothing was killed.
	lost map[string]int64
}

func run(ctx context.Context, o options) (err error) {
	l := &trial{options: o, lost: map[string]int64{}}
	if l.kafka, err = testkit.NewKafka(ctx, testkit.KafkaOptions{}); err != nil {
		return err
	}
	defer l.kafka.Close()
	if l.client, err = kgo.NewClient(kgo.SeedBrokers(l.kafka.Addrs...)); err != nil {
		return err
	}
	defer l.client.Close()
	if l.dir, err = os.MkdirTemp("", "millrace-gateways-*"); err != nil {
		return err
	}
	defer os.RemoveAll(l.dir)
	fmt.Println("| gateway | CPU an event | events/s a core | answered 2xx and lost, gateway killed | answered 2xx and lost, Kafka killed for", o.outage, "|")
	fmt.Println("|---|---|---|---|---|")
	for _, g := range l.gateways() {
		if !strings.Contains(g.name, o.only) {
			continue
		}
		rate, err := l.rate(ctx, g)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %v of CPU an event\n", g.name, rate)
		killed, err := l.loss(ctx, g, func(p *process) error { return p.restart(l, g) }, time.Second)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: killed, %s lost\n", g.name, killed)
		away, err := l.loss(ctx, g, func(*process) error {
			l.kafka.Kill()
			time.Sleep(o.outage)
			return l.kafka.Restart(ctx)
		}, 2*time.Second)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		name := g.name
		if lost := l.lost[name]; lost > 0 {
			name += fmt.Sprintf(" (loses %d %% without a fault)", lost)
		}
		fmt.Printf("| %s | %.2f µs | %.0f | %s | %s |\n", name, float64(rate.Nanoseconds())/1e3, 1e9/float64(rate.Nanoseconds()), killed, away)
	}
	if len(l.lost) > 0 {
		return fmt.Errorf("without a fault, events that were acknowledged are not in Kafka: %v (%% by gateway)", l.lost)
	}
	return nil
}

// load sends events to a gateway until stop is closed, and returns the ids of those that were
// answered with 2xx.
func (l *trial) load(g *gateway, url string, stop <-chan struct{}) map[string]bool {
	var (
		mu      sync.Mutex
		acked   = map[string]bool{}
		number  atomic.Int64
		sending sync.WaitGroup
	)
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	for range clients {
		sending.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				first := number.Add(batch) - batch
				ids := make([]string, batch)
				for i := range ids {
					ids[i] = fmt.Sprintf("%012d", first+int64(i))
				}
				if !post(client, url, g, ids) {
					time.Sleep(50 * time.Millisecond)
					continue
				}
				mu.Lock()
				for _, id := range ids {
					acked[id] = true
				}
				mu.Unlock()
			}
		})
	}
	sending.Wait()
	return acked
}

func post(client *http.Client, url string, g *gateway, ids []string) bool {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(g.body(ids)))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", g.contentType)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	// A 207 says of some events that they are not taken: the request does not count.
	return resp.StatusCode/100 == 2 && resp.StatusCode != http.StatusMultiStatus
}

// rate returns the CPU time of the gateway an event, the best of all rounds.
func (l *trial) rate(ctx context.Context, g *gateway) (best time.Duration, err error) {
	for range l.rounds {
		topic, p, err := l.start(ctx, g)
		if err != nil {
			return 0, err
		}
		one, err := l.round(ctx, g, p, topic)
		p.kill()
		if err != nil {
			return 0, err
		}
		if best == 0 || one < best {
			best = one
		}
	}
	return best, nil
}

// round returns the CPU time of a gateway an event, in one load after another that warms it up.
func (l *trial) round(ctx context.Context, g *gateway, p *process, topic string) (time.Duration, error) {
	l.load(g, p.url, closedAfter(time.Second))
	before, err := l.settled(ctx, topic, time.Second)
	if err != nil {
		return 0, err
	}
	began, err := p.cpu()
	if err != nil {
		return 0, err
	}
	acked := l.load(g, p.url, closedAfter(l.time))
	after, err := l.settled(ctx, topic, quiet)
	if err != nil {
		return 0, err
	}
	n := after - before
	if lost := int64(len(acked)) - n; lost > 0 { // its CPU is that of the others all the same
		l.lost[g.name] = max(l.lost[g.name], lost*100/int64(len(acked)))
	}
	ended, err := p.cpu()
	return (ended - began) / time.Duration(max(n, 1)), err
}

// closedAfter returns a channel that is closed after a time.
func closedAfter(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

// loss returns what of the acknowledged events Kafka lacks after the fault, which comes a while
// after the load has begun; the load goes on until a while after it.
func (l *trial) loss(ctx context.Context, g *gateway, fault func(*process) error, while time.Duration) (string, error) {
	topic, p, err := l.start(ctx, g)
	if err != nil {
		return "", err
	}
	defer func() { p.kill() }()
	stop := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		time.Sleep(while)
		failed <- fault(p)
		time.Sleep(while)
		close(stop)
	}()
	acked := l.load(g, p.url, stop)
	if err := <-failed; err != nil {
		return "", err
	}
	if _, err := l.settled(ctx, topic, quiet); err != nil {
		return "", err
	}
	found, doubles, err := l.read(ctx, topic)
	if err != nil {
		return "", err
	}
	lost := 0
	for id := range acked {
		if !found[id] {
			lost++
		}
	}
	return fmt.Sprintf("%d of %d (%d twice)", lost, len(acked), doubles), nil
}

// end returns how many records a topic has.
func (l *trial) end(ctx context.Context, topic string) (int64, error) {
	ends, err := kadm.NewClient(l.client).ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	last, _ := ends.Lookup(topic, 0)
	return last.Offset, last.Err
}

// settled waits until a topic has stopped to grow for a while, and returns how many records it has.
func (l *trial) settled(ctx context.Context, topic string, while time.Duration) (int64, error) {
	last, since := int64(-1), time.Now()
	for ctx.Err() == nil {
		n, err := l.end(ctx, topic)
		switch {
		case err != nil:
			return 0, err
		case n != last:
			last, since = n, time.Now()
		case time.Since(since) > while:
			return n, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0, ctx.Err()
}

var idMember = regexp.MustCompile(`"id":"(\d{12})"`)

// read returns the ids of the events in a topic, and how many stand there more than once.
func (l *trial) read(ctx context.Context, topic string) (found map[string]bool, doubles int, err error) {
	n, err := l.end(ctx, topic)
	if err != nil {
		return nil, 0, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(l.kafka.Addrs...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, 0, err
	}
	defer client.Close()
	found = map[string]bool{}
	for read := int64(0); read < n; {
		fetches := client.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			return nil, 0, err
		}
		for _, r := range fetches.Records() {
			read = r.Offset + 1
			for _, m := range idMember.FindAllSubmatch(r.Value, -1) {
				if id := string(m[1]); found[id] {
					doubles++
				} else {
					found[id] = true
				}
			}
		}
	}
	return found, doubles, nil
}
