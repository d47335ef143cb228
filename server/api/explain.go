package api

import (
	"fmt"
	"net/url"
	"strings"

	"millrace/auth"
	"millrace/ingest"
	"millrace/server"
)

// Explain says, for a person, whether the identity may send a request of the method and path, and
// by which rules.
func (a *API) Explain(id *auth.Identity, method, path string) (allowed bool, lines []string, err error) {
	rt, params, ok := a.match(strings.ToUpper(method), path)
	if !ok {
		return false, nil, fmt.Errorf("no route serves %s %s", method, path)
	}
	allowed = true
	for _, c := range rt.Checks(params) {
		may, why := id.Explain(rt.Action, c.Resource, c.Name)
		allowed = allowed && may
		lines = append(lines, fmt.Sprintf("%s %s: %s, %s", rt.Action, c, verdict(may), why))
	}
	if strings.HasPrefix(rt.Path, ingest.Prefix) {
		may, more, err := a.explainTopics(id, params["topic"])
		if err != nil {
			return false, nil, err
		}
		allowed, lines = allowed && may, append(lines, more...)
	}
	if rt.Guarded && !id.Ruled() {
		lines = append(lines, "and without rules only from the node's own machine")
	}
	return allowed, lines, nil
}

// explainTopics says whether the identity may write where the events of an ingest route go.
func (a *API) explainTopics(id *auth.Identity, route string) (allowed bool, lines []string, err error) {
	among, overflow, ok := a.ingest.Topics(route)
	if !ok {
		return false, nil, fmt.Errorf("there is no ingest route %s, and topics have none of their own (ingest.routes.default)", route)
	}
	where := "events go to"
	if len(among) > 1 {
		where = "events may go to"
	}
	for _, topic := range among {
		may, why := mayWrite(id, topic)
		allowed = allowed || may // the request names another
		lines = append(lines, fmt.Sprintf("%s the topic %s: %s, %s", where, topic, verdict(may), why))
	}
	if overflow != "" {
		may, why := mayWrite(id, overflow)
		allowed = allowed && may
		lines = append(lines, fmt.Sprintf("events over the rate go to the topic %s: %s, %s", overflow, verdict(may), why))
	}
	return allowed, lines, nil
}

func verdict(allowed bool) string {
	if allowed {
		return "allowed"
	}
	return "denied"
}

// mayWrite explains [server.AllowWrite].
func mayWrite(id *auth.Identity, topic string) (may bool, why string) {
	by, forbidden := id.WriteForbidden(topic)
	if !forbidden {
		return true, "no rule denies it"
	}
	_, why = id.Explain(by, auth.Topic, topic)
	return false, why
}

// match returns the route of a path, that with the fewest parameters, and their values.
func (a *API) match(method, path string) (best server.Route, params map[string]string, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	for rt := range a.Routes() {
		if rt.Method != method {
			continue
		}
		if values, fits := fit(rt.Path, path); fits && (!ok || len(values) < len(params)) {
			best, params, ok = rt, values, true
		}
	}
	return best, params, ok
}

// fit returns the values of the parameters of a template in a path that fits it.
func fit(template, path string) (values map[string]string, fits bool) {
	names, parts := strings.Split(strings.TrimRight(template, "/"), "/"), strings.Split(strings.TrimRight(path, "/"), "/")
	if len(names) != len(parts) {
		return nil, false
	}
	values = map[string]string{}
	for i, name := range names {
		param, isParam := strings.CutPrefix(name, "{")
		value, err := url.PathUnescape(parts[i])
		switch {
		case isParam && err == nil && value != "":
			values[strings.TrimSuffix(param, "}")] = value
		case isParam || name != parts[i]:
			return nil, false
		}
	}
	return values, true
}
