package loadtest

import (
	"fmt"
	"math"
)

// most is the largest of the values of the lines.
func most(lines ...line) (top float64) {
	for _, l := range lines {
		for _, y := range l.ys {
			top = max(top, y)
		}
	}
	return top
}

// least is the smallest value above 0.
func least(lines ...line) float64 {
	low := math.Inf(1)
	for _, l := range lines {
		for _, y := range l.ys {
			if y > 0 {
				low = min(low, y)
			}
		}
	}
	if math.IsInf(low, 1) {
		return 0
	}
	return low
}

// curveLine turns a distribution into a line over the nines: x is 0 for the
// median's side, 1 for 90 %, 2 for 99 %, 3 for 99.9 %.
func curveLine(name, class string, l Latency, dashed bool) line {
	out := line{Name: name, Class: class, Dashed: dashed}
	for _, p := range l.Curve {
		out.xs = append(out.xs, -math.Log10(1-p.Quantile))
		out.ys = append(out.ys, max(p.Ms, 0.001))
	}
	return out
}

// latencyPlot shows the distribution the way HdrHistogram does.
func latencyPlot(f, earlier *FlowResult) plot {
	p := plot{Title: "Latency by percentile"}
	if earlier != nil {
		p.series = append(p.series, curveLine("earlier run", "old", earlier.Latency, false))
	}
	if f.Open {
		p.series = append(p.series,
			curveLine("from when it was picked up", "s2", f.Service, true),
			curveLine("from when it was due", "s1", f.Latency, false))
	} else {
		p.series = append(p.series, curveLine("of the answer", "s1", f.Latency, false))
	}
	nines := 1.0
	for _, s := range p.series {
		if n := len(s.xs); n > 0 {
			nines = max(nines, s.xs[n-1])
		}
	}
	p.x = axis{max: nines, show: func(v float64) string {
		return fmt.Sprintf("%.*f %%", max(int(v)-2, 0), 100*(1-math.Pow(10, -v)))
	}}
	for n := 0.0; n <= nines+0.001; n++ {
		p.x.ticks = append(p.x.ticks, n)
	}
	p.y = logarithmic(least(p.series...), most(p.series...), showMs)
	for _, q := range f.Latency.Curve {
		p.tipsAt = append(p.tipsAt, -math.Log10(1-q.Quantile))
		p.tips = append(p.tips, fmt.Sprintf("%.4g %% within %s", 100*q.Quantile, showMs(q.Ms)))
	}
	return p
}

// full are the seconds that lie wholly within the run: the last is mostly not,
// and half a second's requests would look like half the rate.
func full(seconds []SecondResult, elapsed float64) []SecondResult {
	if n := int(elapsed + 0.1); n >= 1 && n < len(seconds) {
		return seconds[:n]
	}
	return seconds
}

// middles are the middles of n seconds.
func middles(n int) (xs []float64) {
	for i := range n {
		xs = append(xs, float64(i)+0.5)
	}
	return xs
}

func seconds(v float64) string { return fmt.Sprintf("%g s", v) }

func timeAxis(elapsed float64) axis {
	elapsed = math.Ceil(elapsed*10) / 10 // so that 6 s, less a moment, has a tick at 6
	a := linear(elapsed, seconds)
	a.max = max(elapsed, 1)
	for len(a.ticks) > 0 && a.ticks[len(a.ticks)-1] > a.max {
		a.ticks = a.ticks[:len(a.ticks)-1]
	}
	return a
}

func ratePlot(f *FlowResult, elapsed float64) plot {
	p := plot{Title: "Requests a second", x: timeAxis(elapsed)}
	rows := full(f.Seconds, elapsed)
	due := line{Name: "due", Class: "old", Dashed: true, xs: middles(len(rows))}
	done := line{Name: "answered", Class: "s1", area: true, xs: due.xs}
	failed := line{Name: "failed", Class: "bad", xs: due.xs}
	for i, s := range rows {
		due.ys = append(due.ys, float64(s.Due))
		done.ys = append(done.ys, float64(s.Done))
		failed.ys = append(failed.ys, float64(s.Failed))
		tip := fmt.Sprintf("second %d: %d due, %d answered, %d failed", i+1, s.Due, s.Done, s.Failed)
		if f.Do != Metadata {
			tip += fmt.Sprintf(", %d records", s.Records)
		}
		p.tips = append(p.tips, tip)
	}
	p.tipsAt = due.xs
	p.series = []line{done}
	if f.Open {
		p.series = append(p.series, due)
	}
	if f.Failed > 0 {
		p.series = append(p.series, failed)
	}
	p.y = linear(most(p.series...), showCount)
	return p
}

