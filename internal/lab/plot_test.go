package lab

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"testing"
)

// drawn is what a test looks at of an SVG.
type drawn struct {
	Texts []struct {
		Class string  `xml:"class,attr"`
		X     float64 `xml:"x,attr"`
		Y     float64 `xml:"y,attr"`
		Text  string  `xml:",chardata"`
	} `xml:"text"`
	Boxes []struct {
		Class string  `xml:"class,attr"`
		X     float64 `xml:"x,attr"`
		Width string  `xml:"width,attr"` // that of a background is in percent
		Tip   string  `xml:"title"`
	} `xml:"rect"`
	Circles []struct {
		Class string  `xml:"class,attr"`
		X     float64 `xml:"cx,attr"`
		Y     float64 `xml:"cy,attr"`
	} `xml:"circle"`
	Paths []struct {
		Class string `xml:"class,attr"`
		D     string `xml:"d,attr"`
	} `xml:"path"`
}

func draw(t *testing.T, svg string) (d drawn) {
	t.Helper()
	if err := xml.Unmarshal([]byte(svg), &d); err != nil {
		t.Fatalf("the drawing is not well-formed: %v\n%s", err, svg)
	}
	return d
}

func number(v float64) string { return fmt.Sprintf("%g", v) }

func TestLinearTicksAreRoundAndFew(t *testing.T) {
	for _, top := range []float64{0.003, 0.9, 1, 1.999, 7, 99.9, 100, 4711, 123_456} {
		a := Linear(top, number)
		if len(a.Ticks) < 2 || len(a.Ticks) > mostTicks+1 || a.Ticks[0] != 0 || a.Max < top || math.Abs(a.Ticks[len(a.Ticks)-1]-a.Max) > a.Max/1e9 {
			t.Errorf("up to %v: %v, ends at %v", top, a.Ticks, a.Max)
			continue
		}
		digit := a.Ticks[1] / math.Pow(10, math.Floor(math.Log10(a.Ticks[1])+1e-9))
		if rounded := math.Round(digit); math.Abs(digit-rounded) > 1e-9 || rounded != 1 && rounded != 2 && rounded != 5 {
			t.Errorf("up to %v: steps of %v", top, a.Ticks[1])
		}
	}
	if a := Linear(0, number); a.Max != 1 || len(a.Ticks) < 2 {
		t.Errorf("of nothing: %+v", a)
	}
	if a := Between(1, 10.3, 9, number); fmt.Sprint(a.Ticks) != "[2 4 6 8 10]" || a.place(1) != 0 || a.place(10.3) != 1 {
		t.Errorf("between 1 and 10.3: %+v", a)
	}
}

func TestLogarithmicAxis(t *testing.T) {
	f := func(a Axis, lo, hi float64, ticks string) {
		t.Helper()
		if math.Abs(a.Min-lo) > lo/1e9 || math.Abs(a.Max-hi) > hi/1e9 {
			t.Errorf("from %v to %v, want %v to %v", a.Min, a.Max, lo, hi)
		}
		var have []string
		for _, v := range a.Ticks {
			have = append(have, fmt.Sprintf("%.4g", v))
		}
		if got := strings.Join(have, " "); got != ticks {
			t.Errorf("ticks %s, want %s", got, ticks)
		}
	}
	f(Logarithmic(0.3, 7, number), 0.2, 10, "0.2 0.5 1 2 5 10")
	f(Logarithmic(1, 10, number), 1, 10, "1 2 5 10")
	f(Logarithmic(0.001, 900, number), 0.001, 1000, "0.001 0.01 0.1 1 10 100 1000")
	f(Logarithmic(0, 0, number), 0.1, 0.2, "0.1 0.2")
	f(LogBetween(0.2, 13.8, number), 0.2, 13.8, "0.2 0.5 1 2 5 10")
	a := LogBetween(1, 100, number)
	if at := a.place(10); math.Abs(at-.5) > 1e-9 || a.place(0) != 0 || a.place(1000) != 1 {
		t.Errorf("10 is at %v", at)
	}
}

