package loadtest

import (
	"fmt"
	"math"

	"millrace/internal/lab"
)

// plot is one drawing of the page.
type plot struct {
	lab.Plot
	// Wide plots have a row of their own.
	Wide bool
}

// The frame is small so that its letters can be read when a phone shrinks it; a wide
// one has two of them and what is between.
var (
	frame     = lab.Frame{Width: 420, Height: 230, Left: 56, Right: 10, Top: 10, Bottom: 26}
	wideFrame = lab.Frame{Width: 880, Height: 230, Left: 56, Right: 10, Top: 10, Bottom: 26}
)

func newPlot(title string) plot { return plot{Plot: lab.Plot{Title: title, Frame: frame}} }

// newTimePlot returns a plot over the time of the run.
func newTimePlot(title string, elapsed float64) plot {
	p := newPlot(title)
	p.X = timeAxis(elapsed)
	return p
}

// widen gives the plot a row of its own.
func (p *plot) widen() { p.Frame, p.Wide = wideFrame, true }

// tip adds a text that is shown when the pointer rests at x.
func (p *plot) tip(x float64, format string, args ...any) {
	p.Tips = append(p.Tips, lab.Tip{X: x, Text: fmt.Sprintf(format, args...)})
}

// most is the largest of the values of the lines.
func most(lines ...lab.Line) (top float64) {
	for _, l := range lines {
		for _, y := range l.YS {
			top = max(top, y)
		}
	}
	return top
}

