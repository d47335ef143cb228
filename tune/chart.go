package tune

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"millrace/internal/kafka"
)

// chart draws the settings of one size of batch as SVG: CPU to the right,
// ratio upwards from 1, which is none, a codec's levels joined. Colours come from the page's style
// sheet by class, so that they follow light and dark.
type chart struct {
	size     *Size
	advised  string // the name to highlight
	low, top float64
	right    float64 // the ends of the axes
	box      box
	labels   bool
	b        strings.Builder
	taken    []rect // areas that no label may cover
}

// box is the drawing's size and margins.
type box struct{ width, height, left, right, top, bottom float64 }

var (
	largeBox = box{760, 430, 52, 18, 14, 44}
	smallBox = box{250, 190, 38, 10, 10, 38}
)

type rect struct{ x, y, w, h float64 }

func (r rect) meets(o rect) bool {
	return r.x < o.x+o.w && o.x < r.x+r.w && r.y < o.y+o.h && o.y < r.y+r.h
}

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
	for _, s := range r.Sizes {
		c := chart{size: s, low: low / 1.4, right: right * 1.4, top: 1 + max((top-1)*1.08, 0.1)}
		if s.Advised {
			c.box, c.labels, c.advised = largeBox, true, r.Advice.Name
			large = c.draw()
			continue
		}
		c.box = smallBox
		small = append(small, c.draw())
	}
	return large, small
}

func (c *chart) x(cpu float64) float64 {
	w := c.box.width - c.box.left - c.box.right
	return c.box.left + w*math.Log(max(cpu, c.low)/c.low)/math.Log(c.right/c.low)
}

func (c *chart) y(ratio float64) float64 {
	h := c.box.height - c.box.top - c.box.bottom
	return c.box.top + h*(1-(ratio-1)/(c.top-1))
}

func (c *chart) printf(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

func (c *chart) draw() template.HTML {
	c.printf(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="ratio against CPU at batches of %s">`, c.box.width, c.box.height, bytesOf(c.size.BatchBytes))
	c.axes()
	for _, codec := range kafka.Codecs[1:] {
		c.line(codec)
	}
	for _, row := range c.size.Rows[1:] {
		c.point(row)
	}
	if c.labels {
		for _, row := range c.size.Rows[1:] {
			c.label(row)
		}
	}
	c.printf(`</svg>`)
	return template.HTML(c.b.String())
}

func (c *chart) axes() {
	left, right := c.box.left, c.box.width-c.box.right
	bottom := c.box.height - c.box.bottom
	step := 0.1
	for i := 0; (c.top-1)/step > 9; i++ {
		step *= []float64{2, 2.5, 2}[i%3] // 0.2, 0.5, 1, 2, 5, …
	}
	for i := 1.0; i*step <= c.top; i++ {
		v := i * step
		if v <= 1 {
			continue
		}
		c.printf(`<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, left, right, c.y(v))
		c.printf(`<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`, left-7, c.y(v)+4, digitsOf(v))
	}
	for decade := math.Pow(10, math.Floor(math.Log10(c.low))); decade < c.right; decade *= 10 {
		for _, f := range []float64{1, 2, 5} {
			if v := decade * f; v >= c.low && v <= c.right && (f == 1 || c.right/c.low < 300) {
				c.printf(`<line class="tick" x1="%.1f" x2="%.1[1]f" y1="%.1f" y2="%.1f"/>`, c.x(v), bottom, bottom+4)
				c.printf(`<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, c.x(v), bottom+17, digitsOf(v))
			}
		}
	}
	c.printf(`<line class="base" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, left, right, bottom)
	c.printf(`<text x="%.1f" y="%.1f" text-anchor="end">CPU s per million records</text>`, right, c.box.height-6)
	c.printf(`<text x="%.1f" y="%.1f" text-anchor="end">none</text>`, left-7, bottom+4)
}

// line joins the levels of a codec by rising CPU.
func (c *chart) line(codec kafka.Codec) {
	var at []*Row
	for _, row := range c.size.Rows {
		if row.Codec == string(codec) {
			at = append(at, row)
		}
	}
	byCPU(at)
	path := ""
	for i, row := range at {
		path += fmt.Sprintf("%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], c.x(row.CPU), c.y(row.Ratio))
	}
	c.printf(`<path class="line %s" d="%s"/>`, codec, path)
}

func (c *chart) point(row *Row) {
	x, y := c.x(row.CPU), c.y(row.Ratio)
	if row.Name == c.advised {
		c.printf(`<circle class="advised" cx="%.1f" cy="%.1f" r="11"/>`, x, y)
	}
	c.printf(`<circle class="point %s" cx="%.1f" cy="%.1f" r="%g"><title>%s</title></circle>`, row.Codec, x, y,
		map[bool]float64{true: 5, false: 3.5}[c.labels], html.EscapeString(c.tip(row)))
	c.taken = append(c.taken, rect{x - 6, y - 6, 12, 12})
}

func (c *chart) tip(row *Row) string {
	return fmt.Sprintf("%s: ratio %s, %s s of CPU per million records, %s MB/s, back at %s MB/s",
		row.Name, digits(row.Ratio), digits(row.CPU), digits(row.Compress), digits(row.Decompress))
}

// label writes a setting's name at the first free position beside its point; where all are taken,
// to the right all the same.
func (c *chart) label(row *Row) {
	const height, letter = 15.0, 7.3
	x, y, w := c.x(row.CPU), c.y(row.Ratio), letter*float64(len(row.Name))
	gap := 9.0
	if row.Name == c.advised {
		gap = 15
	}
	places := []rect{
		{x + gap, y - height/2, w, height},
		{x - w/2, y - gap - height, w, height},
		{x - gap - w, y - height/2, w, height},
		{x - w/2, y + gap, w, height},
		{x + gap/2, y - gap - height/2, w, height},
		{x + gap/2, y + gap/2, w, height},
		{x - gap/2 - w, y - gap - height/2, w, height},
		{x - gap/2 - w, y + gap/2, w, height},
	}
	place := places[0]
	for _, p := range places {
		if c.free(p) {
			place = p
			break
		}
	}
	c.taken = append(c.taken, place)
	class := ""
	if row.Name == c.advised {
		class = " strong"
	}
	c.printf(`<text class="name of-%s%s" x="%.1f" y="%.1f">%s</text>`, row.Codec, class, place.x, place.y+height-4, html.EscapeString(row.Name))
}

func (c *chart) free(p rect) bool {
	if p.x < c.box.left || p.x+p.w > c.box.width || p.y < 0 || p.y+p.h > c.box.height-c.box.bottom {
		return false
	}
	for _, t := range c.taken {
		if p.meets(t) {
			return false
		}
	}
	return true
}
