package loadtest

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteSummary prints the outcome for a terminal.
func (r *Result) WriteSummary(w io.Writer, color bool) {
	fmt.Fprintln(w)
	for _, f := range r.Flows {
		f.summary(w, color)
	}
	if p := r.Process; p != nil {
		fmt.Fprintf(w, "proxy        %.2f cores on average%s, memory at most %s\n", p.Cores, r.cpuPer(p), showBytes(float64(p.PeakRSS)))
	}
	if g := r.Generator; g != nil {
		fmt.Fprintf(w, "generator    %.2f of %d cores%s\n", g.Cores, r.Machine.CPUs, r.cpuPer(g))
	}
	for _, f := range r.Flows {
		if f.Delivery != nil {
			fmt.Fprintf(w, "%-12s was given %s\n", f.Name, f.Delivery.sentence())
			for _, e := range f.Delivery.Examples {
				fmt.Fprintf(w, "             %s\n", e)
			}
		}
	}
	if v := r.Verification; v != nil {
		fmt.Fprintf(w, "verified     %s; read back in %.1f s\n", v.sentence(), v.Seconds)
		for _, e := range v.Examples {
			fmt.Fprintf(w, "             %s\n", e)
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "%s  %s\n", paint(color, amber, "mind that  "), warning)
	}
	fmt.Fprintln(w)
	what, want := 0, 0 // widths
	for _, c := range r.Checks {
		what, want = max(what, utf8.RuneCountInString(c.What)), max(want, utf8.RuneCountInString(c.Want))
	}
	for _, c := range r.Checks {
		mark := paint(color, green, "ok  ")
		if !c.Held {
			mark = paint(color, red, "FAIL")
		}
		fmt.Fprintf(w, "%s  %-*s  %-*s  was %s\n", mark, what, c.What, want, c.Want, c.Have)
	}
	fmt.Fprintln(w, paint(color, map[bool]string{true: green, false: red}[r.Pass], r.Verdict()))
}

// Verdict is the outcome in one line.
func (r *Result) Verdict() string {
	var missed []string
	for _, c := range r.Checks {
		if !c.Held {
			missed = append(missed, c.What)
		}
	}
	switch {
	case len(missed) > 0:
		return "FAILED: " + strings.Join(missed, ", ")
	case len(r.Checks) == 0:
		return "PASSED, though nothing was expected"
	default:
		return "PASSED"
	}
}

func (f *FlowResult) summary(w io.Writer, color bool) {
	fmt.Fprintf(w, "%s %s requests answered of %s due, %s/s", paint(color, bold, fmt.Sprintf("%-12s", f.Name)),
		showCount(float64(f.Answered)), showCount(float64(f.Due)), showCount(f.Rate))
	if f.Do != Metadata {
		fmt.Fprintf(w, "; %s records, %s/s", showCount(float64(f.Records)), showCount(f.RecordRate))
	}
	if f.Unchanged > 0 {
		fmt.Fprintf(w, "; %s not modified", showShare(float64(f.Unchanged)/float64(f.Answered)))
	}
	fmt.Fprintln(w)
	l := f.Latency
	fmt.Fprintf(w, "  latency    p50 %s   p90 %s   p99 %s   p99.9 %s   max %s\n", showMs(l.P50), showMs(l.P90), showMs(l.P99), showMs(l.P999), showMs(l.Max))
	for _, e := range f.Errors {
		fmt.Fprintf(w, "  %s  %d × %s", paint(color, red, "error    "), e.Count, e.What)
		if e.Message != "" {
			fmt.Fprintf(w, ": %s", e.Message)
		}
		fmt.Fprintln(w)
	}
	for _, s := range f.Steps {
		verdict := "held"
		if !s.Held {
			verdict = "broke: " + s.Why
		}
		fmt.Fprintf(w, "  step       %8s/s  answered %8s/s  p50 %9s  p99 %9s  %s\n",
			showCount(s.Rate), showCount(s.Answered), showMs(s.P50), showMs(s.P99), verdict)
	}
}

// cpuPer is the CPU time of a process for what was done, empty if that mixes
// kinds.
func (r *Result) cpuPer(u *Usage) string {
	if u == nil || u.PerRequest == 0 {
		return ""
	}
	f := r.Flows[0]
	text := fmt.Sprintf(" (%s a request", showMs(u.PerRequest/1000))
	if f.Records > f.Answered {
		text += fmt.Sprintf(", %s a record", showMs(u.CPUSeconds*1000/float64(f.Records)))
	}
	return text + ")"
}

// sentence says what the verification found.
func (v *Verification) sentence() string {
	if !v.Complete {
		return "not: " + v.Reason
	}
	if v.Acknowledged+v.Unacknowledged == 0 {
		return "nothing was produced"
	}
	text := fmt.Sprintf("%d acknowledged records: %d lost, %d doubled, %d reordered, %d misplaced", v.Acknowledged, v.Lost, v.Doubled, v.Reordered, v.Misplaced)
	if v.Expired > 0 {
		text += fmt.Sprintf(", %d removed by retention before they were read", v.Expired)
	}
	if v.Unacknowledged > 0 {
		text += fmt.Sprintf("; of %d unacknowledged ones %d arrived", v.Unacknowledged, v.Arrived)
	}
	return text
}
