package main

import (
	"fmt"
	"html"
	"os"
	"strings"
)

// chart is one drawing of horizontal bars, in groups.
type chart struct {
	title  string // with the unit
	groups []barGroup
}

type barGroup struct {
	name string
	bars []bar
}

// bar is one server's figure.
type bar struct {
	name  string
	value float64
	limit bool // what the others are compared with
	text  string
}

// charts are the drawings of what was measured; rows that failed are left out.
func (rep *report) charts() []chart {
	byRecords := func(r *row) string {
		name := fmt.Sprintf("%d a request, %d B", r.Records, r.ValueBytes)
		if r.Compression != "none" {
			name += ", " + r.Compression
		}
		return name
	}
	cpuARecord := func(r *row) (float64, string) { return r.Figures.CPUPerRecord, us(r.Figures.CPUPerRecord) }
	all := []chart{
		rep.chart("produce", "Produce: CPU a record, µs", byRecords, cpuARecord),
		rep.chart("produce", "Produce: p99, ms", byRecords, func(r *row) (float64, string) { return r.Figures.P99, ms(r.Figures.P99) }),
		rep.chart("fetch", "Fetch: CPU a record, µs", func(r *row) string {
			if r.PageBytes == 0 {
				return "no pages"
			}
			return "pages of " + mib(int64(r.PageBytes))
		}, cpuARecord),
		rep.chart("metadata", "Metadata: requests a second", func(r *row) string { return r.Request }, func(r *row) (float64, string) {
			return r.Figures.RequestsPerSecond, count(r.Figures.RequestsPerSecond)
		}),
		rep.chart("latency", "One record, open loop: p99, ms", func(r *row) string {
			if r.Rate == 0 {
				return "as many as go"
			}
			return count(r.Rate) + " a second"
		}, func(r *row) (float64, string) { return r.Figures.P99, ms(r.Figures.P99) }),
		rep.chart("growth", "Growth: CPU a record, µs", func(r *row) string {
			return fmt.Sprintf("%d topics of %d", r.Topics, r.Partitions)
		}, cpuARecord),
		rep.chart("avro", "JSON and Avro: CPU a record, µs", func(r *row) string {
			if r.PageBytes > 0 {
				return "read"
			}
			return fmt.Sprintf("written, %d a request", r.Records)
		}, cpuARecord),
	}
	var drawn []chart
	for _, c := range all {
		if len(c.groups) > 0 {
			drawn = append(drawn, c)
		}
	}
	return drawn
}

// chart groups the rows of a suite.
func (rep *report) chart(suite, title string, group func(*row) string, figure func(*row) (float64, string)) chart {
	c := chart{title: title}
	for _, r := range rep.of(suite) {
		if r.Failure != "" {
			continue
		}
		name := group(r)
		at := -1
		for i := range c.groups {
			if c.groups[i].name == name {
				at = i
			}
		}
		if at < 0 {
			c.groups = append(c.groups, barGroup{name: name})
			at = len(c.groups) - 1
		}
		value, text := figure(r)
		c.groups[at].bars = append(c.groups[at].bars, bar{name: r.Server, value: value, limit: r.isLimit(), text: text})
	}
	return c
}

// The drawing's measures.
const (
	plotWidth, plotNames, plotTexts = 820.0, 230.0, 90.0
	barHeight, barGap, groupGap     = 16.0, 4.0, 26.0
	titleHeight                     = 40.0
)

const plotStyle = `<style>
text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}.group{font-weight:600}
.own{fill:#0969da}.limit{fill:#9aa4af}.back{fill:#fff}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.own{fill:#4493f8}.limit{fill:#656d76}.back{fill:#0d1117}}
</style>
`

// draw returns all charts, one below the other, as one SVG.
func draw(charts []chart) string {
	var b strings.Builder
	y := 10.0
	for _, c := range charts {
		y = c.draw(&b, y)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%[1]g">%[3]s<rect class="back" width="100%%" height="100%%"/>`,
		plotWidth, y, "\n"+plotStyle) + "\n" + b.String() + "</svg>\n"
}

// draw appends the chart from y down, and returns where it ends. Every group
// has a scale of its own: what is compared stands together.
func (c chart) draw(b *strings.Builder, y float64) float64 {
	fmt.Fprintf(b, "<text class=\"title\" x=\"10\" y=\"%.0f\">%s</text>\n", y+20, html.EscapeString(c.title))
	y += titleHeight
	for _, g := range c.groups {
		fmt.Fprintf(b, "<text class=\"group\" x=\"10\" y=\"%.0f\">%s</text>\n", y+12, html.EscapeString(g.name))
		y += groupGap - barGap
		most := 0.0
		for _, bar := range g.bars {
			most = max(most, bar.value)
		}
		for _, bar := range g.bars {
			width := 0.0
			if most > 0 {
				width = bar.value / most * (plotWidth - plotNames - plotTexts)
			}
			class := "own"
			if bar.limit {
				class = "limit"
			}
			fmt.Fprintf(b, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>", plotNames-8, y+12.5, html.EscapeString(bar.name))
			fmt.Fprintf(b, "<rect class=\"%s\" x=\"%.0f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\"/>", class, plotNames, y, max(width, 1), barHeight)
			fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", plotNames+width+6, y+12.5, html.EscapeString(bar.text))
			y += barHeight + barGap
		}
		y += 6
	}
	return y + 10
}

// writePlots draws the report into a file.
func (rep *report) writePlots(path string) error {
	if err := os.WriteFile(path, []byte(draw(rep.charts())), 0o644); err != nil {
		return fmt.Errorf("cannot write the plots: %w", err)
	}
	return nil
}
