package server

import (
	"fmt"
	"net/url"
	"strings"

	"millrace/auth"
)

// Explain says, for a person, whether the identity may send a request of the method and path, and
// by which rules: those that [Server.authorize] asks.
func (s *Server) Explain(id *auth.Identity, method, path string) (allowed bool, lines []string, err error) {
	rt, params, ok := s.match(strings.ToUpper(method), path)
	if !ok {
		return false, nil, fmt.Errorf("there is no route for %s %s", method, path)
	}
	g := newGate(rt)
	allowed = true
	about := func(r Resource, name string) {
		may, why := id.Explain(rt.Action, r, name)
		allowed = allowed && may
		word := "denied"
		if may {
			word = "allowed"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s: %s, %s", rt.Action, nouns[r], name, word, why))
	}
	if g.topic {
		about(Topic, params["topic"])
	}
	if g.group {
		about(Group, params["group"])
	}
	if !g.topic && !g.group || rt.Resource != Topic && rt.Resource != Group {
		about(rt.Resource, rt.Path)
	}
	if rt.Guarded && !id.Ruled() {
		lines = append(lines, "and without rules only from the node's own machine")
	}
	return allowed, lines, nil
}

// match returns the route of a path, that with the fewest parameters, and their values.
func (s *Server) match(method, path string) (best Route, params map[string]string, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(strings.TrimRight(path, "/"), "/")
	for _, rt := range s.routes {
		template := strings.Split(strings.TrimRight(rt.Path, "/"), "/")
		if rt.Method != method || len(template) != len(parts) {
			continue
		}
		values, fits := map[string]string{}, true
		for i, part := range template {
			if name, isParam := strings.CutPrefix(part, "{"); isParam {
				value, err := url.PathUnescape(parts[i])
				values[strings.TrimSuffix(name, "}")], fits = value, fits && err == nil && value != ""
				continue
			}
			fits = fits && part == parts[i]
		}
		if fits && (!ok || len(values) < len(params)) {
			best, params, ok = rt, values, true
		}
	}
	return best, params, ok
}
