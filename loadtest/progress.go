package loadtest

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress prints what happens while it happens. It belongs to one goroutine
// at a time.
type progress struct {
	to    io.Writer
	color bool
	last  map[*flowRun]counts
	at    time.Duration
}

func newProgress(o Options) *progress {
	to := o.Progress
	if to == nil {
		to = io.Discard
	}
	return &progress{to: to, color: o.Color, last: map[*flowRun]counts{}}
}

func (p *progress) head(s *Scenario, url, id string) {
	fmt.Fprintf(p.to, "%s against %s, run %s\n", p.paint(bold, s.Name), url, id)
	for i := range s.Flows {
		f := &s.Flows[i]
		what := ""
		if f.Do == Produce {
			what = fmt.Sprintf("%d %s records a request to %s, ", f.Records, f.Format, f.Topic)
		}
		fmt.Fprintf(p.to, "  %-10s %s%s\n", f.Name, what, f.load())
	}
}

func (p *progress) note(format string, args ...any) {
	fmt.Fprintln(p.to, p.paint(dim, fmt.Sprintf(format, args...)))
}

// line prints the last second: of each flow the answers, the records and the
// 99th percentile of the requests that were due in the second before, whose
// answers are in if they came within a second.
func (p *progress) line(at time.Duration, flows []*flowRun, meters []*usageMeter) {
	took := (at - p.at).Seconds()
	p.at = at
	var b strings.Builder
	fmt.Fprintf(&b, "%4.0f s", at.Seconds())
	for _, f := range flows {
		now, h := f.total.progress(int(at/time.Second) - 2)
		was := p.last[f]
		p.last[f] = now
		fmt.Fprintf(&b, "  %s%s %s/s", p.paint(dim, "│ "), f.flow.Name, showCount(float64(now.answered-was.answered)/took))
		if f.flow.Do != Metadata {
			fmt.Fprintf(&b, " %s rec/s", showCount(float64(now.records-was.records)/took))
		}
		if h.Count() > 0 {
			fmt.Fprintf(&b, " p99 %s", showMs(ms(h.Quantile(.99))))
		}
		if waiting := f.began.Load() - f.finished.Load(); f.flow.Do != Consume && waiting > 0 {
			fmt.Fprintf(&b, " in flight %d", waiting)
		}
		if now.failed > was.failed {
			b.WriteString(p.paint(red, fmt.Sprintf(" failed %s/s", showCount(float64(now.failed-was.failed)/took))))
		}
	}
	for _, m := range meters[min(1, len(meters)):] { // the first is this program
		if n := len(m.samples); n > 0 {
			fmt.Fprintf(&b, "  %sproxy %.2f cores %s", p.paint(dim, "│ "), m.samples[n-1].Cores, showBytes(float64(m.samples[n-1].RSS)))
		}
	}
	fmt.Fprintln(p.to, b.String())
}

// Terminal colours.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	amber = "33"
)

func (p *progress) paint(code, text string) string { return paint(p.color, code, text) }

func paint(on bool, code, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
