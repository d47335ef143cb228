package lab

import (
	"fmt"
	"html/template"
	"slices"
)

// BarChart is a drawing of horizontal bars in groups. The style sheet has its classes:
// title, group, tick, grid, bar-name, bar-value, strong, part, and those of the parts.
type BarChart struct {
	// Title and Unit head a chart that stands by itself; without a Unit the groups
	// have no axis, and without Kinds the chart has no legend.
	Title, Unit string
	Kinds       []Kind
	Show        func(float64) string // a number of the axis
	Groups      []BarGroup
	Size        BarSize
}

// Kind is a colour of bars: Legend is what it stands for, Class its style.
type Kind struct{ Legend, Class string }

// BarSize is the width of a drawing, of the names to the left of the bars and of the
// texts to their right, and how tall a bar and the gap below it are.
type BarSize struct{ Width, Names, Texts, Thick, Gap float64 }

// BarGroup is what is compared, and so has an axis of its own.
type BarGroup struct {
	Name string
	Bars []Bar
}

// Bar is one figure, which may be a sum.
type Bar struct {
	Name   string
	Parts  []Part
	Text   string // of the figure
	Strong bool
}

// Part is a share of a bar.
type Part struct {
	Class string
	Value float64
	Tip   string
}

// Total returns the sum of the bar's parts.
func (b *Bar) Total() (sum float64) {
	for _, p := range b.Parts {
		sum += p.Value
	}
	return sum
}

// Add appends a bar to the group of that name.
func (c *BarChart) Add(group string, b Bar) {
	i := slices.IndexFunc(c.Groups, func(g BarGroup) bool { return g.Name == group })
	if i < 0 {
		i = len(c.Groups)
		c.Groups = append(c.Groups, BarGroup{Name: group})
	}
	c.Groups[i].Bars = append(c.Groups[i].Bars, b)
}

const (
	titleHeight, groupHeight = 36.0, 22.0
	legendHeight, axisHeight = 28.0, 34.0
	charWidth                = 7.5 // at most, of the legend's font
)

// SVG draws the chart for a page that has a style sheet and the title.
func (c BarChart) SVG() template.HTML {
	var bars canvas
	y := 4.0
	for _, g := range c.Groups {
		y = c.drawGroup(&bars, g, y)
	}
	var all canvas
	all.open(c.Size.Width, y, c.Title)
	all.WriteString(bars.String())
	all.WriteString(`</svg>`)
	return template.HTML(all.String())
}

// Picture returns charts, one below the other, as an SVG that needs no page; style is
// its style sheet, and the first chart's width that of all.
func Picture(style string, charts ...BarChart) string {
	var b canvas
	y, width := 10.0, 0.0
	for _, c := range charts {
		y, width = c.draw(&b, y), c.Size.Width
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%[1]g">`, width, y) +
		"\n<style>\n" + style + "</style>\n" + `<rect class="back" width="100%" height="100%"/>` + "\n" + b.String() + "</svg>\n"
}

// draw appends the chart from y down, and returns where it ends.
func (c *BarChart) draw(b *canvas, y float64) float64 {
	b.text("title", 10, y+20, "start", c.Title+" ("+c.Unit+")")
	y = c.legend(b, y+titleHeight)
	for _, g := range c.Groups {
		b.text("group", 10, y+13, "start", g.Name)
		y = c.drawGroup(b, g, y+groupHeight)
	}
	return y + 14
}

// legend names the kinds of bars that the chart has.
func (c *BarChart) legend(b *canvas, y float64) float64 {
	x := 10.0
	for _, k := range c.Kinds {
		if !c.has(k.Class) {
			continue
		}
		b.box(k.Class, rect{x, y, 12, 12}, "")
		b.text("bar-name", x+18, y+11, "start", k.Legend)
		x += 18 + charWidth*float64(len(k.Legend)) + 24
	}
	b.WriteByte('\n')
	return y + legendHeight
}

func (c *BarChart) has(class string) bool {
	return slices.ContainsFunc(c.Groups, func(g BarGroup) bool {
		return slices.ContainsFunc(g.Bars, func(bar Bar) bool {
			return slices.ContainsFunc(bar.Parts, func(p Part) bool { return p.Class == class })
		})
	})
}

// drawGroup appends the group's bars, over a grid with its axis below them if the chart
// has a unit, and returns where it ends.
func (c *BarChart) drawGroup(b *canvas, g BarGroup, y float64) float64 {
	most := 0.0
	for _, bar := range g.Bars {
		most = max(most, bar.Total())
	}
	scale := 0.0
	if most > 0 {
		scale = (c.Size.Width - c.Size.Names - c.Size.Texts) / most
	}
	end := y + float64(len(g.Bars))*(c.Size.Thick+c.Size.Gap)
	if c.Unit != "" && most > 0 {
		for _, tick := range multiples(roundStep(most, mostTicks), 0, most) {
			x := c.Size.Names + tick*scale
			b.line("grid", [2]float64{x, y - 2}, [2]float64{x, end + 2})
			b.text("tick", x, end+14, "middle", c.Show(tick)+" "+c.Unit)
		}
		b.WriteByte('\n')
	}
	for _, bar := range g.Bars {
		c.drawBar(b, bar, y, scale)
		y += c.Size.Thick + c.Size.Gap
	}
	if c.Unit != "" {
		end += axisHeight
	}
	return end
}

// drawBar appends one bar. Every part of the bar is visible, however small it is, and distinct
// from the next one.
func (c *BarChart) drawBar(b *canvas, bar Bar, y, scale float64) {
	name, value, foot := "bar-name", "bar-value", y+c.Size.Thick-3
	if bar.Strong {
		name, value = name+" strong", value+" strong"
	}
	b.text(name, c.Size.Names-8, foot, "end", bar.Name)
	x := c.Size.Names
	for _, p := range bar.Parts {
		width := max(p.Value*scale, 1)
		b.box("part "+p.Class, rect{x, y, max(width-1, 1), c.Size.Thick}, p.Tip)
		x += width
	}
	b.text(value, x+7, foot, "start", bar.Text)
	b.WriteByte('\n')
}