// least is the smallest value above 0.
func least(lines ...lab.Line) float64 {
	low := math.Inf(1)
	for _, l := range lines {
		for _, y := range l.YS {
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
func curveLine(name, class string, l Latency, dashed bool) lab.Line {
	out := lab.Line{Name: name, Class: class, Dashed: dashed}
	for _, p := range l.Curve {
		out.XS = append(out.XS, -math.Log10(1-p.Quantile))
		out.YS = append(out.YS, max(p.Ms, 0.001))
	}
	return out
}

// latencyPlot shows the distribution the way HdrHistogram does.
func latencyPlot(f, earlier *FlowResult) plot {
	p := newPlot("Latency by percentile")
	if earlier != nil {
		p.Lines = append(p.Lines, curveLine("earlier run", "old", earlier.Latency, false))
	}
	if f.Open {
		p.Lines = append(p.Lines,
			curveLine("from when it was picked up", "s2", f.Service, true),
			curveLine("from when it was due", "s1", f.Latency, false))
	} else {
		p.Lines = append(p.Lines, curveLine("of the answer", "s1", f.Latency, false))
	}
	nines := 1.0
	for _, s := range p.Lines {
		if n := len(s.XS); n > 0 {
			nines = max(nines, s.XS[n-1])
		}
	}
	p.X = lab.Axis{Max: nines, Show: func(v float64) string {
		return fmt.Sprintf("%.*f %%", max(int(v)-2, 0), 100*(1-math.Pow(10, -v)))
	}}
	for n := 0.0; n <= nines+0.001; n++ {
		p.X.Ticks = append(p.X.Ticks, n)
	}
	p.Y = lab.Logarithmic(least(p.Lines...), most(p.Lines...), showMs)
	for _, q := range f.Latency.Curve {
		p.tip(-math.Log10(1-q.Quantile), "%.4g %% within %s", 100*q.Quantile, showMs(q.Ms))
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

func timeAxis(elapsed float64) lab.Axis {
	elapsed = math.Ceil(elapsed*10) / 10 // so that 6 s, less a moment, has a tick at 6
	a := lab.Linear(elapsed, seconds)
	a.Max = max(elapsed, 1)
	for len(a.Ticks) > 0 && a.Ticks[len(a.Ticks)-1] > a.Max {
		a.Ticks = a.Ticks[:len(a.Ticks)-1]
	}
	return a
}

func ratePlot(f *FlowResult, elapsed float64) plot {
	p := newTimePlot("Requests a second", elapsed)
	rows := full(f.Seconds, elapsed)
	due := lab.Line{Name: "due", Class: "old", Dashed: true, XS: middles(len(rows))}
	done := lab.Line{Name: "answered", Class: "s1", Area: true, XS: due.XS}
	failed := lab.Line{Name: "failed", Class: "bad", XS: due.XS}
	for i, s := range rows {
		due.YS = append(due.YS, float64(s.Due))
		done.YS = append(done.YS, float64(s.Done))
		failed.YS = append(failed.YS, float64(s.Failed))
		tip := fmt.Sprintf("second %d: %d due, %d answered, %d failed", i+1, s.Due, s.Done, s.Failed)
		if f.Do != Metadata {
			tip += fmt.Sprintf(", %d records", s.Records)
		}
		p.tip(done.XS[i], "%s", tip)
	}
	p.Lines = []lab.Line{done}
	if f.Open {
		p.Lines = append(p.Lines, due)
	}
	if f.Failed > 0 {
		p.Lines = append(p.Lines, failed)
	}
	p.Y = lab.Linear(most(p.Lines...), showCount)
	return p
}

func latencyTimePlot(f *FlowResult, elapsed float64) plot {
	p := newTimePlot("Latency over time", elapsed)
	rows := full(f.Seconds, elapsed)
	p50, p99 := lab.Line{Name: "p50", Class: "s1"}, lab.Line{Name: "p99", Class: "s2"}
	for i, s := range rows {
		if s.Due == 0 {
			continue
		}
		x := float64(i) + 0.5
		p50.XS, p50.YS = append(p50.XS, x), append(p50.YS, s.P50)
		p99.XS, p99.YS = append(p99.XS, x), append(p99.YS, s.P99)
		p.tip(x, "due in second %d: p50 %s, p99 %s", i+1, showMs(s.P50), showMs(s.P99))
	}
	p.Lines = []lab.Line{p99, p50}
	p.Y = lab.Logarithmic(least(p.Lines...), most(p.Lines...), showMs)
	return p
}

// recordsPlot is for flows whose requests carry many records.
func recordsPlot(f *FlowResult, elapsed float64) plot {
	p := newTimePlot("Records a second", elapsed)
	rows := full(f.Seconds, elapsed)
	records := lab.Line{Name: map[bool]string{true: "acknowledged", false: "delivered"}[f.Do == Produce], Class: "s3", Area: true, XS: middles(len(rows))}
	for i, s := range rows {
		records.YS = append(records.YS, float64(s.Records))
		p.tip(records.XS[i], "second %d: %d records", i+1, s.Records)
	}
	p.Lines = []lab.Line{records}
	p.Y = lab.Linear(most(records), showCount)
	return p
}

// usagePlots show CPU and memory of the proxy, and the generator's CPU.
func usagePlots(r *Result) (out []plot) {
	cpu := newTimePlot("CPU, cores", r.Elapsed)
	mem := newTimePlot("Resident memory of the proxy", r.Elapsed)
	add := func(u *Usage, name, class string, dashed bool) {
		if u == nil {
			return
		}
		cores, rss := lab.Line{Name: name, Class: class, Dashed: dashed}, lab.Line{Name: name, Class: class, Area: true}
		for _, s := range u.Samples {
			cores.XS, cores.YS = append(cores.XS, s.At), append(cores.YS, s.Cores)
			rss.XS, rss.YS = append(rss.XS, s.At), append(rss.YS, float64(s.RSS))
		}
		cpu.Lines = append(cpu.Lines, cores)
		if u == r.Process {
			mem.Lines = append(mem.Lines, rss)
		}
	}
	add(r.Process, "proxy", "s1", false)
	add(r.Generator, "load generator", "s2", true)
	if len(cpu.Lines) > 0 {
		cpu.Y = lab.Linear(most(cpu.Lines...), digits)
		out = append(out, cpu)
	}
	if len(mem.Lines) > 0 {
		// Ticks at round numbers of MiB, for that is what the labels say.
		mem.Y = lab.Linear(most(mem.Lines...)/(1<<20), func(v float64) string { return digits(v) + " MiB" })
		for i := range mem.Lines[0].YS {
			mem.Lines[0].YS[i] /= 1 << 20
		}
		out = append(out, mem)
	}
	return out
}

// stepsPlot is latency against the rate.
func stepsPlot(f *FlowResult) plot {
	p := newPlot("Latency by rate of the step")
	p50, p99 := lab.Line{Name: "p50", Class: "s1"}, lab.Line{Name: "p99", Class: "s2"}
	for _, s := range f.Steps {
		p50.XS, p50.YS = append(p50.XS, s.Rate), append(p50.YS, s.P50)
		p99.XS, p99.YS = append(p99.XS, s.Rate), append(p99.YS, s.P99)
		p.tip(s.Rate, "%s/s: p50 %s, p99 %s", showCount(s.Rate), showMs(s.P50), showMs(s.P99))
	}
	p.Lines = []lab.Line{p99, p50}
	p.X = lab.Linear(f.Steps[len(f.Steps)-1].Rate, func(v float64) string { return showCount(v) + "/s" })
	p.Y = lab.Logarithmic(least(p.Lines...), most(p.Lines...), showMs)
	return p
}
