package loadtest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// fields are the settings that a mapping may have, and what reads each.
type fields map[string]func(*yaml.Node)

// reader walks the YAML tree by hand rather than into tagged structs: a person
// who mistypes a setting is told the line and what is allowed there, and all
// that is wrong at once.
type reader struct{ errs []error }

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...)))
}

// mapping reads n, which is the setting called what, by its fields.
func (r *reader) mapping(n *yaml.Node, what string, allowed fields) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must be a mapping with some of: %s", what, allowed.names())
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := allowed[key.Value]
		switch {
		case read == nil:
			r.fail(key, "unknown setting %q of %s; allowed are %s", key.Value, what, allowed.names())
		case seen[key.Value]:
			r.fail(key, "%s is set twice in %s", key.Value, what)
		default:
			read(value)
		}
		seen[key.Value] = true
	}
}

func (f fields) names() string {
	var names []string
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// list reads each element of n.
func (r *reader) list(n *yaml.Node, what string, read func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.fail(n, "%s must be a list with at least one element", what)
		return
	}
	for _, e := range n.Content {
		read(e)
	}
}

func (r *reader) text(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode {
			r.fail(n, "a text is wanted here")
			return
		}
		*to = n.Value
	}
}

func (r *reader) choice(to *string, allowed ...string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if *to = n.Value; !slices.Contains(allowed, n.Value) {
			r.fail(n, "%q is not known here; allowed are %s", n.Value, strings.Join(allowed, ", "))
		}
	}
}

func (r *reader) integer(to *int, least, most int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := strconv.Atoi(n.Value)
		if err != nil || v < least || v > most {
			r.fail(n, "%q must be a whole number from %d to %d", n.Value, least, most)
		}
		*to = v
	}
}

func (r *reader) duration(to *time.Duration) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d, err := time.ParseDuration(n.Value)
		if err != nil || d < 0 || d > 24*time.Hour {
			r.fail(n, "%q must be a time with its unit, such as 250ms, 20s or 5m", n.Value)
		}
		*to = d
	}
}

// maxRate keeps arithmetic on schedules far from its limits; no client gets near it.
const maxRate = 1e6

// rate reads requests a second: 500 or 500/s, or 30/m.
func (r *reader) rate(to *float64) func(*yaml.Node) {
	return func(n *yaml.Node) {
		number, per := strings.TrimSuffix(n.Value, "/s"), 1.0
		if s, ok := strings.CutSuffix(number, "/m"); ok {
			number, per = s, 60
		}
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || math.IsNaN(v) || v <= 0 || v/per > maxRate {
			r.fail(n, "%q must be requests a second, such as 500 or 500/s, or a minute, such as 30/m", n.Value)
		}
		*to = v / per
	}
}

// rateOrMax reads a rate, or max for as fast as it is answered.
func (r *reader) rateOrMax(to *float64, closed *bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if *closed = n.Value == "max"; !*closed {
			r.rate(to)(n)
		}
	}
}

func (r *reader) flag(to *bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := strconv.ParseBool(n.Value)
		if err != nil {
			r.fail(n, "%q must be true or false", n.Value)
		}
		*to = v
	}
}

// share reads 1% or 0.01.
func (r *reader) share(to *float64) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if v, ok := parseShare(n.Value); ok {
			*to = v
			return
		}
		r.fail(n, "%q must be a share, such as 0.1%% or 0.001", n.Value)
	}
}

func parseShare(text string) (float64, bool) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	return v, err == nil && v >= 0 && v <= 1
}

func (r *reader) err() error { return errors.Join(r.errs...) }
