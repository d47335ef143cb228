package loadtest

import (
	_ "embed"
	"html/template"
	"io"
	"reflect"
	"slices"
	"time"
)

//go:embed report.html
var reportPage string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"ms": showMs, "share": showShare, "digits": digits, "count": showCount,
	"bytes":       func(v any) string { return showBytes(reflect.ValueOf(v).Convert(reflect.TypeFor[float64]()).Float()) },
	"notModified": func(f flowData) string { return showShare(float64(f.Unchanged) / float64(f.Answered)) },
	"when":        func(t time.Time) string { return t.Format("2 January 2006, 15:04:05 MST") },
}).Parse(reportPage))

// reportData is what the page is made from.
type reportData struct {
	*Result
	Earlier     *Result
	Differences []Difference
	Unlike      []string
	Flows       []flowData
	Usage       []plot
	CPUPer      string // of the proxy
	OwnCPUPer   string // of the generator
	Verified    string
}

type flowData struct {
	*FlowResult
	Plots []plot
	Rows  []latencyRow
	Given string // to consumers, and what came of it
}

// Produces reports whether there was anything to read back.
func (d reportData) Produces() bool {
	return slices.ContainsFunc(d.Flows, func(f flowData) bool { return f.Do == Produce })
}

// Consumes reports whether anybody was given records.
func (d reportData) Consumes() bool {
	return slices.ContainsFunc(d.Flows, func(f flowData) bool { return f.Delivery != nil })
}

// Missed are the checks that did not hold.
func (d reportData) Missed() []Check {
	return slices.DeleteFunc(slices.Clone(d.Checks), func(c Check) bool { return c.Held })
}

// latencyRow is a line of the table of percentiles.
type latencyRow struct {
	Name         string
	Due, Service float64
}

// WriteReport writes the run as one HTML page that needs nothing else: style
// and drawings are within, and it asks no other host for anything. earlier may
// be nil.
func (r *Result) WriteReport(w io.Writer, earlier *Result) error {
	d := reportData{Result: r, Earlier: earlier, Usage: usagePlots(r), CPUPer: r.cpuPer(r.Process), OwnCPUPer: r.cpuPer(r.Generator)}
	if r.Verification != nil {
		d.Verified = r.Verification.sentence()
	}
	if earlier != nil {
		d.Differences, d.Unlike = r.compare(earlier), r.unlike(earlier)
	}
	for i := range r.Flows {
		f := &r.Flows[i]
		var was *FlowResult
		if earlier != nil {
			was = earlier.flow(f.Name)
		}
		fd := flowData{FlowResult: f, Rows: f.latencyRows()}
		if f.Delivery != nil {
			fd.Given = f.Delivery.sentence()
		}
		if len(f.Steps) > 0 {
			fd.Plots = append(fd.Plots, stepsPlot(f))
		}
		fd.Plots = append(fd.Plots, latencyPlot(f, was), latencyTimePlot(f, r.Elapsed), ratePlot(f, r.Elapsed))
		if f.Records != f.Answered && f.Do != Metadata {
			fd.Plots = append(fd.Plots, recordsPlot(f, r.Elapsed))
		}
		// Half a row would be left empty beside an odd one.
		if len(fd.Plots)%2 == 1 {
			fd.Plots[len(fd.Plots)-1].widen()
		}
		d.Flows = append(d.Flows, fd)
	}
	return reportTemplate.Execute(w, d)
}

func (f *FlowResult) latencyRows() []latencyRow {
	l, s := f.Latency, f.Service
	return []latencyRow{
		{"mean", l.Mean, s.Mean},
		{"p50", l.P50, s.P50},
		{"p90", l.P90, s.P90},
		{"p95", l.P95, s.P95},
		{"p99", l.P99, s.P99},
		{"p99.9", l.P999, s.P999},
		{"max", l.Max, s.Max},
	}
}
