package main

import (
	"encoding/xml"
	"strings"
	"testing"

	"millrace/internal/lab"
)

type drawing struct {
	Texts []struct {
		Class  string  `xml:"class,attr"`
		X      float64 `xml:"x,attr"`
		Y      float64 `xml:"y,attr"`
		Anchor string  `xml:"text-anchor,attr"`
		Text   string  `xml:",chardata"`
	} `xml:"text"`
	Boxes []struct {
		Class string  `xml:"class,attr"`
		X     float64 `xml:"x,attr"`
		Y     float64 `xml:"y,attr"`
		Width string  `xml:"width,attr"` // the background's is in percent
	} `xml:"rect"`
}

// charWidth is the most that a letter of the drawing takes, plotWidth what all have.
const charWidth, plotWidth = 7.5, 880

// A server's bar stands below that of its own floors, one after the other; texts
// stay inside and apart; the axis has numbers and their unit.
func TestPlotOfProduce(t *testing.T) {
	at := place{Suite: "produce", Records: 100, ValueBytes: 200, Format: "json", Compression: "zstd"}
	add := func(rep *report, server string, p place, cpu float64, peer string) {
		rep.Rows = append(rep.Rows, &row{place: p, Server: server, Peer: peer, Figures: figures{CPUPerRecord: cpu, P99: cpu}})
	}
	rep := &report{}
	add(rep, httpFloor, at.of(httpFloor), 1, "")
	add(rep, kafkaFloor, at.of(kafkaFloor), 2, "")
	add(rep, millraceJSON, at, 5, "")
	add(rep, "A proxy <with> a name json", at, 12_345, "A proxy <with> a name")
	c := rep.produceCosts()
	if len(c.Groups) != 1 || len(c.Groups[0].Bars) != 3 || c.Groups[0].Bars[0].Total() != 3 || len(c.Groups[0].Bars[0].Parts) != 2 {
		t.Errorf("%+v", c)
	}
	var d drawing
	if err := xml.Unmarshal([]byte(lab.Picture(plotStyle, rep.charts()...)), &d); err != nil {
		t.Fatal(err)
	}
	texts := map[string]int{}
	for i, a := range d.Texts {
		texts[a.Text]++
		left, right := a.X, a.X+charWidth*float64(len(a.Text))
		switch a.Anchor {
		case "end":
			left, right = a.X-charWidth*float64(len(a.Text)), a.X
		case "middle":
			left, right = a.X-charWidth*float64(len(a.Text))/2, a.X+charWidth*float64(len(a.Text))/2
		}
		if left < 0 || right > plotWidth {
			t.Errorf("%q is from %v to %v, outside", a.Text, left, right)
		}
		for _, b := range d.Texts[:i] {
			if a.Y == b.Y && a.Anchor == "start" && b.Anchor == "start" && b.X+charWidth*float64(len(b.Text)) > a.X && b.X <= a.X {
				t.Errorf("%q and %q overlap", b.Text, a.Text)
			}
		}
	}
	for _, want := range []string{
		"Produce: CPU a record, beside both floors (µs)", "HTTP floor", "bare Kafka client", "millrace", "other proxies",
		"floors", "millrace json, zstd", "A proxy <with> a name json, zstd", "0 µs", "10,000 µs", "12,345 µs", "0 ms",
	} {
		if texts[want] == 0 {
			t.Errorf("no text %q in %v", want, texts)
		}
	}
	classes := map[string]int{}
	for _, box := range d.Boxes {
		classes[strings.TrimPrefix(box.Class, "part ")]++
	}
	// Of both charts, in the legend and as bars.
	if classes["http"] != 4 || classes["kafka"] != 4 || classes["own"] != 4 || classes["peer"] != 4 {
		t.Errorf("boxes: %v", classes)
	}
}
