//go:build !race

package server

import (
	"log/slog"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// countingOnly is the part of a produce request that the metrics add: a second reading of the
// clock, its route looked up again, everything counted.
func countingOnly(s *Server) func() {
	h := s.counted("POST", Route{Path: "/topics/{topic}"}, func(*fasthttp.RequestCtx) {})
	records := s.figures.Format("json")
	ctx := new(fasthttp.RequestCtx)
	ctx.Request.SetRequestURI("/topics/t")
	ctx.Response.SetBodyString("{}")
	start := time.Now()
	return func() {
		ctx.ResetUserValues()
		s.figures.InFlight.Add(1)
		h(ctx)
		records.Produced.Add(100)
		s.figures.done(ctx, time.Since(start), 20_000)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	count := countingOnly(New(Settings{}, Deps{Logger: slog.New(slog.DiscardHandler)}))
	if n := testing.AllocsPerRun(10_000, count); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// maxCounting bounds the cost of counting a request.
const maxCounting = 150 * time.Nanosecond

// The test holds the best of many runs, each so short that it may well have a core to itself on a
// shared machine; the benchmark shows the mean.
func TestCountingBudget(t *testing.T) {
	count := countingOnly(New(Settings{}, Deps{Logger: slog.New(slog.DiscardHandler)}))
	best := time.Hour
	for run := 0; run < 200 || run < 20_000 && best > maxCounting; run++ {
		const n = 1000
		began := time.Now()
		for range n {
			count()
		}
		best = min(best, time.Since(began)/n)
	}
	t.Logf("%v a request", best)
	if best > maxCounting {
		t.Errorf("counting a request costs %v, more than %v", best, maxCounting)
	}
}

func BenchmarkCounting(b *testing.B) {
	count := countingOnly(New(Settings{}, Deps{Logger: slog.New(slog.DiscardHandler)}))
	b.ReportAllocs()
	for b.Loop() {
		count()
	}
}
