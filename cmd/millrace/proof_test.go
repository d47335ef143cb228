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

// What the proof consists of: each group reads all records.
const (
	proofRecords    = 100_000
	proofGroups     = 3
	proofInstances  = 4 // of each group
	proofPartitions = 12
	proofWriting    = time.Minute // how long the writing takes, faults included
	// cured is within what time a retry must find an instance again.
	cured = 10 * time.Second
)

// balance starts nginx in front of the proxies, round robin, and returns its URL.
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
	seen  [proofPartitions][]uint8 // how often each record was answered
	count int
}

func newLedger() *ledger {
	l := &ledger{}
	for p := range l.seen {
		l.seen[p] = make([]uint8, proofRecords/proofPartitions+1)
	}
	return l
}

func (l *ledger) note(partition, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[partition][n] == 0 {
		l.count++
	}
	if l.seen[partition][n] < 255 {
		l.seen[partition][n]++
	}
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

// reader is the client of one instance.
type reader struct {
	t       *testing.T
	base    string // of the service
	group   string
	name    string
	ledger  *ledger
	longest time.Duration // between two answers of 200
	retries int
}

func (r *reader) path() string { return "/consumers/" + r.group + "/instances/" + r.name }

// call is one request; status 0 stands for a connection that failed.
func (r *reader) call(ctx context.Context, method, path, body string) (int, []byte) {
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

// insist repeats a request until one of the statuses answers it.
func (r *reader) insist(ctx context.Context, method, path, body string, want ...int) {
	for ctx.Err() == nil {
		status, _ := r.call(ctx, method, path, body)
		for _, w := range want {
			if status == w {
				return
			}
		}
		r.pause(ctx)
	}
}

func (r *reader) pause(ctx context.Context) {
	r.retries++
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context, topic string) {
	r.insist(ctx, "POST", "/consumers/"+r.group, fmt.Sprintf(`{"name":%q,"format":"json","auto.offset.reset":"earliest"}`, r.name), 200, 409)
	r.insist(ctx, "POST", r.path()+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), 204)
	var lost time.Time // since when the answer is 404
	last := time.Now()
	for ctx.Err() == nil {
		status, body := r.call(ctx, "GET", r.path()+"/records?timeout=500&max_bytes=20000", "")
		switch {
		case ctx.Err() != nil:
			return
		case status == 404 && lost.IsZero():
			lost = time.Now()
		case status == 404 && time.Since(lost) > cured:
			r.t.Errorf("%s of %s is gone for %v: %s", r.name, r.group, time.Since(lost), body)
			return
		}
		if status != 200 {
			r.pause(ctx)
			continue
		}
		r.longest, last, lost = max(r.longest, time.Since(last)), time.Now(), time.Time{}
		r.take(body)
	}
}

// take notes the records of an answer, in which each partition must be in order.
func (r *reader) take(body []byte) {
	var records []struct {
		Partition int
		Offset    int64
		Value     struct{ N int }
	}
	if err := json.Unmarshal(body, &records); err != nil {
		r.t.Errorf("an answer is no list of records: %v", err)
		return
	}
	at := map[int]int64{}
	for _, rec := range records {
		if before, ok := at[rec.Partition]; ok && rec.Offset != before+1 {
			r.t.Errorf("in partition %d offset %d comes after %d", rec.Partition, rec.Offset, before)
		}
		at[rec.Partition] = rec.Offset
		r.ledger.note(rec.Partition, rec.Value.N)
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

// Three brokers, three proxies and nginx; one proxy is asked to go, one is
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
		p, url := serve(t, b, "--set=id=proxy-"+strconv.Itoa(n), "--set=cluster.enable=true", "--set=cluster.secret=sixteen letters.")
		nodes, urls = append(nodes, p), append(urls, url)
	}
	p := &proof{t: t, base: balance(t, urls), topic: topic}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	p.read(ctx)
	began := time.Now()
	var written atomic.Int64
	p.running.Go(func() { write(t, b, topic, &written) })
	// The faults, by how far the writing has come.
	p.until(&written, 20)
	nodes[0].Signal(t, syscall.SIGTERM)
	p.until(&written, 45)
	nodes[1].Signal(t, syscall.SIGKILL)
	p.until(&written, 70)
	brokers[1].Kill()
	p.until(&written, 85)
	brokers[1].Start(t)
	for g, l := range p.ledgers {
		testkit.Eventually(t, 3*time.Minute, fmt.Sprintf("group %d to have read all", g), func() bool { return l.done() == proofRecords || t.Failed() })
	}
	took := time.Since(began)
	stop()
	p.running.Wait()
	p.report(took)
	rebalances := scrape(t, urls[2]).sum(t, "millrace_consumer_rebalances_total")
	t.Logf("rebalances seen by the proxy that stayed: %v; consumer instances that it adopted: %v", rebalances, scrape(t, urls[2]).sum(t, "millrace_cluster_adoptions_total", "result=ok"))
	if code := nodes[0].WaitExit(t, 20*time.Second); code != 0 {
		t.Errorf("the proxy that was asked to go exited with %d", code)
	}
}

// proof is the reading side of the test.
type proof struct {
	t           *testing.T
	base, topic string
	ledgers     []*ledger
	readers     []*reader
	running     sync.WaitGroup
}

// read starts the clients of all instances.
func (p *proof) read(ctx context.Context) {
	for g := range proofGroups {
		l := newLedger()
		p.ledgers = append(p.ledgers, l)
		for i := range proofInstances {
			r := &reader{t: p.t, base: p.base, group: fmt.Sprintf("%s-%d", p.topic, g), name: fmt.Sprint("i", i), ledger: l}
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

func (p *proof) report(took time.Duration) {
	read, repeated, retries, longest := 0, 0, 0, time.Duration(0)
	for g, l := range p.ledgers {
		if l.done() != proofRecords {
			p.t.Errorf("group %d has read %d of %d records", g, l.done(), proofRecords)
		}
		read += l.done()
		repeated += l.repeated()
	}
	for _, r := range p.readers {
		retries += r.retries
		longest = max(longest, r.longest)
	}
	p.t.Logf("%d instances in %d groups read %d records in %v: %d duplicates, longest gap %v, %d answers that had to be asked for again",
		len(p.readers), proofGroups, read, took.Round(time.Millisecond), repeated, longest.Round(time.Millisecond), retries)
}
