package server

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// Query are the query parameters of a route.
type Query struct {
	// Known are those that Handle reads. One that is nearly one of these is refused: its client
	// meant something that would not happen.
	Known []string
	// InBody are members of the body that clients put here, and that are refused for the same
	// reason.
	InBody []string
	// Only refuses all but Known. It is for routes that the Confluent proxy does not have; on its
	// own, that proxy ignores what it does not know, and clients rely on it.
	Only bool
}

// check refuses the query parameters that mean something else than their client thinks. Others
// are ignored.
func (q *Query) check(ctx *fasthttp.RequestCtx) error {
	if len(ctx.URI().QueryString()) == 0 {
		return nil
	}
	for name := range ctx.QueryArgs().All() {
		if err := q.checkName(string(name)); err != nil {
			return err
		}
	}
	return nil
}

func (q *Query) checkName(name string) error {
	switch {
	case slices.Contains(q.Known, name):
		return nil
	case slices.Contains(q.InBody, name):
		return apierr.BadRequest.New("%s is no query parameter here: it is a member of each record in the body.", name)
	}
	if known := q.nearest(name); known != "" {
		return apierr.BadRequest.New("There is no query parameter %q; did you mean %s?", sentText([]byte(name)), known)
	}
	if q.Only {
		return apierr.BadRequest.New("There is no query parameter %q; this path has %s.", sentText([]byte(name)), list(q.Known))
	}
	return nil
}

// nearest returns the known parameter that name is a slip of, or "": the same in other cases or
// with other separators, or with one character in four changed.
func (q *Query) nearest(name string) string {
	if len(name) > MaxWord {
		return ""
	}
	name = plain(name)
	for _, known := range q.Known {
		if levenshtein.ComputeDistance(name, plain(known)) <= len(known)/4 {
			return known
		}
	}
	return ""
}

// plain is a name without what distinguishes the ways of writing one.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(name))
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
