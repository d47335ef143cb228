package config

import (
	"fmt"
	"regexp"
	"slices"
)

// draft is a configuration in the making: the result, and what only the
// building of it needs. It belongs to one call of Load.
type draft struct {
	Config

	// given holds, by full name, the entry that won; only settings that somebody gave.
	given map[string]entry
	// shown replaces a setting's text in check-config, where what holds is not
	// what was written.
	shown  map[string]string
	faults Faults
	// unknown are the entries whose names nobody knows.
	unknown []entry

	listeners        []listener
	ownListeners     [3]ownListeners
	advertised       []string
	peerURL          []string
	authentication   string // cluster.authentication
	method           string // authentication.method
	jaasFile         string
	passwordsToKafka string
	limits           givenLimits
	https            tlsSource
	links            [sideCount]link
	registry         registry
	levels           struct{ gzip, lz4, zstd int }
}

// isGiven reports whether any source gave the setting.
func (d *draft) isGiven(name string) bool {
	_, ok := d.given[name]
	return ok
}

// isFaulty reports whether one of the settings has a fault already, so that a
// check over several of them would only repeat it.
func (d *draft) isFaulty(names ...string) bool {
	return slices.ContainsFunc(d.faults, func(f Fault) bool { return slices.Contains(names, f.Name) })
}

// fault reports a problem at the place that the setting was given. The same
// problem is reported once, though both sides of Kafka may meet it.
func (d *draft) fault(name, format string, args ...any) {
	f := Fault{Name: name, Problem: fmt.Sprintf(format, args...), at: d.given[name].at, written: d.given[name].written}
	if !slices.Contains(d.faults, f) {
		d.faults = append(d.faults, f)
	}
}

// indirection is how Java's configuration providers are addressed.
var indirection = regexp.MustCompile(`\$\{[A-Za-z0-9_.-]+:[^}]*\}`)

// apply parses every setting of the table, its default first and then what was
// given, in the table's order: what client.* says reaches both sides before
// producer.* and consumer.* replace it.
func (d *draft) apply() { d.applyRows(rows()) }

func (d *draft) applyRows(rows []*row) {
	for _, r := range rows {
		if r.def != "" {
			if err := r.set(d, r.def); err != nil {
				panic("BUG: the default of " + r.name + " is not allowed: " + err.Error())
			}
		}
		e, ok := d.given[r.name]
		if !ok {
			continue
		}
		if indirection.MatchString(e.text) {
			d.fault(r.name, "holds an indirection like ${file:…}, which is not supported; allowed: the value itself")
			continue
		}
		if err := r.set(d, e.text); err != nil {
			d.fault(r.name, "%v; allowed: %s", err, r.allowed)
		}
	}
}
