package main

import (
	"fmt"
	"os"
	"strconv"

	"millrace/internal/lab"
)

// Classes of bars in the style sheet.
const (
	ofHTTP  = "http" // floors
	ofKafka = "kafka"
	ofUs    = "own"
	ofPeer  = "peer"
)

var kinds = []lab.Kind{
	{Legend: "HTTP floor", Class: ofHTTP},
	{Legend: "bare Kafka client", Class: ofKafka},
	{Legend: "millrace", Class: ofUs},
	{Legend: "other proxies", Class: ofPeer},
}

const plotStyle = `text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:16px}.group{font-weight:600}.tick{font-size:11px;fill:#57606a}
.http{fill:#afb8c1}.kafka{fill:#6e7781}.own{fill:#0969da}.peer{fill:#bc4c00}.back{fill:#fff}.grid{stroke:#d0d7de}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#9198a1}
.http{fill:#59636e}.kafka{fill:#8b949e}.own{fill:#4493f8}.peer{fill:#f0883e}.back{fill:#0d1117}.grid{stroke:#30363d}}
`

func newChart(title, unit string) lab.BarChart {
	return lab.BarChart{
		Title: title, Unit: unit, Kinds: kinds, Show: axisNumber,
		Size: lab.BarSize{Width: 880, Names: 290, Texts: 100, Thick: 16, Gap: 4},
	}
}

// kind is what a row's bar is of.
func (r *row) kind() string {
	switch {
	case r.Peer != "":
		return ofPeer
	case r.Server == httpFloor:
		return ofHTTP
	case r.isLimit():
		return ofKafka
	}
	return ofUs
}

// figure is what a chart shows of a row.
type figure func(r *row) (value float64, text string)

func cpuARecord(r *row) (float64, string) { return r.Figures.CPUPerRecord, us(r.Figures.CPUPerRecord) }

func p99(r *row) (float64, string) { return r.Figures.P99, ms(r.Figures.P99) }

func requestRate(r *row) (float64, string) {
	return r.Figures.RequestsPerSecond, count(r.Figures.RequestsPerSecond)
}

// charts are the drawings of what was measured; rows that failed are left out.
func (rep *report) charts() (drawn []lab.BarChart) {
	for _, c := range []lab.BarChart{
		rep.produceCosts(),
		rep.chart("produce", "Produce: p99", "ms", p99, produceGroup),
		rep.chart("fetch", "Fetch: CPU a record", "µs", cpuARecord, func(r *row) string {
			switch {
			case r.Server == millraceLive:
				return "" // it waits: a record costs a hundred times as much
			case r.PageBytes == 0:
				return "bare consumer, and streams"
			}
			return "pages of " + mib(int64(r.PageBytes))
		}),
		rep.chart("metadata", "Metadata: requests answered", "/s", requestRate, func(r *row) string { return r.Request }),
		rep.chart("latency", "One record a request: p99", "ms", p99, func(r *row) string {
			if r.Rate == 0 {
				return "closed loop"
			}
			return "open loop, " + count(r.Rate) + " a second"
		}),
		rep.chart("growth", "Growth: CPU a record", "µs", cpuARecord, func(r *row) string {
			return fmt.Sprintf("topics: %d, partitions of each: %d", r.Topics, r.Partitions)
		}),
		rep.chart("avro", "A record of 19 fields as JSON and as Avro: CPU a record", "µs", cpuARecord, func(r *row) string {
			if r.PageBytes > 0 {
				return "read"
			}
			return fmt.Sprintf("written, %d a request", r.Records)
		}),
	} {
		if len(c.Groups) > 0 {
			drawn = append(drawn, c)
		}
	}
	return drawn
}

func produceGroup(r *row) string {
	return fmt.Sprintf("%d a request, values of %d B", r.Records, r.ValueBytes)
}

// label names a row within its group.
func (r *row) label() string {
	what := r.Server
	if r.Suite == "produce" && r.isLimit() && r.Format != "" && r.Format != "json" {
		what += ", " + r.Format
	}
	if r.Compression != "" && r.Compression != "none" {
		what += ", " + r.Compression
	}
	return what
}

// chart groups the rows of a suite; those of a group without a name are left out.
func (rep *report) chart(suite, title, unit string, show figure, group func(*row) string) lab.BarChart {
	c := newChart(title, unit)
	for _, r := range rep.of(suite) {
		if name := group(r); name != "" && r.Failure == "" {
			value, text := show(r)
			c.Add(name, lab.Bar{Name: r.label(), Parts: []lab.Part{{Class: r.kind(), Value: value}}, Text: text})
		}
	}
	return c
}

// produceCosts sets each server beside the sum of its floors.
func (rep *report) produceCosts() lab.BarChart {
	c := newChart("Produce: CPU a record, beside both floors", "µs")
	for _, r := range rep.of("produce") {
		if r.isLimit() || r.Failure != "" {
			continue
		}
		group := produceGroup(r)
		http, kafka := rep.find(r, httpFloor), rep.find(r, kafkaFloor)
		if http != nil && kafka != nil && r.Peer == "" {
			a, b := http.Figures.CPUPerRecord, kafka.Figures.CPUPerRecord
			c.Add(group, lab.Bar{Name: "floors", Parts: []lab.Part{{Class: ofHTTP, Value: a}, {Class: ofKafka, Value: b}}, Text: us(a + b)})
		}
		value, text := cpuARecord(r)
		c.Add(group, lab.Bar{Name: r.label(), Parts: []lab.Part{{Class: r.kind(), Value: value}}, Text: text})
	}
	return c
}

// writePlots draws the report into a file.
func (rep *report) writePlots(path string) error {
	if err := os.WriteFile(path, []byte(lab.Picture(plotStyle, rep.charts()...)), 0o644); err != nil {
		return fmt.Errorf("cannot write the plots: %w", err)
	}
	return nil
}

// axisNumber has no more digits than a tick needs.
func axisNumber(v float64) string {
	if v >= 1000 {
		return count(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
