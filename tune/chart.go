package tune

import (
	"fmt"
	"html/template"
	"math"

	"millrace/internal/kafka"
	"millrace/internal/lab"
)

var (
	largeFrame = lab.Frame{Width: 760, Height: 430, Left: 52, Right: 18, Top: 14, Bottom: 44}
	smallFrame = lab.Frame{Width: 250, Height: 190, Left: 38, Right: 10, Top: 10, Bottom: 38}
)

// charts draws all sizes with the same axes, so that they can be compared; the
// advised one is large and the first.
func (r *Report) charts() (large template.HTML, small []template.HTML) {
	low, right, top := math.Inf(1), 0.0, 1.0
	for _, s := range r.Sizes {
		for _, row := range s.Rows {
			if row.CPU > 0 {
				low, right = min(low, row.CPU), max(right, row.CPU)
			}
			top = max(top, row.Ratio)
		}
	}
	if right == 0 { // no codec has taken measurable time
		low, right = 0.1, 10
	}
	x := lab.LogBetween(low/1.4, right*1.4, digitsOf)
	x.Name = "CPU s per million records"
	y := lab.Between(1, 1+max((top-1)*1.08, 0.1), 9, digitsOf)
	y.Origin = "none"
	for _, s := range r.Sizes {
		p := s.chart()
		p.X, p.Y, p.Frame = x, y, smallFrame
		if !s.Advised {
			small = append(small, p.SVG())
			continue
		}
		p.Frame = largeFrame
		for i := range p.Points {
			name := s.Rows[i+1].Name
			p.Points[i].Label, p.Points[i].Radius, p.Points[i].Marked = name, 5, name == r.Advice.Name
		}
		large = p.SVG()
	}
	return large, small
}

// chart plots the settings of one size of batch: CPU to the right, ratio upwards from
// 1, which is none, a codec's levels joined. The first row is none and has no point.
func (s *Size) chart() lab.Plot {
	p := lab.Plot{Title: "ratio against CPU at batches of " + bytesOf(s.BatchBytes)}
	for _, codec := range kafka.Codecs[1:] {
		p.Lines = append(p.Lines, s.line(codec))
	}
	for _, row := range s.Rows[1:] {
		p.Points = append(p.Points, lab.Point{X: row.CPU, Y: row.Ratio, Class: row.Codec, Radius: 3.5, Tip: row.tip()})
	}
	return p
}

// line joins the levels of a codec by rising CPU.
func (s *Size) line(codec kafka.Codec) lab.Line {
	var at []*Row
	for _, row := range s.Rows {
		if row.Codec == string(codec) {
			at = append(at, row)
		}
	}
	byCPU(at)
	l := lab.Line{Name: string(codec), Class: string(codec)}
	for _, row := range at {
		l.XS, l.YS = append(l.XS, row.CPU), append(l.YS, row.Ratio)
	}
	return l
}

func (r *Row) tip() string {
	return fmt.Sprintf("%s: ratio %s, %s s of CPU per million records, %s MB/s, back at %s MB/s",
		r.Name, digits(r.Ratio), digits(r.CPU), digits(r.Compress), digits(r.Decompress))
}

// bars draws what a day costs with each setting, cheapest first, in its three
// parts.
func (r *Report) bars() template.HTML {
	c := lab.BarChart{Title: "cost a day by setting", Size: lab.BarSize{Width: 760, Names: 76, Texts: 110, Thick: 14, Gap: 10}}
	dearest := 0.0
	for _, row := range byCost(r.advised().Rows) {
		dearest = max(dearest, row.Day.Cost)
		bar := lab.Bar{Name: row.Name, Text: digits(row.Day.Cost), Strong: row.Name == r.Advice.Name}
		for _, part := range []struct {
			class, what string
			cost        float64
		}{{"cpu", "CPU", row.Day.CPUCost}, {"network", "network", row.Day.NetworkCost}, {"disk", "disk", row.Day.DiskCost}} {
			tip := fmt.Sprintf("%s, %s: %s a day", row.Name, part.what, digits(part.cost))
			bar.Parts = append(bar.Parts, lab.Part{Class: part.class, Value: part.cost, Tip: tip})
		}
		c.Add("", bar)
	}
	if dearest == 0 {
		return "" // everything is free
	}
	return c.SVG()
}