// TestPlot holds places, labels and tips of a drawing; no two labels meet, and what
// was written by strangers is text.
func TestPlot(t *testing.T) {
	p := Plot{
		Title: `a "plot"`, Frame: Frame{Width: 120, Height: 110, Left: 10, Right: 10, Top: 5, Bottom: 5},
		X: Linear(10, number), Y: Linear(10, number),
		Lines: []Line{{Name: "l", Class: "a", Area: true, Dashed: true, XS: []float64{0, 10}, YS: []float64{0, 10}}, {Class: "empty"}},
		Points: []Point{
			{X: 5, Y: 5, Class: "b", Label: "first", Marked: true, Tip: "<tip>"},
			{X: 5, Y: 5.5, Class: "b", Label: "second"},
		},
		Tips: []Tip{{2, "<left>"}, {8, "right"}},
	}
	svg := string(p.SVG())
	d := draw(t, svg)
	if len(d.Paths) != 2 || d.Paths[1].Class != "line a dash" || d.Paths[1].D != "M10.0 105.0L110.0 5.0" {
		t.Errorf("paths %+v", d.Paths)
	}
	if len(d.Circles) != 3 || d.Circles[0].Class != "marked" || d.Circles[1].X != 60 || d.Circles[1].Y != 55 {
		t.Errorf("circles %+v", d.Circles)
	}
	if len(d.Boxes) != 2 || d.Boxes[0].Tip != "<left>" || d.Boxes[0].Width != "50.0" || d.Boxes[1].X != 60 {
		t.Errorf("tips %+v", d.Boxes)
	}
	labels := d.Texts[len(d.Texts)-2:]
	if labels[0].Text != "first" || labels[0].Class != "name of-b strong" || labels[0].Y == labels[1].Y {
		t.Errorf("labels %+v", labels)
	}
	if !strings.Contains(svg, `aria-label="a &#34;plot&#34;"`) {
		t.Errorf("no name in %s", svg)
	}
}

func TestBarChart(t *testing.T) {
	c := BarChart{
		Title: "bars", Unit: "ms", Show: number, Kinds: []Kind{{"one", "a"}, {"two", "b"}, {"unused", "c"}},
		Size: BarSize{Width: 300, Names: 100, Texts: 100, Thick: 10, Gap: 5},
	}
	c.Add("g", Bar{Name: "small & first", Text: "0.01", Parts: []Part{{Class: "a", Value: 0.01, Tip: "<a>"}}, Strong: true})
	c.Add("h", Bar{Name: "alone", Parts: []Part{{Class: "a", Value: 7}}})
	c.Add("g", Bar{Name: "sum", Text: "10", Parts: []Part{{Class: "a", Value: 4}, {Class: "b", Value: 6}}})
	if len(c.Groups) != 2 || len(c.Groups[0].Bars) != 2 || c.Groups[0].Bars[1].Total() != 10 {
		t.Fatalf("groups %+v", c.Groups)
	}
	parts := func(d drawn) (out []string) {
		for _, b := range d.Boxes {
			if strings.HasPrefix(b.Class, "part") {
				out = append(out, fmt.Sprint(b.Class, " ", b.X, " ", b.Width))
			}
		}
		return out
	}
	want := "[part a 100 1.0 part a 100 39.0 part b 140 59.0 part a 100 99.0]"
	inPage, alone := draw(t, string(c.SVG())), draw(t, Picture("text{}", c, c))
	if got := fmt.Sprint(parts(inPage)); got != want || inPage.Boxes[0].Tip != "<a>" {
		t.Errorf("%s, want %s", got, want)
	}
	if got := parts(alone); len(got) != 8 || fmt.Sprint(got[:4]) != want {
		t.Errorf("%s, want %s twice", got, want)
	}
	texts := map[string]int{}
	for _, text := range alone.Texts {
		texts[text.Text]++
	}
	for text, n := range map[string]int{"bars (ms)": 2, "one": 2, "two": 2, "unused": 0, "small & first": 2, "0 ms": 4, "10 ms": 2, "6 ms": 4} {
		if texts[text] != n {
			t.Errorf("%q is there %d times, want %d", text, texts[text], n)
		}
	}
	if draw(t, string(BarChart{Size: c.Size, Groups: []BarGroup{{Bars: []Bar{{Name: "none"}}}}}.SVG())).Texts[0].Text != "none" {
		t.Error("a bar of nothing has no name")
	}
}
