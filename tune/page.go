package tune

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"digits":  digits,
	"count":   count,
	"bytes":   bytesOf,
	"percent": func(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) },
	"when":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
}).Parse(pageText))

// WritePage writes the report as one HTML file that needs nothing else.
func (r *Report) WritePage(w io.Writer) error {
	large, small := r.charts()
	var others []*Size
	for _, s := range r.Sizes {
		if !s.Advised {
			others = append(others, s)
		}
	}
	err := page.Execute(w, map[string]any{
		"Report": r, "Summary": r.summary(), "Assumptions": r.assumptions(), "Size": r.advised(),
		"Large": large, "Small": small, "Others": others, "Bars": r.bars(),
	})
	if err != nil {
		return fmt.Errorf("cannot write the page: %w", err)
	}
	return nil
}

func byCPU(rows []*Row) {
	slices.SortFunc(rows, func(a, b *Row) int { return cmp.Compare(a.CPU, b.CPU) })
}

// byCost returns the rows in the order of their cost per day.
func byCost(rows []*Row) []*Row {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b *Row) int { return cmp.Compare(a.Day.Cost, b.Day.Cost) })
	return rows
}
