package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// level is the weight of a source; the higher one wins.
type level int

const (
	fromDefault level = iota
	fromPreset
	fromFile
	fromEnviron
	fromSet
	fromChange
)

// origin is the place that one value came from.
type origin struct {
	level level
	// file and line are those of the properties file.
	file string
	line int
	// variable is the environment's name for the setting.
	variable string
}

// String names the place for a reader of check-config.
func (o origin) String() string {
	switch o.level {
	case fromPreset:
		return "preset"
	case fromFile:
		return fmt.Sprintf("%s:%d", o.file, o.line)
	case fromEnviron:
		return o.variable
	case fromSet:
		return "--set"
	case fromChange:
		return "changed at run time"
	default:
		return "default"
	}
}

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	// Name is the setting; empty when the fault is not about one.
	Name string
	// Problem says what is wrong and what is allowed. It never holds a secret.
	Problem string

	at      origin
	written string // the name as it was written, where that is another one
}

// String places the fault: "file:line: name: problem", "VARIABLE: problem",
// "--set name: problem", or "name: problem" for a setting that nobody gave.
func (f Fault) String() string {
	name := cmp.Or(f.written, f.Name)
	if name != "" {
		name += ": "
	}
	switch f.at.level {
	case fromFile:
		return f.at.String() + ": " + name + f.Problem
	case fromEnviron:
		return f.at.variable + ": " + f.Problem
	case fromSet:
		return "--set " + name + f.Problem
	case fromPreset:
		return "preset " + name + f.Problem
	default:
		return name + f.Problem
	}
}

// Faults is everything that is wrong with a configuration, in the order of the
// sources and their lines.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sort() {
	// Settings that are missing altogether (fromDefault) come last: they have no place to look at.
	weight := func(l level) level { return (l + fromChange) % (fromChange + 1) }
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(weight(a.at.level), weight(b.at.level)), cmp.Compare(a.at.line, b.at.line))
	})
}
