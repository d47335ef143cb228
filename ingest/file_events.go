package ingest

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// drop reads the rules by which events are left out.
func (r *reader) drop(m member) (all []dropRule) {
	if len(m.value.Content) == 0 || len(m.value.Content) > maxDrops {
		r.fault(m.value, "%s must be a list of 1 to %d rules", m.path, maxDrops)
		return nil
	}
	for _, n := range m.value.Content {
		all = append(all, r.dropRule(member{m.name, m.path, m.key, n}))
	}
	return all
}

// maxDrops bounds the drop rules of a route, each of which is tried for each event.
const maxDrops = 20

func (r *reader) dropRule(m member) (d dropRule) {
	places := 0
	for _, o := range r.members(m.value, m.path) {
		switch o.name {
		case "pointer", "query", "header":
			r.place(&d.from, o)
			places++
		case "is":
			d.is = r.texts(o, maxTopics)
		case "contains":
			for _, part := range r.texts(o, maxTopics) {
				d.contains = append(d.contains, strings.ToLower(part))
			}
		case "bots":
			if r.boolean(o) {
				d.contains = append(d.contains, bots...)
			}
		default:
			r.unknown(o, "pointer, query, header, is, contains, bots")
		}
	}
	if places != 1 || len(d.is)+len(d.contains) == 0 {
		r.fault(m.value, "a rule of %s must have one of pointer, query and header, and is, contains or bots", m.path)
	}
	return d
}

// sample reads which part of the events is kept.
func (r *reader) sample(m member) *sampleRule {
	rule, keep := &sampleRule{}, -1.0
	for _, o := range r.members(m.value, m.path) {
		switch o.name {
		case "keep":
			keep = r.fraction(o)
		case "by":
			if rule.by = r.source(o); rule.by != nil && rule.by.from != pointer {
				r.fault(o.key, "%s must be a pointer; without it the key of the record decides", o.path)
			}
		default:
			r.unknown(o, "keep, by")
		}
	}
	if keep < 0 {
		r.fault(m.key, "%s must have keep, a number from 0 to 1", m.path)
	}
	if rule.limit = math.MaxUint64; keep < 1 {
		rule.limit = uint64(max(keep, 0) * math.MaxUint64)
	}
	return rule
}

func (r *reader) fraction(m member) float64 {
	f, err := strconv.ParseFloat(m.value.Value, 64)
	if m.value.Kind != yaml.ScalarNode || err != nil || !(f >= 0 && f <= 1) {
		r.fault(m.value, "%s must be a number from 0 to 1", m.path)
		return 0
	}
	return f
}

// enrich reads what is added to records.
func (r *reader) enrich(m member) *enrichRule {
	rule := &enrichRule{}
	flags := map[string]*bool{"received": &rule.received, "user_agent": &rule.userAgent, "request_id": &rule.requestID, "traceparent": &rule.traceparent, "caller": &rule.caller}
	for _, o := range r.members(m.value, m.path) {
		switch flag := flags[o.name]; {
		case flag != nil:
			*flag = r.boolean(o)
		case o.name == "sent_at":
			rule.sentAt = r.source(o)
		case o.name == "address":
			switch r.text(o) {
			case "network":
				rule.address = networkAddress
			case "full":
				rule.address = fullAddress
			default:
				r.fault(o.value, "%s is %q; allowed: network, full", o.path, o.value.Value)
			}
		default:
			r.unknown(o, "received, sent_at, address, user_agent, request_id, traceparent, caller")
		}
	}
	return rule
}
