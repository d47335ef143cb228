package main

import (
	"fmt"
	"os"
)

// chart is one drawing of horizontal bars, in groups.
type chart struct {
	title  string
	unit   string // of the axis
	groups []barGroup
}

// barGroup has an axis of its own: what is compared stands together.
type barGroup struct {
	name string
	bars []bar
}

// bar is one figure, which may be a sum.
type bar struct {
	name  string
	parts []part
	text  string
}

// part is a share of a bar. Its kind is its colour.
type part struct {
	kind  partKind
	value float64
}

type partKind int

const (
	ofHTTP partKind = iota // floors
	ofKafka
	ofUs
	ofPeer
)

// kinds are the names of parts in legend and style.
var kinds = []struct{ legend, class string }{
	ofHTTP:  {"HTTP floor", "http"},
	ofKafka: {"bare Kafka client", "kafka"},
	ofUs:    {"millrace", "own"},
	ofPeer:  {"other proxies", "peer"},
}

// kind is what a row's bar is of.
func (r *row) kind() partKind {
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
func (rep *report) charts() (drawn []chart) {
	for _, c := range []chart{
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
		if len(c.groups) > 0 {
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
func (rep *report) chart(suite, title, unit string, show figure, group func(*row) string) chart {
	c := chart{title: title, unit: unit}
	for _, r := range rep.of(suite) {
		if name := group(r); name != "" && r.Failure == "" {
			value, text := show(r)
			c.add(name, bar{name: r.label(), parts: []part{{r.kind(), value}}, text: text})
		}
	}
	return c
}

// add appends a bar to a group.
func (c *chart) add(group string, b bar) {
	for i := range c.groups {
		if c.groups[i].name == group {
			c.groups[i].bars = append(c.groups[i].bars, b)
			return
		}
	}
	c.groups = append(c.groups, barGroup{name: group, bars: []bar{b}})
}

// produceCosts sets each server beside the sum of its floors.
func (rep *report) produceCosts() chart {
	c := chart{title: "Produce: CPU a record, beside both floors", unit: "µs"}
	for _, r := range rep.of("produce") {
		if r.isLimit() || r.Failure != "" {
			continue
		}
		group := produceGroup(r)
		http, kafka := rep.find(r, httpFloor), rep.find(r, kafkaFloor)
		if http != nil && kafka != nil && r.Peer == "" {
			a, b := http.Figures.CPUPerRecord, kafka.Figures.CPUPerRecord
			c.add(group, bar{name: "floors", parts: []part{{ofHTTP, a}, {ofKafka, b}}, text: us(a + b)})
		}
		value, text := cpuARecord(r)
		c.add(group, bar{name: r.label(), parts: []part{{r.kind(), value}}, text: text})
	}
	return c
}

// writePlots draws the report into a file.
func (rep *report) writePlots(path string) error {
	if err := os.WriteFile(path, []byte(draw(rep.charts())), 0o644); err != nil {
		return fmt.Errorf("cannot write the plots: %w", err)
	}
	return nil
}
