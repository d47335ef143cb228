package ingest

import (
	"slices"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// dropRule leaves out events for what they, or their request, have in one place. It is immutable.
type dropRule struct {
	from source
	// is are the values for which an event is dropped, contains are parts of such values in lower
	// case.
	is, contains []string
}

// sampleRule keeps a part of the events: all of a key, or none. It is immutable.
type sampleRule struct {
	// by is nil where the key of the record decides.
	by *source
	// limit is what the hash of a key that is kept does not exceed.
	limit uint64
}

// dropped is the reason of an event that is left out by a rule. It is no failure.
var dropped = &apierr.Error{}

// bots are parts of the user agents of programs that fetch pages for no reader. Phones of Cubot are
// none.
var bots = []string{
	"bot/", "bot;", "bot)", "+http", "crawl", "spider", "slurp", "facebookexternalhit",
	"preview", "headlesschrome", "lighthouse", "pagespeed", "pingdom", "uptime", "statuscake", "phantomjs",
}

// matches reports whether an event with this value is dropped.
func (d *dropRule) matches(value []byte) bool {
	if value == nil {
		return false
	}
	if slices.Contains(d.is, string(value)) {
		return true
	}
	return slices.ContainsFunc(d.contains, func(part string) bool { return containsFold(value, part) })
}

// containsFold reports whether value has part, which is in lower case, in whatever case.
func containsFold(value []byte, part string) bool {
	for i := 0; i+len(part) <= len(value); i++ {
		if hasPrefix(value[i:], part) {
			return true
		}
	}
	return false
}

// dropsRequest reports whether all events of the request are dropped.
func (r *Route) dropsRequest(ctx *fasthttp.RequestCtx) bool {
	for i := range r.drop {
		if d := &r.drop[i]; d.from.from != pointer && d.matches(d.from.ofRequest(ctx)) {
			return true
		}
	}
	return false
}

// drops reports whether an event is dropped.
func (r *rules) drops(event []byte) bool {
	if r.dropAll {
		return true
	}
	for i := range r.route.drop {
		d := &r.route.drop[i]
		if d.from.from != pointer || r.opaque {
			continue
		}
		var value []byte
		if value, r.arena = d.from.ofEvent(event, r.arena); d.matches(value) {
			return true
		}
	}
	return false
}

// samples reports whether an event with this key is left out. Events without the value that decides
// are kept.
func (r *rules) samples(event, key []byte) bool {
	rule := r.route.sample
	if rule == nil {
		return false
	}
	if rule.by != nil {
		if key = nil; !r.opaque {
			key, r.arena = rule.by.ofEvent(event, r.arena)
		}
	}
	return key != nil && hashOf(key) > rule.limit
}

// hashOf never changes, so that all nodes keep the same keys. It is FNV-1a and a finalizer, since
// the high bits of FNV of short keys are not random.
func hashOf(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
