package loadtest

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// plot is a small line chart, drawn as SVG whose colours come from the page's
// style sheet by class, so that it follows light and dark.
type plot struct {
	Title  string
	x, y   axis
	series []line
	// tips are shown when the pointer rests on the chart, one for each of
	// tipsAt.
	tips   []string
	tipsAt []float64
	// wide plots have a row of their own.
	wide bool
}

// width is of the drawing: a wide one has two plots' and what is between them.
func (p plot) width() float64 {
	if p.wide {
		return 2*plotWidth + 40
	}
	return plotWidth
}

// Wide is for the page.
func (p plot) Wide() bool { return p.wide }

// line is one line of a plot; class is s1, s2, s3, bad or old.
type line struct {
	Name, Class string
	Dashed      bool
	area        bool // filled down to the axis
	xs, ys      []float64
}

// axis maps values to a place. Ticks at which show returns "" have no label.
type axis struct {
	min, max float64
	log      bool
	ticks    []float64
	show     func(float64) string
}

// The drawing is small so that its letters can be read when a phone shrinks it.
const (
	plotWidth, plotHeight                    = 420.0, 230.0
	plotLeft, plotRight, plotTop, plotBottom = 56.0, 10.0, 10.0, 26.0
)

// place is where v is on the axis, from 0 to 1.
func (a axis) place(v float64) float64 {
	lo, hi := a.min, a.max
	if a.log {
		v, lo, hi = math.Log(max(v, a.min)), math.Log(lo), math.Log(hi)
	}
	if hi <= lo {
		return 0
	}
	return min(max((v-lo)/(hi-lo), 0), 1)
}

// linear is an axis from 0 to at least top, with round ticks.
func linear(top float64, show func(float64) string) axis {
	if top <= 0 {
		top = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(top)))
	for _, f := range []float64{.2, .5, 1, 2} {
		if top/(step*f) <= 5 {
			step *= f
			break
		}
	}
	a := axis{max: math.Ceil(top/step-1e-9) * step, show: show}
	for i := 0.0; i*step <= a.max+step/2; i++ {
		a.ticks = append(a.ticks, i*step)
	}
	return a
}

// logarithmic is an axis that holds all positive values from lo to hi.
func logarithmic(lo, hi float64, show func(float64) string) axis {
	if !(lo > 0) {
		lo = 0.1
	}
	hi = max(hi, lo)
	a := axis{log: true, show: show}
	var round []float64 // from below lo to at least hi
	for decade := math.Pow(10, math.Floor(math.Log10(lo))); decade <= hi*10; decade *= 10 {
		round = append(round, decade, 2*decade, 5*decade)
	}
	for len(round) > 2 && round[1] <= lo {
		round = round[1:]
	}
	for len(round) > 2 && round[len(round)-2] >= hi {
		round = round[:len(round)-1]
	}
	a.min, a.max = round[0], round[len(round)-1]
	for _, t := range round {
		// Over a wide range only powers of ten.
		if exp := math.Log10(t); a.max/a.min <= 200 || math.Abs(exp-math.Round(exp)) < 1e-9 {
			a.ticks = append(a.ticks, t)
		}
	}
	return a
}

// Legend is what the page lists above the drawing.
func (p plot) Legend() []line { return p.series }

// SVG draws the plot.
func (p plot) SVG() template.HTML {
	var b strings.Builder
	w, h := p.width()-plotLeft-plotRight, plotHeight-plotTop-plotBottom
	px := func(v float64) float64 { return plotLeft + p.x.place(v)*w }
	py := func(v float64) float64 { return plotTop + (1-p.y.place(v))*h }
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, p.width(), plotHeight, html.EscapeString(p.Title))
	for _, t := range p.y.ticks {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, plotLeft, p.width()-plotRight, py(t))
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`, plotLeft-6, py(t)+4, html.EscapeString(p.y.show(t)))
	}
	for i, t := range p.x.ticks {
		anchor := "middle"
		if px(t) > p.width()-22 {
			if anchor = "end"; i > 0 && px(t)-px(p.x.ticks[i-1]) < 60 {
				continue // it would run into the one before
			}
		}
		fmt.Fprintf(&b, `<line class="tick" x1="%.1f" x2="%.1[1]f" y1="%.1f" y2="%.1f"/>`, px(t), plotTop+h, plotTop+h+4)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, px(t), plotHeight-8, anchor, html.EscapeString(p.x.show(t)))
	}
	fmt.Fprintf(&b, `<line class="base" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, plotLeft, p.width()-plotRight, plotTop+h)
	for _, s := range p.series {
		s.draw(&b, px, py, plotTop+h)
	}
	p.drawTips(&b, px, h)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func (s line) draw(b *strings.Builder, px, py func(float64) float64, base float64) {
	if len(s.xs) == 0 {
		return
	}
	var path strings.Builder
	for i := range s.xs {
		fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], px(s.xs[i]), py(s.ys[i]))
	}
	if s.area {
		fmt.Fprintf(b, `<path class="area %s" d="%sL%.1f %.1fL%.1f %.1[4]fZ"/>`, s.Class, path.String(), px(s.xs[len(s.xs)-1]), base, px(s.xs[0]))
	}
	dash := ""
	if s.Dashed {
		dash = " dash"
	}
	fmt.Fprintf(b, `<path class="line %s%s" d="%s"/>`, s.Class, dash, path.String())
}

// drawTips covers the chart with stripes that a browser shows a text for.
func (p plot) drawTips(b *strings.Builder, px func(float64) float64, h float64) {
	for i, text := range p.tips {
		from, to := plotLeft, p.width()-plotRight
		if i > 0 {
			from = (px(p.tipsAt[i-1]) + px(p.tipsAt[i])) / 2
		}
		if i+1 < len(p.tips) {
			to = (px(p.tipsAt[i]) + px(p.tipsAt[i+1])) / 2
		}
		fmt.Fprintf(b, `<rect class="tip" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
			from, plotTop, max(to-from, 0), h, html.EscapeString(text))
	}
}
