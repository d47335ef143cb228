package tune

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// bars draws what a day costs with each setting, cheapest first, in its three
// parts.
func (r *Report) bars() template.HTML {
	const (
		width, left, right = 760.0, 76.0, 110.0
		step, thick        = 24.0, 14.0
	)
	rows := byCost(r.advised().Rows)
	dearest := 0.0
	for _, row := range rows {
		dearest = max(dearest, row.Day.Cost)
	}
	if dearest == 0 {
		return "" // everything is free
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="cost a day by setting">`, width, step*float64(len(rows))+4)
	for i, row := range rows {
		y, x := step*float64(i)+4, left
		class := ""
		if row.Name == r.Advice.Name {
			class = ` class="strong"`
		}
		fmt.Fprintf(&b, `<text%s x="%.1f" y="%.1f" text-anchor="end">%s</text>`, class, left-10, y+thick-2, html.EscapeString(row.Name))
		for _, part := range []struct {
			class, what string
			cost        float64
		}{{"cpu", "CPU", row.Day.CPUCost}, {"network", "network", row.Day.NetworkCost}, {"disk", "disk", row.Day.DiskCost}} {
			w := (width - left - right) * part.cost / dearest
			fmt.Fprintf(&b, `<rect class="part %s" x="%.1f" y="%.1f" width="%.1f" height="%.0f"><title>%s, %s: %s a day</title></rect>`,
				part.class, x, y, max(w-1, 0), thick, html.EscapeString(row.Name), part.what, digits(part.cost))
			x += w
		}
		fmt.Fprintf(&b, `<text%s x="%.1f" y="%.1f">%s</text>`, class, x+8, y+thick-2, digits(row.Day.Cost))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}
