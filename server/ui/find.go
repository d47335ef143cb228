package ui

import (
	"cmp"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/server"
)

// rowsPerPage is how many rows of a table a snapshot and a page of a search have.
const rowsPerPage = 100

// found is a page of the rows of a table.
type found[T any] struct {
	// Count is how many rows fit the search, on all pages.
	Count int `json:"count"`
	List  []T `json:"list"`
}

// search returns a page of the rows that have the text in one of their names, in their order.
func search[T any](rows []T, text string, page int, names func(*T) []string) found[T] {
	text = strings.ToLower(text)
	f := found[T]{List: []T{}}
	for i := range rows {
		has := func(name string) bool { return strings.Contains(strings.ToLower(name), text) }
		if !slices.ContainsFunc(names(&rows[i]), has) {
			continue
		}
		if f.Count >= page*rowsPerPage && len(f.List) < rowsPerPage {
			f.List = append(f.List, rows[i])
		}
		f.Count++
	}
	return f
}

// findQuery are the parameters of a search.
var findQuery = server.Query{Known: []string{"text", "page"}, Only: true}

// findTopics handles GET /ui/topics: the topics of the last snapshot that have a text in their
// name, all figures included, 100 to a page.
func (d *Dashboard) findTopics(ctx *fasthttp.RequestCtx) error {
	rows, _ := d.sampler.all()
	return respondFound(ctx, rows, func(t *topicMessage) []string { return []string{t.Name} })
}

// findInstances handles GET /ui/instances: the same of consumer instances, by their names, groups
// and topics.
func (d *Dashboard) findInstances(ctx *fasthttp.RequestCtx) error {
	_, rows := d.sampler.all()
	return respondFound(ctx, rows, func(m *memberMessage) []string { return append([]string{m.Name, m.Group}, m.Topics...) })
}

func respondFound[T any](ctx *fasthttp.RequestCtx, rows []T, names func(*T) []string) error {
	setHeaders(ctx)
	ctx.SetContentType(server.MediaJSON)
	page := 0
	if ctx.QueryArgs().Has("page") {
		var err error
		if page, err = ctx.QueryArgs().GetUint("page"); err != nil {
			return apierr.BadRequest.New("page must be a number from 0 on.")
		}
	}
	page = min(page, len(rows)/rowsPerPage)
	return server.RespondJSON(ctx, search(rows, string(ctx.QueryArgs().Peek("text")), page, names))
}

// all returns the rows of the last snapshot, which are never changed.
func (p *sampler) all() ([]topicMessage, []memberMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allTopics, p.allInstances
}

// byNeed puts the topics that need somebody first: those that cannot be written, those with a
// replica out of sync, then the busiest.
func byNeed(a, b topicMessage) int {
	return cmp.Or(
		cmp.Compare(b.Leaderless, a.Leaderless),
		cmp.Compare(b.Behind, a.Behind),
		cmp.Compare(b.InRecords+b.OutRecords, a.InRecords+a.OutRecords),
		cmp.Compare(b.Produced+b.Consumed, a.Produced+a.Consumed))
}
