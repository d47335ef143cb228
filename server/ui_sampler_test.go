package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/metrics"
)

// idle is a server with a dashboard that nothing listens to.
func idle(t testing.TB) *Server {
	t.Helper()
	return New(Settings{UI: true, MaxConnections: 1}, Deps{Logger: slog.New(slog.DiscardHandler)})
}

// streamTo is a stream of s that is written to out, on a connection that is none.
func streamTo(s *Server, out io.Writer) *stream {
	conn, _ := net.Pipe()
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(conn, nil, false)
	return &stream{server: s, route: s.figures.unmatched, ctx: ctx, out: out, life: s.streaming}
}

// A viewer that does not read gets, in the end, what is new: nothing is kept
// for it in between.
func TestSlowViewerSkipsSnapshots(t *testing.T) {
	s := idle(t)
	p := s.sampler
	p.read()
	out, in := io.Pipe()
	done := make(chan error)
	go func() { done <- p.feed(streamTo(s, in)) }()
	read := bufio.NewReader(out)
	next := func() (name, data string) {
		t.Helper()
		for {
			line, err := read.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if text, ok := strings.CutPrefix(line, "event: "); ok {
				name = strings.TrimSpace(text)
			}
			if text, ok := strings.CutPrefix(line, "data: "); ok {
				return name, text
			}
		}
	}
	if name, _ := next(); name != "hello" {
		t.Fatalf("the first event is %s", name)
	}
	p.show()
	next() // it sends the first, and waits while these are made:
	for range 5 {
		s.figures.Panics.Add(1)
		p.read()
		p.show()
	}
	var seen []string
	for len(seen) == 0 || !strings.Contains(seen[len(seen)-1], `"panics":5`) {
		if name, data := next(); name == "snapshot" {
			seen = append(seen, data)
		}
	}
	if len(seen) > 2 {
		t.Errorf("%d snapshots were kept for the viewer", len(seen))
	}
	s.Drain()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if p.viewers != 0 {
		t.Errorf("%d viewers are left", p.viewers)
	}
}

// While nobody watches the charts go on and no snapshot is made.
func TestSamplerWithoutViewers(t *testing.T) {
	s := idle(t)
	p := s.sampler
	p.read()
	for n := range keptPoints + 5 {
		s.figures.Route("GET", "/topics").Done(200, time.Millisecond, n, n)
		p.read()
		p.point()
	}
	if len(p.points) != keptPoints || len(p.readings) != keptReadings+1 || p.snapshot != nil {
		t.Errorf("%d points, %d readings, snapshot %q", len(p.points), len(p.readings), p.snapshot)
	}
	if hello := string(p.hello()); !strings.HasPrefix(hello, "retry: 1000\n\nevent: hello\ndata: {") || strings.Count(hello, "\n") != 5 {
		t.Errorf("the hello is %q", hello)
	}
}

// A snapshot that is made while the last viewer leaves is not kept: the next
// one, hours later, would get it first.
func TestNoSnapshotOutlivesItsViewers(t *testing.T) {
	s := idle(t)
	p := s.sampler
	p.read()
	p.join()
	s.figures.Watch(metrics.Sources{Producer: func() metrics.Producer {
		p.leave()
		return metrics.Producer{}
	}})
	p.show()
	if p.snapshot != nil {
		t.Errorf("%q is kept", p.snapshot)
	}
}

// Requests and records that failed are told apart.
func TestErrorsAreOfRequestsOrOfRecords(t *testing.T) {
	s := idle(t)
	before := reading{Reading: s.figures.Read()}
	s.figures.failed(apierr.NotFound, s.figures.unmatched)
	s.figures.lostTo(apierr.PartitionNotFound, 30)
	now := reading{Reading: s.figures.Read()}
	now.at = before.at.Add(10 * time.Second)
	got := map[string]errorMessage{}
	for _, e := range errorsOf(&before, &now) {
		got[e.Name] = e
	}
	if e := got["not_found"]; e != (errorMessage{Name: "not_found", Requests: 1, Rate: .1}) {
		t.Errorf("a request: %+v", e)
	}
	if e := got["partition_not_found"]; e != (errorMessage{Name: "partition_not_found", Records: 30, RecordRate: 3}) {
		t.Errorf("records: %+v", e)
	}
}

// refusing answers for each record with the error of its number.
type refusing struct{ errs []error }

func (r *refusing) Produce(_ context.Context, rec *kgo.Record, promise func(*kgo.Record, error)) {
	promise(rec, r.errs[int(rec.Partition)%len(r.errs)])
}
func (*refusing) Flush(context.Context) error { return nil }
func (*refusing) Close()                      {}

