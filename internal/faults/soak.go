package faults

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// soakEvery is how often something breaks in a soak, and soakFaults how often at least.
	soakEvery, soakFaults = 2 * time.Minute, 6
	// soakSample is how often a soak looks at what the node holds.
	soakSample = time.Second
)

// soakSchedules break in turn during a soak: all that a node has to come back from by itself.
func soakSchedules() []Schedule {
	return []Schedule{
		{Name: "the leader of a partition is killed", Fault: LeaderKilled()},
		{Name: "all connections to brokers are half open", Fault: ConnectionsForgotten(), Recovery: 5*time.Second + goalRecovery},
		{Name: "all brokers refuse connections for 5 s", Fault: BrokersAway(5 * time.Second)},
		{Name: "the leader is suspended for 10 s", Fault: LeaderSuspended(10 * time.Second)},
		{Name: "the leader cannot be reached for 5 s", Fault: LeaderCutOff(silence, 5*time.Second)},
		{Name: "the way to the brokers takes 100 ms longer", Fault: Network(Harm{Latency: 100 * time.Millisecond}, 10*time.Second)},
	}
}

// holding is something that a node may not hold more and more of.
type holding struct {
	name string
	// metric is the name of its series on /metrics, which are added up, less that of what clients
	// have opened and keep.
	metric, less string
	// slack is how much more there may be in the end, besides a quarter.
	slack float64
}

var holdings = []holding{
	{"resident bytes", "process_resident_memory_bytes", "", 16 << 20},
	{"goroutines", "go_goroutines", "", 50},
	{"descriptors besides those of clients", "process_open_fds", "millrace_http_connections", 20},
	{"things out of pools", "millrace_pool_outstanding", "", 50},
}

// Held is what a node held of something in the second quarter of a soak and in the last, as
// medians.
type Held struct {
	Name       string
	Early, End float64
	slack      float64
}

// Grown reports whether that was more in the end than chance explains.
func (h Held) Grown() bool { return h.End > 1.25*h.Early+h.slack }

// Soak has a node serve for a length of time, with a fault every two minutes, and returns its
// figures and what it held.
func Soak(t testing.TB, c *Cluster, program string, length time.Duration, seed uint64) (Result, []Held) {
	t.Helper()
	s := Schedule{Name: "soak"}
	for _, one := range soakSchedules() {
		s.Recovery = max(s.Recovery, one.Recovery)
	}
	ctx, cancel := context.WithTimeout(t.Context(), length+2*scheduleTime)
	defer cancel()
	r, client, stop := s.prepare(ctx, t, c, program, seed)
	samples := r.breakInTurn(ctx, client, length)
	stop()
	r.must(c.Mend(ctx))
	r.conclude(ctx, s)
	return r.result, compared(samples)
}

// breakInTurn breaks one thing after the other for a length of time, and returns what the node
// held meanwhile.
func (r *Run) breakInTurn(ctx context.Context, client *http.Client, length time.Duration) [][]float64 {
	var samples [][]float64
	over := make(chan struct{})
	var sampling sync.WaitGroup
	sampling.Go(func() { samples = r.sample(client, over) })
	every := min(soakEvery, length/soakFaults)
	schedules, end := soakSchedules(), time.Now().Add(length)
	for n := 0; time.Until(end) > 0 && ctx.Err() == nil; n++ {
		next := time.Now().Add(every)
		s := schedules[n%len(schedules)]
		r.inflict(ctx, s)
		r.t.Logf("%s: over after %v", s.Name, time.Since(next.Add(-every)).Round(time.Second))
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
		}
	}
	close(over)
	sampling.Wait()
	return samples
}

// sample looks at the node until over is closed.
func (r *Run) sample(client *http.Client, over <-chan struct{}) (samples [][]float64) {
	tick := time.NewTicker(soakSample)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s, err := held(client, r.Nodes[0].URL+"/metrics")
			if err != nil {
				r.t.Errorf("cannot read what the node holds: %v", err)
				return samples
			}
			samples = append(samples, s)
		case <-over:
			return samples
		}
	}
}

// held reads the holdings off a page of metrics.
func held(client *http.Client, url string) ([]float64, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	sums := make([]float64, len(holdings))
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		for i, h := range holdings {
			name, value, err := series(lines.Text())
			switch {
			case err != nil:
				return nil, err
			case name == h.metric:
				sums[i] += value
			case name == h.less:
				sums[i] -= value
			}
		}
	}
	return sums, lines.Err()
}

// series is the metric that a line of a page is of, "" of a comment, and its value.
func series(line string) (name string, value float64, err error) {
	if strings.HasPrefix(line, "#") {
		return "", 0, nil
	}
	if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &value); err != nil {
		return "", 0, fmt.Errorf("cannot read %q: %w", line, err)
	}
	return line[:strings.IndexAny(line, "{ ")], value, nil
}

// compared holds the last quarter of the samples against the second: the first is for settling.
func compared(samples [][]float64) (all []Held) {
	quarter := len(samples) / 4
	if quarter == 0 {
		return nil
	}
	for i, h := range holdings {
		all = append(all, Held{h.name, median(samples[quarter:2*quarter], i), median(samples[3*quarter:], i), h.slack})
	}
	return all
}

func median(samples [][]float64, of int) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, s[of])
	}
	slices.Sort(values)
	return values[len(values)/2]
}
