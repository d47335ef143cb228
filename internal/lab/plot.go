package lab

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// Plot is a drawing of lines and points over two axes, as SVG for a page whose style
// sheet has its classes: grid, tick, base, tip, marked, name, and of the lines' own
// Class line, area and point.
type Plot struct {
	Title  string
	Frame  Frame
	X, Y   Axis
	Lines  []Line
	Points []Point
	// Tips cover the drawing in stripes and are shown when the pointer rests there.
	Tips []Tip
}

// Frame is the size of a drawing and its margins.
type Frame struct{ Width, Height, Left, Right, Top, Bottom float64 }

// Line is one line of a plot.
type Line struct {
	Name, Class string
	Dashed      bool
	Area        bool // filled down to the axis
	XS, YS      []float64
}

// Point is one point of a plot.
type Point struct {
	X, Y   float64
	Class  string
	Radius float64
	Tip    string
	// Label stands beside the point, where there is room; "" is none.
	Label string
	// Marked points have a circle around them.
	Marked bool
}

// Tip is a text about the values near X.
type Tip struct {
	X    float64
	Text string
}

// Legend returns what the page lists above the drawing.
func (p Plot) Legend() []Line { return p.Lines }

// SVG draws the plot.
func (p Plot) SVG() template.HTML {
	d := plotter{Plot: p, bottom: p.Frame.Height - p.Frame.Bottom, right: p.Frame.Width - p.Frame.Right}
	d.open(p.Frame.Width, p.Frame.Height, p.Title)
	d.axes()
	for _, l := range p.Lines {
		d.drawLine(l)
	}
	for _, at := range p.Points {
		d.point(at)
	}
	for _, at := range p.Points {
		if at.Label != "" {
			d.label(at)
		}
	}
	d.tips()
	d.WriteString(`</svg>`)
	return template.HTML(d.String())
}

// plotter draws one plot.
type plotter struct {
	Plot
	canvas
	bottom, right float64 // of the area between the axes
	taken         []rect  // what no label may cover
}

func (d *plotter) px(v float64) float64 {
	return d.Frame.Left + d.X.place(v)*(d.right-d.Frame.Left)
}

func (d *plotter) py(v float64) float64 { return d.bottom - d.Y.place(v)*(d.bottom-d.Frame.Top) }

func (d *plotter) axes() {
	const gap, line = 6, 17 // from the axis to its labels, and to their foot
	left, width := d.Frame.Left, d.Frame.Width
	for _, t := range d.Y.Ticks {
		if t == d.Y.Min && d.Y.Origin != "" {
			continue
		}
		d.line("grid", [2]float64{left, d.py(t)}, [2]float64{d.right, d.py(t)})
		d.text("", left-gap, d.py(t)+4, "end", d.Y.Show(t))
	}
	for i, t := range d.X.Ticks {
		anchor := "middle"
		if d.px(t) > width-22 {
			if anchor = "end"; i > 0 && d.px(t)-d.px(d.X.Ticks[i-1]) < 60 {
				continue // it would run into the one before
			}
		}
		d.line("tick", [2]float64{d.px(t), d.bottom}, [2]float64{d.px(t), d.bottom + 4})
		d.text("", d.px(t), d.bottom+line, anchor, d.X.Show(t))
	}
	d.line("base", [2]float64{left, d.bottom}, [2]float64{d.right, d.bottom})
	if d.Y.Origin != "" {
		d.text("", left-gap, d.bottom+4, "end", d.Y.Origin)
	}
	if d.X.Name != "" {
		d.text("", d.right, d.Frame.Height-gap, "end", d.X.Name)
	}
}

func (d *plotter) drawLine(l Line) {
	if len(l.XS) == 0 {
		return
	}
	var path strings.Builder
	for i, step := 0, "M"; i < len(l.XS); i, step = i+1, "L" {
		fmt.Fprintf(&path, "%s%.1f %.1f", step, d.px(l.XS[i]), d.py(l.YS[i]))
	}
	if l.Area {
		fmt.Fprintf(d, `<path class="area %s" d="%sL%.1f %.1fL%.1f %.1[4]fZ"/>`, l.Class, path.String(), d.px(l.XS[len(l.XS)-1]), d.bottom, d.px(l.XS[0]))
	}
	dash := ""
	if l.Dashed {
		dash = " dash"
	}
	fmt.Fprintf(d, `<path class="line %s%s" d="%s"/>`, l.Class, dash, path.String())
}

func (d *plotter) point(p Point) {
	x, y := d.px(p.X), d.py(p.Y)
	if p.Marked {
		fmt.Fprintf(d, `<circle class="marked" cx="%.1f" cy="%.1f" r="11"/>`, x, y)
	}
	fmt.Fprintf(d, `<circle class="point %s" cx="%.1f" cy="%.1f" r="%g"><title>%s</title></circle>`, p.Class, x, y, p.Radius, html.EscapeString(p.Tip))
	d.taken = append(d.taken, rect{x - 6, y - 6, 12, 12})
}

// label writes a point's label at the first place beside it that is still free; where
// all are taken it goes to the right all the same.
func (d *plotter) label(p Point) {
	const height, letter = 15.0, 7.3
	x, y, w := d.px(p.X), d.py(p.Y), letter*float64(len(p.Label))
	gap, class := 9.0, "name of-"+p.Class
	if p.Marked {
		gap, class = 15, class+" strong"
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
	for _, r := range places {
		if d.free(r) {
			place = r
			break
		}
	}
	d.taken = append(d.taken, place)
	d.text(class, place.x, place.y+height-4, "start", p.Label)
}

func (d *plotter) free(r rect) bool {
	if r.x < d.Frame.Left || r.x+r.w > d.Frame.Width || r.y < 0 || r.y+r.h > d.bottom {
		return false
	}
	for _, t := range d.taken {
		if r.meets(t) {
			return false
		}
	}
	return true
}

// tips covers the drawing with stripes that a browser shows a text for.
func (d *plotter) tips() {
	for i, tip := range d.Tips {
		from, to := d.Frame.Left, d.right
		if i > 0 {
			from = (d.px(d.Tips[i-1].X) + d.px(tip.X)) / 2
		}
		if i+1 < len(d.Tips) {
			to = (d.px(tip.X) + d.px(d.Tips[i+1].X)) / 2
		}
		d.box("tip", rect{from, d.Frame.Top, to - from, d.bottom - d.Frame.Top}, tip.Text)
	}
}
