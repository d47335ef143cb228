package lab

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// canvas collects the elements of an SVG. Colours and fonts come from a style sheet by
// class, so that a drawing follows light and dark.
type canvas struct{ strings.Builder }

// text writes a text; anchor is start, middle or end, class may be "".
func (c *canvas) text(class string, x, y float64, anchor, text string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(c, `<text%s x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, html.EscapeString(text))
}

// line draws a straight line.
func (c *canvas) line(class string, from, to [2]float64) {
	fmt.Fprintf(c, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, from[0], from[1], to[0], to[1])
}

// box draws a rectangle, with a tip for a pointer that rests on it if there is one.
func (c *canvas) box(class string, r rect, tip string) {
	fmt.Fprintf(c, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"`, class, r.x, r.y, max(r.w, 0), r.h)
	if tip == "" {
		c.WriteString(`/>`)
		return
	}
	fmt.Fprintf(c, `><title>%s</title></rect>`, html.EscapeString(tip))
}

// open begins a drawing inside of a page, which gives it its width.
func (c *canvas) open(width, height float64, label string) {
	fmt.Fprintf(c, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, height, html.EscapeString(label))
}

type rect struct{ x, y, w, h float64 }

func (r rect) meets(o rect) bool {
	return r.x < o.x+o.w && o.x < r.x+r.w && r.y < o.y+o.h && o.y < r.y+r.h
}

// Axis maps values to a place of a drawing.
type Axis struct {
	Min, Max float64
	Log      bool
	// Ticks are the values with a label, which Show writes.
	Ticks []float64
	Show  func(float64) string
	// Name stands at the end of the axis, Origin instead of a tick at its beginning.
	Name, Origin string
}

// mostTicks is how many intervals an axis has at most.
const mostTicks = 5

// Linear returns an axis from 0 to at least top, with round ticks.
func Linear(top float64, show func(float64) string) Axis {
	if top <= 0 {
		top = 1
	}
	step := roundStep(top, mostTicks)
	a := Axis{Max: math.Ceil(top/step-1e-9) * step, Show: show}
	a.Ticks = multiples(step, 0, a.Max+step/2)
	return a
}

// Between returns an axis from lo to hi, with ticks at round numbers, at most most
// intervals of them.
func Between(lo, hi float64, most int, show func(float64) string) Axis {
	return Axis{Min: lo, Max: hi, Show: show, Ticks: multiples(roundStep(hi-lo, most), lo, hi)}
}

// roundStep is the smallest of 1, 2, 5, 10 and so on that cuts length into at most most
// pieces.
func roundStep(length float64, most int) float64 {
	step := math.Pow(10, math.Floor(math.Log10(length/float64(most))))
	for _, times := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if length/step <= float64(most) {
			break
		}
		step *= times
	}
	return step
}

// multiples are those of step from lo to hi. Adding 0 makes a 0 of a -0.
func multiples(step, lo, hi float64) (out []float64) {
	for i := math.Ceil(lo/step-1e-9) + 0; i*step <= hi; i++ {
		out = append(out, i*step)
	}
	return out
}

// Logarithmic returns an axis between round numbers that holds all positive values
// from lo to hi.
func Logarithmic(lo, hi float64, show func(float64) string) Axis {
	if !(lo > 0) {
		lo = 0.1
	}
	hi = max(hi, lo)
	round := rounds(lo/10, hi*10) // from below lo to above hi
	for len(round) > 2 && round[1] <= lo {
		round = round[1:]
	}
	for len(round) > 2 && round[len(round)-2] >= hi {
		round = round[:len(round)-1]
	}
	return LogBetween(round[0], round[len(round)-1], show)
}

// LogBetween returns a logarithmic axis from lo to hi, with ticks at 1, 2, 5, 10 and so
// on, or over a wide range at powers of ten.
func LogBetween(lo, hi float64, show func(float64) string) Axis {
	const wide = 200
	a := Axis{Min: lo, Max: hi, Log: true, Show: show}
	for _, t := range rounds(lo, hi) {
		if exp := math.Log10(t); hi/lo <= wide || math.Abs(exp-math.Round(exp)) < 1e-9 {
			a.Ticks = append(a.Ticks, t)
		}
	}
	return a
}

// rounds are 1, 2, 5, 10 and so on from lo to hi.
func rounds(lo, hi float64) (out []float64) {
	const slack = 1 + 1e-9
	for decade := math.Pow(10, math.Floor(math.Log10(lo))); decade <= hi*slack; decade *= 10 {
		for _, v := range []float64{decade, 2 * decade, 5 * decade} {
			if v*slack >= lo && v <= hi*slack {
				out = append(out, v)
			}
		}
	}
	return out
}

// place returns where v is on the axis, from 0 to 1.
func (a Axis) place(v float64) float64 {
	lo, hi := a.Min, a.Max
	if a.Log {
		v, lo, hi = math.Log(max(v, a.Min)), math.Log(lo), math.Log(hi)
	}
	if hi <= lo {
		return 0
	}
	return min(max((v-lo)/(hi-lo), 0), 1)
}
