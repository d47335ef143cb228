package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"millrace/internal/javaconf"
)

// environPrefix begins the variables that are ours, as in the container image
// of the Confluent proxy.
const environPrefix = "KAFKA_REST_"

// entry is one value as a source gave it. name is the setting's full name once
// it is resolved, and as written until then.
type entry struct {
	name, text string
	at         origin
}

// read collects the entries of all sources into d.given, the later ones
// replacing the earlier ones. It fails only where the file cannot be read at
// all; what else is wrong becomes a fault.
func (d *draft) read(src Sources) error {
	d.readPairs(src.Preset, fromPreset)
	if src.File != "" {
		data, err := os.ReadFile(src.File)
		if err != nil {
			return fmt.Errorf("cannot read the properties file: %w", err)
		}
		d.readFile(src.File, data)
	}
	d.readEnviron(src.Environ)
	d.readPairs(src.Set, fromSet)
	return nil
}

func (d *draft) readFile(path string, data []byte) {
	properties, faults := javaconf.ParseProperties(data)
	for _, f := range faults {
		d.faults = append(d.faults, Fault{Problem: f.Problem, at: origin{level: fromFile, file: path, line: f.Line}})
	}
	for _, p := range properties {
		d.accept(entry{p.Key, p.Value, origin{level: fromFile, file: path, line: p.Line}})
	}
}

func (d *draft) readPairs(pairs []string, from level) {
	for i, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok {
			// The argument may be a password whose name was forgotten: not quoted.
			d.faults = append(d.faults, Fault{Problem: fmt.Sprintf("argument %d is not of the form name=value", i+1), at: origin{level: from}})
			continue
		}
		d.accept(entry{strings.TrimSpace(name), text, origin{level: from}})
	}
}

// readEnviron takes the variables in alphabetical order, as an environment has
// none of its own.
func (d *draft) readEnviron(environ []string) {
	for _, variable := range slices.Sorted(slices.Values(environ)) {
		key, text, _ := strings.Cut(variable, "=")
		short, ours := strings.CutPrefix(key, environPrefix)
		if !ours {
			continue
		}
		e := entry{dotted(short), text, origin{level: fromEnviron, variable: key}}
		if why, ok := notUsedVariable(short, text); ok {
			d.notUsed(e, why)
			continue
		}
		d.accept(e)
	}
}

// environName is the variable that sets name.
func environName(name string) string {
	return environPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
}

// dotted turns the rest of a variable's name back into a setting's. It is
// exact, because no setting's name holds anything but lower-case letters,
// digits and dots; a test holds the table to that.
func dotted(short string) string {
	return strings.ToLower(strings.ReplaceAll(short, "_", "."))
}

// accept decides what the name of e is, and keeps, lists or refuses it.
func (d *draft) accept(e entry) {
	if r := rowNamed(e.name); r != nil {
		e.name = r.name
		d.given[r.name] = e
		return
	}
	if why, ok := refusal(e.name, e.text); ok {
		d.faults = append(d.faults, Fault{Name: e.name, Problem: why, at: e.at})
		return
	}
	if why, ok := notUsedName(e.name); ok {
		d.notUsed(e, why)
		return
	}
	d.faults = append(d.faults, Fault{Name: e.name, Problem: unknown(e), at: e.at})
}

// notUsed lists e. Its text is left out, as it may be a secret of Java's.
func (d *draft) notUsed(e entry, why string) {
	name := e.name
	if e.at.level == fromEnviron {
		d.NotUsed = append(d.NotUsed, fmt.Sprintf("%s: %s", e.at.variable, why))
		return
	}
	d.NotUsed = append(d.NotUsed, fmt.Sprintf("%s (%s): %s", name, e.at, why))
}

func unknown(e entry) string {
	near := nearest(e.name)
	if near == "" {
		return "is not a setting; docs/settings.md lists them all"
	}
	if e.at.level == fromEnviron {
		near = environName(near)
	}
	return fmt.Sprintf("is not a setting; the nearest is %s", near)
}

// nearest finds the known name that name was most likely meant to be: first
// the same name with the prefix that Java's own clients do not have, then the
// one with the fewest changed characters. Nothing comes back when more than
// half of the name would have to change.
func nearest(name string) string {
	for _, prefix := range []string{"client.", "producer.", "consumer."} {
		if r := rowNamed(prefix + name); r != nil {
			return r.name
		}
	}
	best, bestDistance := "", len(name)/2+1
	for _, r := range rows() {
		for _, known := range []string{r.name, r.alias} {
			if distance := levenshtein.ComputeDistance(name, known); known != "" && distance < bestDistance {
				best, bestDistance = r.name, distance
			}
		}
	}
	return best
}
