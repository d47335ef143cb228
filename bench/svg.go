package main

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// The drawing's measures.
const (
	plotWidth, plotNames, plotTexts = 880.0, 290.0, 100.0
	barHeight, barGap               = 16.0, 4.0
	titleHeight, groupHeight        = 36.0, 22.0
	legendHeight, axisHeight        = 28.0, 34.0
	charWidth                       = 7.5 // at most, of the legend's font
	mostTicks                       = 5
)

const plotStyle = `<style>
text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:16px}.group{font-weight:600}.tick{font-size:11px;fill:#57606a}
.http{fill:#afb8c1}.kafka{fill:#6e7781}.own{fill:#0969da}.peer{fill:#bc4c00}.back{fill:#fff}.grid{stroke:#d0d7de}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#9198a1}
.http{fill:#59636e}.kafka{fill:#8b949e}.own{fill:#4493f8}.peer{fill:#f0883e}.back{fill:#0d1117}.grid{stroke:#30363d}}
</style>
`

// draw returns all charts, one below the other, as one SVG.
func draw(charts []chart) string {
	var b canvas
	y := 10.0
	for _, c := range charts {
		y = c.draw(&b, y)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%[1]g">%[3]s<rect class="back" width="100%%" height="100%%"/>`,
		plotWidth, y, "\n"+plotStyle) + "\n" + b.String() + "</svg>\n"
}

// canvas collects the elements of a drawing.
type canvas struct{ strings.Builder }

func (b *canvas) text(class string, x, y float64, anchor, text string) {
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, html.EscapeString(text))
}

func (b *canvas) box(kind partKind, x, y, width, height float64) {
	fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.0f"/>`, kinds[kind].class, x, y, width, height)
}

// draw appends the chart from y down, and returns where it ends.
func (c *chart) draw(b *canvas, y float64) float64 {
	b.text("title", 10, y+20, "start", c.title+" ("+c.unit+")")
	y = c.legend(b, y+titleHeight)
	for _, g := range c.groups {
		b.text("group", 10, y+13, "start", g.name)
		y = g.draw(b, y+groupHeight, c.unit)
	}
	return y + 14
}

// legend names the colours of the chart's parts, where there are several.
func (c *chart) legend(b *canvas, y float64) float64 {
	used := make([]bool, len(kinds))
	for _, g := range c.groups {
		for _, bar := range g.bars {
			for _, p := range bar.parts {
				used[p.kind] = true
			}
		}
	}
	x := 10.0
	for kind, is := range used {
		if !is {
			continue
		}
		name := kinds[kind].legend
		b.box(partKind(kind), x, y, 12, 12)
		b.text("name", x+18, y+11, "start", name)
		x += 18 + charWidth*float64(len(name)) + 24
	}
	b.WriteByte('\n')
	return y + legendHeight
}

// draw appends the group's bars over a grid, with its axis below them.
func (g *barGroup) draw(b *canvas, y float64, unit string) float64 {
	most := 0.0
	for _, bar := range g.bars {
		most = max(most, bar.total())
	}
	scale := 0.0
	if most > 0 {
		scale = (plotWidth - plotNames - plotTexts) / most
	}
	end := y + float64(len(g.bars))*(barHeight+barGap)
	for _, tick := range ticks(most) {
		x := plotNames + tick*scale
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x, y-2, x, end+2)
		b.text("tick", x, end+14, "middle", axisNumber(tick)+" "+unit)
	}
	b.WriteByte('\n')
	for _, bar := range g.bars {
		b.text("name", plotNames-8, y+12.5, "end", bar.name)
		x := plotNames
		for _, p := range bar.parts {
			width := max(p.value*scale, 1)
			b.box(p.kind, x, y, width, barHeight)
			x += width
		}
		b.text("value", x+6, y+12.5, "start", bar.text)
		b.WriteByte('\n')
		y += barHeight + barGap
	}
	return end + axisHeight
}

func (b *bar) total() (sum float64) {
	for _, p := range b.parts {
		sum += p.value
	}
	return sum
}

// ticks are round numbers from 0 to most.
func ticks(most float64) (out []float64) {
	if most <= 0 {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10(most/mostTicks)))
	for _, times := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if most/step <= mostTicks {
			break
		}
		step *= times
	}
	for i := 0.0; i*step <= most; i++ {
		out = append(out, i*step)
	}
	return out
}

// axisNumber has no more digits than a tick needs.
func axisNumber(v float64) string {
	if v >= 1000 {
		return count(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
