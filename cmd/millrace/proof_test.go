package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// The size of the proof: each group reads all records.
const (
	proofRecords    = 300_000
	proofGroups     = 3
	proofInstances  = 4 // of each group
	proofPartitions = 12
	proofWriting    = time.Minute // how long the writing takes, faults included
	// cured is within what time a retry must find an instance again.
	cured = 10 * time.Second
)

// balance starts nginx in front of the nodes, round robin, and returns its URL.
func balance(t *testing.T, urls []string) string {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Fatal("there is no nginx; Debian's package nginx-light has it")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := ln.Addr().String(), t.TempDir()
	ln.Close()
	var servers strings.Builder
	for _, u := range urls {
		fmt.Fprintf(&servers, "server %s max_fails=1 fail_timeout=2s;\n", strings.TrimPrefix(u, "http://"))
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events { worker_connections 1024; }
http {
	access_log off; proxy_max_temp_file_size 0;
	client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	upstream proxies { %[2]s keepalive 64; }
	server {
		listen %[3]s;
		location / {
			proxy_pass http://proxies; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
			proxy_connect_timeout 1s; proxy_read_timeout 60s;
		}
	}
}
`, dir, servers.String(), addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.StartProcess(t, exec.Command(nginx, "-c", conf, "-e", filepath.Join(dir, "error.log")))
	testkit.Eventually(t, 20*time.Second, "nginx", func() bool {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	return "http://" + addr
}

// ledger is what one group has read.
type ledger struct {
	mu    sync.Mutex
	seen  [proofPartitions][]uint8 // by offset: how often each record was answered
	count int
}

func newLedger() *ledger {
	l := &ledger{}
	for p := range l.seen {
		l.seen[p] = make([]uint8, proofRecords/proofPartitions)
	}
	return l
}

// note counts a record. It is false for one that was not written.
func (l *ledger) note(partition int, offset int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if partition >= proofPartitions || offset >= int64(len(l.seen[partition])) {
		return false
	}
	if l.seen[partition][offset] == 0 {
		l.count++
	}
	if l.seen[partition][offset] < 255 {
		l.seen[partition][offset]++
	}
	return true
}

// missing returns the first offset of the span that nobody in the group has read.
func (l *ledger) missing(partition int, from, to int64) (offset int64, any bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for o := from; o < to; o++ {
		if l.seen[partition][o] == 0 {
			return o, true
		}
	}
	return 0, false
}

func (l *ledger) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *ledger) repeated() (n int) {
	for _, p := range l.seen {
		for _, times := range p {
			n += max(0, int(times)-1)
		}
	}
	return n
}

// member is the client of one instance. It is as simple as clients are: what is
// answered 502, 503 or 504, or not at all, it asks again. It asks again too
// where its instance is not found, but only for so long; all else is a fault.
type member struct {
	t        *testing.T
	base     string // of the service
	group    string
	name     string
	ledger   *ledger
	longest  time.Duration  // between two answers of 200 to reads
	statuses map[string]int // how often each was answered, by method; 0: no answer
	lost     time.Time      // since when the instance is not found; zero: it is
	cured    time.Duration  // the longest time that it was not found
	next     map[int]int64  // by partition: the offset after the last that was read
	runs     int            // how often reading went on elsewhere than there
}

func newReader(p *proof, group, name string, l *ledger) *member {
	return &member{
		t: p.t, base: p.base, group: group, name: name, ledger: l,
		statuses: make(map[string]int), next: make(map[int]int64),
	}
}

func (r *member) path() string { return "/consumers/" + r.group + "/instances/" + r.name }

// call is one request; status 0 stands for a connection that failed.
func (r *member) call(ctx context.Context, method, path, body string) (int, []byte) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Error(err)
		return 0, nil
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/vnd.kafka.v2+json")
	}
	if method == http.MethodGet {
		req.Header.Set("Accept", "application/vnd.kafka.json.v2+json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, text
}

// insist sends a request until it is answered with one of the statuses that
// are wanted, and returns that with its body. Another answer than one that asks
// to try again fails the test. It returns 0 when ctx ends.
func (r *member) insist(ctx context.Context, method, path, body string, want ...int) (int, []byte) {
	for {
		status, answer := r.call(ctx, method, path, body)
		if ctx.Err() != nil {
			return 0, nil
		}
		r.statuses[fmt.Sprint(method, " ", status)]++
		if status != http.StatusNotFound {
			r.found()
		}
		switch {
		case slices.Contains(want, status):
			return status, answer
		case status == 0, status >= 502 && status <= 504:
		case status == http.StatusNotFound && strings.Contains(string(answer), "40403"):
			if r.lost.IsZero() {
				r.lost = time.Now()
			}
			if time.Since(r.lost) > cured {
				r.t.Errorf("%s of %s is gone for %v: %s", r.name, r.group, time.Since(r.lost), answer)
				return 0, nil
			}
		default:
			r.t.Errorf("%s %s was answered %d %s", method, path, status, answer)
			return 0, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// found notes that the instance exists.
func (r *member) found() {
	if !r.lost.IsZero() {
		r.cured = max(r.cured, time.Since(r.lost))
		r.lost = time.Time{}
	}
}

// run reads until ctx ends.
func (r *member) run(ctx context.Context, topic string) {
	r.insist(ctx, "POST", "/consumers/"+r.group, fmt.Sprintf(`{"name":%q,"format":"json","auto.offset.reset":"earliest"}`, r.name), 200)
	r.insist(ctx, "POST", r.path()+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), 204)
	for last := time.Now(); ; last = time.Now() {
		status, body := r.insist(ctx, "GET", r.path()+"/records?timeout=500&max_bytes=20000", "", 200)
		if status == 0 {
			return
		}
		r.longest = max(r.longest, time.Since(last))
		r.take(body)
	}
}

// take notes the records of an answer. In each partition they go on where the
// answer before ended, as long as one run of reading lasts. Another run begins
// when the instance, or the partition, went to another place: it may begin
// before the end of the last, never after a record that nobody in the group has.
func (r *member) take(body []byte) {
	var records []struct {
		Partition int
		Offset    int64
		Value     struct{ N int64 }
	}
	if err := json.Unmarshal(body, &records); err != nil {
		r.t.Errorf("an answer is no list of records: %v", err)
		return
	}
	began := map[int]bool{} // in this answer
	for _, rec := range records {
		next := r.next[rec.Partition]
		if rec.Offset != next {
			switch lost, any := r.ledger.missing(rec.Partition, next, rec.Offset); {
			case began[rec.Partition]:
				r.t.Errorf("in one answer, in partition %d, offset %d comes after %d", rec.Partition, rec.Offset, next-1)
			case any:
				r.t.Errorf("%s of %s: in partition %d offset %d comes after %d, and nobody has read %d", r.name, r.group, rec.Partition, rec.Offset, next-1, lost)
			}
			r.runs++
		}
		began[rec.Partition], r.next[rec.Partition] = true, rec.Offset+1
		if !r.ledger.note(rec.Partition, rec.Offset) || rec.Value.N != rec.Offset {
			r.t.Errorf("offset %d of partition %d has the value %d, which was not written there", rec.Offset, rec.Partition, rec.Value.N)
		}
	}
}

// write writes all records, spread over proofWriting, and counts them.
func write(t *testing.T, b testkit.Broker, topic string, written *atomic.Int64) {
	cl := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()))
	const steps = 200
	tick := time.NewTicker(proofWriting / steps)
	defer tick.Stop()
	for n := range proofRecords {
		if n%(proofRecords/steps) == 0 {
			<-tick.C
		}
		r := &kgo.Record{Topic: topic, Partition: int32(n % proofPartitions), Value: fmt.Appendf(nil, `{"n":%d}`, n/proofPartitions)}
		cl.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("cannot produce: %v", err)
			}
			written.Add(1)
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		t.Error(err)
	}
}

// Three brokers, three nodes and nginx; one node is asked to go, one is
// killed, and a broker is killed and comes back, while records are written and
// read. It needs minutes, so it runs where it is asked for: make cluster-proof.
func TestClusterProof(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_CLUSTER", "three brokers, three proxies and nginx were not tried: it takes minutes; `make cluster-proof` does")
	brokers := testkit.StartKafkas(t, 3)
	b := brokers[0].Broker
	topic := testkit.Topic(t)
	testkit.Eventually(t, time.Minute, "the topic to be created", func() bool {
		_, err := kadm.NewClient(testkit.Client(t, b)).CreateTopic(t.Context(), proofPartitions, 3, nil, topic)
		return err == nil
	})
	var nodes []*testkit.Process
	var urls []string
	for n := range 3 {
		p, url := serve(t, b, "--set=id=node-"+strconv.Itoa(n), "--set=cluster.enable=true", "--set=cluster.secret=sixteen letters.")
		nodes, urls = append(nodes, p), append(urls, url)
	}
	p := &proof{t: t, base: balance(t, urls), topic: topic}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	p.read(ctx)
	began := time.Now()
	var written atomic.Int64
	p.running.Go(func() { write(t, b, topic, &written) })
	promises := startPromises(t, b, p.base)
	// The faults, by how far the writing has come.
	rebalances := p.watch(ctx, urls)
	p.until(&written, 20)
	promises.disturb("a node is asked to go")
	nodes[0].Signal(t, syscall.SIGTERM)
	p.until(&written, 45)
	promises.disturb("a node is killed")
	nodes[1].Signal(t, syscall.SIGKILL)
	p.until(&written, 70)
	promises.disturb("a broker is killed")
	brokers[1].Kill()
	p.until(&written, 85)
	promises.disturb("the broker is back")
	brokers[1].Start(t)
	for g, l := range p.ledgers {
		testkit.Eventually(t, 3*time.Minute, fmt.Sprintf("group %d to have read all", g), func() bool { return l.done() == proofRecords || t.Failed() })
	}
	took := time.Since(began)
	promises.judge(t)
	stop()
	p.running.Wait()
	p.report(took)
	t.Logf("rebalances, by node and kind: %v; consumer instances that the node which stayed has adopted: %v", rebalances(), scrape(t, urls[2]).sum(t, "millrace_cluster_adoptions_total", "result=ok"))
	if code := nodes[0].WaitExit(t, 20*time.Second); code != 0 {
		t.Errorf("the node that was asked to go exited with %d", code)
	}
}

// proof is the reading side of the test.
type proof struct {
	t           *testing.T
	base, topic string
	ledgers     []*ledger
	readers     []*member
	running     sync.WaitGroup
}

// read starts the clients of all instances.
func (p *proof) read(ctx context.Context) {
	for g := range proofGroups {
		l := newLedger()
		p.ledgers = append(p.ledgers, l)
		for i := range proofInstances {
			r := newReader(p, fmt.Sprintf("%s-%d", p.topic, g), fmt.Sprint("i", i), l)
			p.readers = append(p.readers, r)
			p.running.Go(func() { r.run(ctx, p.topic) })
		}
	}
}

// until waits until that share of the records is written.
func (p *proof) until(written *atomic.Int64, percent int64) {
	p.t.Helper()
	testkit.Eventually(p.t, 3*time.Minute, fmt.Sprintf("%d %% of the records to be written", percent), func() bool {
		return written.Load()*100 >= percent*proofRecords
	})
}

// watch follows the rebalances that each node counts, until ctx ends; what one
// has counted that is gone by then is remembered.
func (p *proof) watch(ctx context.Context, urls []string) (result func() []map[string]int) {
	last := make([]map[string]int, len(urls))
	look := func() {
		for n, url := range urls {
			if now := rebalancesOf(ctx, url); now != nil {
				last[n] = now
			}
		}
	}
	p.running.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			look()
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return func() []map[string]int { return last } // once running is done
}

// rebalancesOf asks a node, which may be gone: then nil.
func rebalancesOf(ctx context.Context, url string) map[string]int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if labels, ok := strings.CutPrefix(line, "millrace_consumer_rebalances_total"); ok {
			labels, value, _ := strings.Cut(strings.TrimSpace(labels), " ")
			n, _ := strconv.ParseFloat(value, 64)
			counts[labels] = int(n)
		}
	}
	return counts
}

func (p *proof) report(took time.Duration) {
	read, repeated, runs := 0, 0, 0
	var longest, cured time.Duration
	statuses := map[string]int{}
	for g, l := range p.ledgers {
		if l.done() != proofRecords {
			p.t.Errorf("group %d has read %d of %d records", g, l.done(), proofRecords)
		}
		read += l.done()
		repeated += l.repeated()
	}
	for _, r := range p.readers {
		for what, n := range r.statuses {
			statuses[what] += n
		}
		runs += r.runs
		longest, cured = max(longest, r.longest), max(cured, r.cured)
	}
	p.t.Logf("%d instances in %d groups read %d records in %v: %d duplicates, longest gap %v, %d times another run of reading, an instance not found for at most %v",
		len(p.readers), proofGroups, read, took.Round(time.Millisecond), repeated, longest.Round(time.Millisecond), runs, cured.Round(time.Millisecond))
	p.t.Logf("statuses (0: no answer): %v", statuses)
}
