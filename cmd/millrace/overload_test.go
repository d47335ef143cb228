package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/lab"
	"millrace/internal/testkit"
)

const (
	// peakConnections is how many connections the closed loop has, in which the peak is
	// measured, overloadConnections how many the overload has.
	peakConnections, overloadConnections = 64, 1024
	// overloadFactor is how many times the peak is offered.
	overloadFactor = 4
	// normalSlice is the time that a return to normal is told by.
	normalSlice = 100 * time.Millisecond
	// serving is the line with the address that a node serves.
	serving = `msg=serving addresses=\[http://([^\]]+)\]`
	// The routes of requests that are refused unread, and of others, on /metrics.
	routeShed, routeProduce = "shed", "/topics/{topic}"
)

// TestOverload measures a node on one core that is offered four times of what it can take, for
// docs/reliability.md. `make overload` runs it, with generator and broker on another core.
func TestOverload(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_OVERLOAD", "overload was not measured: that takes minutes, and a machine of its own to mean something; `make overload` does")
	if os.Getenv("MILLRACE_OVERLOAD") == brokerOnly {
		serveBroker(t)
		return
	}
	length := time.Minute
	if text := os.Getenv("OVERLOAD"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println("| request | peak, closed loop | with the connections of the overload | offered | goodput of both | refused | no answer in time | refusals in the node, p99 | accepted in the node, p99 | accepted at half load, p50, p99 | accepted, p50, p99 | RSS steady | RSS peak | normal after | CPU of the node at the peak, at half load, in overload |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, records := range []int{100, 1} {
		t.Run(fmt.Sprintf("%d records of 200 bytes", records), func(t *testing.T) { overload(t, records, length) })
	}
}

// overload measures requests of so many records and prints their row.
func overload(t *testing.T, records int, length time.Duration) {
	broker := startBroker(t)
	topic := testkit.CreateTopic(t, broker, 8)
	wide := widePeak(t, broker, topic, records, length)
	p := startPinned(t, broker)
	addr := p.WaitLine(t, serving, 20*time.Second)[1]
	g := &generator{addr: addr, request: produceRequest(topic, records)}
	g.closed(t, peakConnections, 3*time.Second) // pools and batches fill
	busy := []time.Duration{p.CPU(t)}
	peak := g.closed(t, peakConnections, max(length/4, 5*time.Second)).rate()
	busy = append(busy, p.CPU(t))
	half := g.open(t, peakConnections, peak/2, max(length/4, 5*time.Second))
	busy = append(busy, p.CPU(t))
	steady, _ := p.Resident(t)
	refusedBefore, servedBefore := inNode(t, addr, routeShed), inNode(t, addr, routeProduce)
	over := g.open(t, overloadConnections, overloadFactor*peak, length)
	busy = append(busy, p.CPU(t))
	refusedAfter, servedAfter := inNode(t, addr, routeShed), inNode(t, addr, routeProduce)
	after := g.open(t, peakConnections, peak/2, 5*time.Second)
	_, top := p.Resident(t)
	fmt.Printf("| %d | %.0f/s | %.0f/s | %.0f/s | %.1f, %.1f %% | %.0f/s | %d | %v | %v | %v, %v | %v, %v | %d MB | %d MB | %v | %.1f, %.1f, %.1f s |\n", records, peak, wide, over.offered(), 100*over.rate()/peak, 100*over.rate()/wide,
		over.per(over.refused), over.failed, refusedAfter.p99(refusedBefore), servedAfter.p99(servedBefore), round(half.took.Quantile(.5)), round(half.took.Quantile(.99)),
		round(over.took.Quantile(.5)), round(over.took.Quantile(.99)), steady/1e6, top/1e6, after.normal(4*half.took.Quantile(.99)),
		(busy[1] - busy[0]).Seconds(), (busy[2] - busy[1]).Seconds(), (busy[3] - busy[2]).Seconds())
	if over.unsaid > 0 {
		t.Errorf("%d refusals without Retry-After, or with another status than 429 and 503: %s", over.unsaid, over.sample)
	}
}

// widePeak is the peak with as many connections as the overload has, of a node that sheds nothing:
// a request costs more the more connections there are, as their memory leaves the caches meanwhile.
func widePeak(t *testing.T, broker testkit.Broker, topic string, records int, length time.Duration) float64 {
	p := startPinned(t, broker, "--set=overload.delay.ms=0")
	defer p.Signal(t, syscall.SIGKILL)
	g := &generator{addr: p.WaitLine(t, serving, 20*time.Second)[1], request: produceRequest(topic, records)}
	g.closed(t, overloadConnections, 3*time.Second)
	return g.closed(t, overloadConnections, max(length/4, 5*time.Second)).rate()
}

// brokerOnly is MILLRACE_OVERLOAD of the process that is the broker. It has one of its own, before
// the generator in the kernel's eyes: a generator that never rests would starve it.
const brokerOnly = "broker"

func startBroker(t *testing.T) testkit.Broker {
	cmd := exec.Command("nice", "-n", "-5", os.Args[0], "-test.run=^TestOverload$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), "MILLRACE_OVERLOAD="+brokerOnly)
	p := testkit.StartProcess(t, cmd)
	return testkit.Broker{Addrs: strings.Split(p.WaitLine(t, `^broker at (.*)$`, 20*time.Second)[1], ",")}
}

// serveBroker is a broker until the process is killed. It keeps no record: what kfake does with
// them would bound the load before the node does.
func serveBroker(t *testing.T) {
	broker := testkit.Fake(t)
	offset := int64(0)
	broker.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		resp := r.ResponseKind().(*kmsg.ProduceResponse)
		for _, asked := range r.(*kmsg.ProduceRequest).Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = asked.Topic, asked.TopicID
			for _, p := range asked.Partitions {
				answer := kmsg.NewProduceResponseTopicPartition()
				answer.Partition, answer.BaseOffset = p.Partition, offset
				offset += 1 << 16
				topic.Partitions = append(topic.Partitions, answer)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	fmt.Println("broker at " + strings.Join(broker.Addrs, ","))
	select {}
}

// startPinned starts the program, MILLRACE_BIN or this one, on one core.
func startPinned(t *testing.T, broker testkit.Broker, settings ...string) *testkit.Process {
	program := os.Getenv("MILLRACE_BIN")
	if program == "" {
		program = testkit.Binary(t)
	}
	args := append([]string{"-c", "0", program, "serve", "--set=bootstrap.servers=" + strings.Join(broker.Addrs, ","), "--set=listeners=http://127.0.0.1:0"},
		append(strings.Fields(os.Getenv("MILLRACE_ARGS")), settings...)...)
	return testkit.StartProcess(t, exec.Command("taskset", args...))
}

func produceRequest(topic string, records int) []byte {
	record := `{"value":"` + strings.Repeat("v", 200) + `"}`
	body := `{"records":[` + strings.Repeat(record+",", records-1) + record + `]}`
	return fmt.Appendf(nil, "POST /topics/%s HTTP/1.1\r\nHost: h\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: %d\r\n\r\n%s", topic, len(body), body)
}

// generator sends one request over and over, as cheaply as it can be done.
type generator struct {
	addr    string
	request []byte
}

// answers are what came of a load.
type answers struct {
	length          time.Duration
	began           time.Time
	ok, refused     int
	failed, unsaid  int // connections that broke, and refusals that do not say when to come again
	sample          string
	took            lab.Histogram // of accepted requests, from when they were sent
	slices          map[int]*lab.Histogram
	refusedInSlices map[int]int
}

func (a *answers) rate() float64          { return a.per(a.ok) }
func (a *answers) offered() float64       { return a.per(a.ok + a.refused) }
func (a *answers) per(n int) float64      { return float64(n) / a.length.Seconds() }
func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// normal is the time from the beginning after which no slice of it had refusals, or a p99
// over most.
func (a *answers) normal(most time.Duration) time.Duration {
	last := 0
	for i, h := range a.slices {
		if h.Quantile(.99) > most {
			last = max(last, i+1)
		}
	}
	for i := range a.refusedInSlices {
		last = max(last, i+1)
	}
	return time.Duration(last) * normalSlice
}

func (a *answers) add(other *answers) {
	a.ok, a.refused, a.failed, a.unsaid = a.ok+other.ok, a.refused+other.refused, a.failed+other.failed, a.unsaid+other.unsaid
	a.sample += other.sample
	a.took.Merge(&other.took)
	for i, h := range other.slices {
		if a.slices[i] == nil {
			a.slices[i] = &lab.Histogram{}
		}
		a.slices[i].Merge(h)
	}
	for i, n := range other.refusedInSlices {
		a.refusedInSlices[i] += n
	}
}

func newAnswers(began time.Time) *answers {
	return &answers{began: began, slices: make(map[int]*lab.Histogram), refusedInSlices: make(map[int]int)}
}

func (g *generator) closed(t *testing.T, connections int, length time.Duration) *answers {
	return g.run(t, &lab.Load{Workers: connections}, length)
}

func (g *generator) open(t *testing.T, connections int, rate float64, length time.Duration) *answers {
	return g.run(t, &lab.Load{Workers: connections, Schedule: lab.NewSchedule(lab.Stage{From: rate, To: rate, For: length})}, length)
}

func (g *generator) run(t *testing.T, load *lab.Load, length time.Duration) *answers {
	t.Helper()
	all := newAnswers(time.Now())
	var mu sync.Mutex
	stop := time.AfterFunc(length, load.Stop)
	defer stop.Stop()
	load.Run(func(int) (lab.Send, func()) {
		own := newAnswers(all.began)
		var c *rawConn
		send := func(time.Time) bool {
			if c == nil {
				if c = dial(g.addr); c == nil {
					own.failed++
					return true
				}
			}
			if !c.ask(g.request, own) {
				c = nil
			}
			return true
		}
		return send, func() {
			if c != nil {
				c.Close()
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(own)
		}
	})
	all.length = time.Since(all.began)
	return all
}

// rawConn is a connection of the generator.
type rawConn struct {
	net.Conn
	answers *bufio.Reader
}

func dial(addr string) *rawConn {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil
	}
	return &rawConn{c, bufio.NewReader(c)}
}

// ask sends a request and notes what came of it; false: the connection is over.
func (c *rawConn) ask(request []byte, to *answers) bool {
	began := time.Now()
	_ = c.SetDeadline(began.Add(30 * time.Second))
	_, sent := c.Write(request) // an answer may have come all the same
	status, again, open, err := c.answer()
	if err != nil {
		to.failed++
		c.Close()
		return false
	}
	took, slice := time.Since(began), int(time.Since(to.began)/normalSlice)
	switch {
	case status == http.StatusOK:
		to.ok++
		to.took.Add(took)
		if to.slices[slice] == nil {
			to.slices[slice] = &lab.Histogram{}
		}
		to.slices[slice].Add(took)
	default:
		to.refused++
		to.refusedInSlices[slice]++
		if !again || status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
			to.unsaid++
			to.sample = strconv.Itoa(status)
		}
	}
	if sent != nil || !open {
		c.Close()
		return false
	}
	return true
}

// answer reads one answer: whether it says when to come again, and whether the connection
// stays open.
func (c *rawConn) answer() (status int, again, open bool, err error) {
	length, open := 0, true
	for {
		line, err := c.answers.ReadSlice('\n')
		if err != nil {
			return 0, false, false, err
		}
		switch {
		case bytes.HasPrefix(line, []byte("HTTP/1.1 ")):
			_, err = fmt.Sscan(string(line[9:12]), &status)
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			_, err = fmt.Sscan(string(line[16:]), &length)
		case bytes.HasPrefix(line, []byte("Retry-After: ")):
			again = true
		case bytes.HasPrefix(line, []byte("Connection: close")):
			open = false
		case len(line) == 2:
			_, err = io.CopyN(io.Discard, c.answers, int64(length))
			return status, again, open, err
		}
		if err != nil {
			return 0, false, false, err
		}
	}
}

// timed are the classic buckets of the times that requests took inside the node, and the number
// of all of them.
type timed struct {
	bounds  []float64
	counts  []uint64
	samples uint64
}

// inNode reads what a route has taken up to now.
func inNode(t *testing.T, addr, route string) (all timed) {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families["millrace_http_request_duration_seconds"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() != "route" || l.GetValue() != route {
				continue
			}
			all.samples = m.GetHistogram().GetSampleCount()
			for _, b := range m.GetHistogram().GetBucket() {
				all.bounds, all.counts = append(all.bounds, b.GetUpperBound()), append(all.counts, b.GetCumulativeCount())
			}
		}
	}
	return all
}

// p99 is the end of the bucket that has the p99 of what came after before.
func (a timed) p99(before timed) string {
	if before.counts == nil {
		before.counts = make([]uint64, len(a.counts))
	}
	if a.samples == before.samples {
		return "none"
	}
	for i, n := range a.counts {
		if float64(n-before.counts[i]) >= .99*float64(a.samples-before.samples) {
			return fmt.Sprintf("≤ %v", time.Duration(a.bounds[i]*float64(time.Second)))
		}
	}
	return "more"
}
