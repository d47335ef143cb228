package ui

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"millrace/metrics"
	"millrace/server"
)

// idle returns a dashboard without a listener, and its edge.
func idle(t testing.TB, log *slog.Logger) (*sampler, *server.Server) {
	t.Helper()
	edge := server.New(server.Settings{MaxConnections: 1}, server.Deps{Logger: log})
	return New(edge, Deps{Logger: log}).sampler, edge
}

var discard = slog.New(slog.DiscardHandler)

// page is a viewer that writes its events to out.
type page struct {
	out  io.Writer
	life context.Context
}

func (p page) Send(b []byte) error {
	_, err := p.out.Write(b)
	return err
}

func (p page) Context() context.Context { return p.life }

// A viewer that does not read gets the latest snapshot in the end; those in between are not
// stored for it.
func TestSlowViewerSkipsSnapshots(t *testing.T) {
	p, s := idle(t, discard)
	p.read()
	out, in := io.Pipe()
	done := make(chan error)
	go func() { done <- p.feed(page{in, s.Streaming()}) }()
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
	next() // it sends the first, and blocks while these are made:
	for range 5 {
		s.Metrics().Panics.Add(1)
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

// Without a viewer the charts continue and no snapshot is made.
func TestSamplerWithoutViewers(t *testing.T) {
	p, s := idle(t, discard)
	p.read()
	for n := range keptPoints + 5 {
		s.Metrics().Route("GET", "/topics").Done(200, time.Millisecond, n, n)
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

// A snapshot that is made while the last viewer leaves is not kept. Otherwise the next viewer,
// hours later, would get it first.
func TestNoSnapshotOutlivesItsViewers(t *testing.T) {
	p, s := idle(t, discard)
	p.read()
	p.join()
	s.Metrics().Watch(metrics.Sources{Producer: func() metrics.Producer {
		p.leave()
		return metrics.Producer{}
	}})
	p.show()
	if p.snapshot != nil {
		t.Errorf("%q is kept", p.snapshot)
	}
}

// An error while figures are read is logged and costs the page a second.
func TestSamplerOutlivesDefects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(bytes.Buffer)
		p, s := idle(t, slog.New(slog.NewTextHandler(log, nil)))
		s.Metrics().Watch(metrics.Sources{Producer: func() metrics.Producer { panic("out of cheese") }})
		out, in := io.Pipe()
		done := make(chan error)
		end := p.start()
		go func() { done <- p.feed(page{in, s.Streaming()}) }()
		read := bufio.NewReader(out)
		for n := 0; n < 2; { // the retry and the hello
			if line, err := read.ReadString('\n'); err != nil {
				t.Fatal(err)
			} else if line == "\n" {
				n++
			}
		}
		time.Sleep(3 * sampleEvery)
		s.Metrics().Watch(metrics.Sources{Producer: func() metrics.Producer { return metrics.Producer{Held: 7} }})
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

// BenchmarkSnapshot is the cost of one second with a viewer.
func BenchmarkSnapshot(b *testing.B) {
	p, s := idle(b, discard)
	for n := range 100 {
		s.Metrics().Topics().Produced(fmt.Sprint("topic-", n), 1, 1)
		s.Metrics().Route("GET", fmt.Sprint("/", n%10)).Done(200, time.Duration(n)*time.Millisecond, 1, 1)
	}
	for range keptReadings {
		p.read()
	}
	p.join()
	b.ReportAllocs()
	for b.Loop() {
		p.read()
		p.point()
		p.show()
	}
	b.ReportMetric(float64(len(p.snapshot)), "B/snapshot")
}