// Records that fail one by one are counted by kind, and their places are noted
// once for each kind of a request, not once a record.
func TestFailedRecordsAreCountedByKind(t *testing.T) {
	s := idle(t)
	client := &refusing{[]error{
		nil, kerr.MessageTooLarge, kerr.InvalidRecord, kerr.UnknownTopicOrPartition, kerr.NotEnoughReplicas, kerr.TopicAuthorizationFailed, errors.New("what nobody has mapped"),
	}}
	p := batch.New(client, batch.Cluster{
		Topic:        func(context.Context, string) (string, int32, error) { return "t", 1000, nil },
		Healthy:      func() error { return nil },
		Contradicted: func() {},
		Recreated:    func(string) {},
	}, batch.Settings{BufferBytes: 1 << 30, Timeout: time.Minute})
	job := p.Acquire()
	const each = 100
	told := 0
	for i := range each * len(client.errs) {
		job.Slab.Add().Partition = int32(i)
	}
	if _, err := p.Produce(job, "t", batch.AnyPartition, nil, func(dst []byte, job *batch.Job) []byte {
		failedBy(job, func(kind *apierr.Kind, records int) {
			told++
			s.figures.lostTo(kind, records)
		})
		return dst
	}); err != nil {
		t.Fatal(err)
	}
	kinds := uint64(0)
	for _, f := range s.figures.Read().Failures {
		if f.Requests != 0 || f.Records != each {
			t.Errorf("%+v", f)
		}
		kinds++
	}
	if kinds != 6 {
		t.Errorf("%d kinds", kinds)
	}
	// Four kinds are summed up, the other two come one by one.
	if want := 4 + 2*each; told != want {
		t.Errorf("told %d times, want %d", told, want)
	}
}

// What goes wrong while figures are read is logged and costs the page a second.
func TestSamplerOutlivesDefects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := idle(t), new(bytes.Buffer)
		s.log = slog.New(slog.NewTextHandler(log, nil))
		s.figures.Watch(metrics.Sources{Producer: func() metrics.Producer { panic("out of cheese") }})
		out, in := io.Pipe()
		done := make(chan error)
		end := s.sampler.start()
		go func() { done <- s.sampler.feed(streamTo(s, in)) }()
		read := bufio.NewReader(out)
		for n := 0; n < 2; { // the retry and the hello
			if line, err := read.ReadString('\n'); err != nil {
				t.Fatal(err)
			} else if line == "\n" {
				n++
			}
		}
		time.Sleep(3 * sampleEvery)
		s.figures.Watch(metrics.Sources{Producer: func() metrics.Producer { return metrics.Producer{Held: 7} }})
		if line, err := read.ReadString('\n'); err != nil || line != "event: snapshot\n" {
			t.Errorf("%q, %v", line, err)
		}
		if line, err := read.ReadString('\n'); err != nil || !strings.Contains(line, `"held":7`) {
			t.Errorf("%q, %v", line, err)
		}
		s.Drain()
		go io.Copy(io.Discard, read)
		if err := <-done; err != nil {
			t.Error(err)
		}
		end()
		in.Close()
		if n := strings.Count(log.String(), "out of cheese"); n < 3 || !strings.Contains(log.String(), "stack=") {
			t.Errorf("logged %d times:\n%s", n, log)
		}
	})
}

func TestRecentErrors(t *testing.T) {
	var r recent
	s := idle(t)
	first := errorPlace{kind: apierr.Internal, records: true}
	r.note(first, 3)
	r.note(first, 2)
	if got := r.list(); len(got) != 1 || got[0].count != 5 || time.Since(got[0].last) > time.Minute {
		t.Errorf("%+v", got)
	}
	for n := range 2 * maxRecent {
		r.note(errorPlace{kind: apierr.NotFound, route: s.figures.Metrics.Route("GET", fmt.Sprint(n))}, 1)
	}
	got := r.list()
	if len(got) != maxRecent {
		t.Errorf("%d are remembered", len(got))
	}
	for i, e := range got {
		if e.errorPlace == first || i > 0 && e.last.After(got[i-1].last) {
			t.Errorf("%d is %+v", i, e)
		}
	}
}

// BenchmarkSnapshot makes what one second costs while somebody watches.
func BenchmarkSnapshot(b *testing.B) {
	s := idle(b)
	for n := range 100 {
		s.figures.Topics().Produced(fmt.Sprint("topic-", n), 1, 1)
		s.figures.Route("GET", fmt.Sprint("/", n%10)).Done(200, time.Duration(n)*time.Millisecond, 1, 1)
	}
	for range keptReadings {
		s.sampler.read()
	}
	s.sampler.join()
	b.ReportAllocs()
	for b.Loop() {
		s.sampler.read()
		s.sampler.point()
		s.sampler.show()
	}
	b.ReportMetric(float64(len(s.sampler.snapshot)), "B/snapshot")
}
