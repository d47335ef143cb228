package config

import (
	"maps"
	"slices"
	"strings"
)

// Change returns a copy of c in which the given settings hold, by name or
// alias. Only what is marked as changeable at run time may be among them, and
// each value must be one that a file might hold. The error is a [Faults] with
// everything that is wrong.
func (c *Config) Change(values map[string]string) (*Config, error) {
	given := maps.Clone(c.runtime)
	named := map[string]string{}
	var faults Faults
	for _, name := range slices.Sorted(maps.Keys(values)) {
		e := entry{name: name, text: values[name], at: origin{level: fromChange}}
		r := rowNamed(name)
		switch {
		case r == nil:
			faults = append(faults, Fault{Name: name, Problem: unknown(e), at: e.at})
		case !r.runtime:
			faults = append(faults, Fault{Name: name, Problem: "cannot change at run time, only with a restart; these can: " + strings.Join(runtimeNames(), ", "), at: e.at})
		case named[r.name] != "":
			faults = append(faults, Fault{Name: name, Problem: "is the same setting as " + named[r.name] + ", which is given too", at: e.at})
		default:
			e.name, named[r.name] = r.name, name
			given[r.name] = e
		}
	}
	next, wrong := c.withRuntime(given)
	if faults = append(faults, wrong...); len(faults) > 0 {
		return nil, faults
	}
	return next, nil
}

// Reload returns a copy of c that has taken over from next, a configuration
// that was loaded afresh, what can change at run time. changed lists those
// settings where next differs from c, restart the differing ones that c keeps. The routes of
// ingest are those that their file has now, unless it is another file.
func (c *Config) Reload(next *Config) (reloaded *Config, changed, restart []string) {
	reloaded, faults := c.withRuntime(next.runtime)
	if len(faults) > 0 {
		panic("BUG: settings that were loaded are not allowed: " + faults.Error())
	}
	if reloaded.Ingest.File == next.Ingest.File {
		reloaded.Ingest.Routes = next.Ingest.Routes
	}
	was, is := marks(c), marks(next)
	for _, r := range rows() {
		if was[r.name] != is[r.name] {
			if r.runtime {
				changed = append(changed, r.name)
			} else {
				restart = append(restart, r.name)
			}
		}
	}
	return reloaded, changed, restart
}

// withRuntime returns a copy of c with the given entries for the settings that
// can change at run time, and the default for those that have none.
func (c *Config) withRuntime(given map[string]entry) (*Config, Faults) {
	d := &draft{Config: *c, given: given, shown: map[string]string{}}
	d.applyRows(slices.DeleteFunc(slices.Clone(rows()), func(r *row) bool { return !r.runtime }))
	d.checkCompression()
	d.runtime = given
	d.effective = slices.Clone(c.effective)
	for i, e := range d.effective {
		if e.Runtime {
			d.effective[i] = d.effectiveOf(rowNamed(e.Name))
		}
	}
	return &d.Config, d.faults
}

func runtimeNames() (names []string) {
	for _, r := range rows() {
		if r.runtime {
			names = append(names, r.name)
		}
	}
	return names
}

// marks are those of the settings that hold, by name; 0 for those that do not.
func marks(c *Config) map[string]uint64 {
	all := make(map[string]uint64, len(c.effective))
	for _, e := range c.effective {
		all[e.Name] = e.mark
	}
	return all
}