func latencyTimePlot(f *FlowResult, elapsed float64) plot {
	p := plot{Title: "Latency over time", x: timeAxis(elapsed)}
	rows := full(f.Seconds, elapsed)
	p50, p99 := line{Name: "p50", Class: "s1"}, line{Name: "p99", Class: "s2"}
	for i, s := range rows {
		if s.Due == 0 {
			continue
		}
		x := float64(i) + 0.5
		p50.xs, p50.ys = append(p50.xs, x), append(p50.ys, s.P50)
		p99.xs, p99.ys = append(p99.xs, x), append(p99.ys, s.P99)
		p.tipsAt = append(p.tipsAt, x)
		p.tips = append(p.tips, fmt.Sprintf("due in second %d: p50 %s, p99 %s", i+1, showMs(s.P50), showMs(s.P99)))
	}
	p.series = []line{p99, p50}
	p.y = logarithmic(least(p.series...), most(p.series...), showMs)
	return p
}

// recordsPlot is for flows whose requests carry many records.
func recordsPlot(f *FlowResult, elapsed float64) plot {
	p := plot{Title: "Records a second", x: timeAxis(elapsed)}
	rows := full(f.Seconds, elapsed)
	records := line{Name: map[bool]string{true: "acknowledged", false: "delivered"}[f.Do == Produce], Class: "s3", area: true, xs: middles(len(rows))}
	for i, s := range rows {
		records.ys = append(records.ys, float64(s.Records))
		p.tips = append(p.tips, fmt.Sprintf("second %d: %d records", i+1, s.Records))
	}
	p.tipsAt = records.xs
	p.series = []line{records}
	p.y = linear(most(records), showCount)
	return p
}

// usagePlots show CPU and memory of the proxy, and the generator's CPU.
func usagePlots(r *Result) (out []plot) {
	cpu := plot{Title: "CPU, cores", x: timeAxis(r.Elapsed)}
	mem := plot{Title: "Resident memory of the proxy", x: timeAxis(r.Elapsed)}
	add := func(u *Usage, name, class string, dashed bool) {
		if u == nil {
			return
		}
		cores, rss := line{Name: name, Class: class, Dashed: dashed}, line{Name: name, Class: class, area: true}
		for _, s := range u.Samples {
			cores.xs, cores.ys = append(cores.xs, s.At), append(cores.ys, s.Cores)
			rss.xs, rss.ys = append(rss.xs, s.At), append(rss.ys, float64(s.RSS))
		}
		cpu.series = append(cpu.series, cores)
		if u == r.Process {
			mem.series = append(mem.series, rss)
		}
	}
	add(r.Process, "proxy", "s1", false)
	add(r.Generator, "load generator", "s2", true)
	if len(cpu.series) > 0 {
		cpu.y = linear(most(cpu.series...), digits)
		out = append(out, cpu)
	}
	if len(mem.series) > 0 {
		// Ticks at round numbers of MiB, for that is what the labels say.
		mem.y = linear(most(mem.series...)/(1<<20), func(v float64) string { return digits(v) + " MiB" })
		for i := range mem.series[0].ys {
			mem.series[0].ys[i] /= 1 << 20
		}
		out = append(out, mem)
	}
	return out
}

// stepsPlot is latency against the rate.
func stepsPlot(f *FlowResult) plot {
	p := plot{Title: "Latency by rate of the step"}
	p50, p99 := line{Name: "p50", Class: "s1"}, line{Name: "p99", Class: "s2"}
	for _, s := range f.Steps {
		p50.xs, p50.ys = append(p50.xs, s.Rate), append(p50.ys, s.P50)
		p99.xs, p99.ys = append(p99.xs, s.Rate), append(p99.ys, s.P99)
		p.tipsAt = append(p.tipsAt, s.Rate)
		p.tips = append(p.tips, fmt.Sprintf("%s/s: p50 %s, p99 %s", showCount(s.Rate), showMs(s.P50), showMs(s.P99)))
	}
	p.series = []line{p99, p50}
	p.x = linear(f.Steps[len(f.Steps)-1].Rate, func(v float64) string { return showCount(v) + "/s" })
	p.y = logarithmic(least(p.series...), most(p.series...), showMs)
	return p
}
