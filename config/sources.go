package config

import (
	"cmp"
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
	// written is the name as it was written, where that is another one.
	written string
	// general marks client.NAME, which holds where producer.NAME or consumer.NAME is not given.
	general bool
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
	d.judgeUnknown()
	return nil
}

// judgeUnknown refuses the names that nobody knows, or lists them as not used, by config.unknown.
func (d *draft) judgeUnknown() {
	for _, e := range d.unknown {
		if d.given[unknownNames].text == "warn" {
			d.notUsed(e, unknown(e))
		} else {
			d.faults = append(d.faults, Fault{Name: e.name, Problem: unknown(e), at: e.at})
		}
	}
}

// unknownNames is the setting that says what becomes of unknown names.
const unknownNames = "config.unknown"

func (d *draft) readFile(path string, data []byte) {
	properties, faults := javaconf.ParseProperties(data)
	for _, f := range faults {
		d.faults = append(d.faults, Fault{Problem: f.Problem, at: origin{level: fromFile, file: path, line: f.Line}})
	}
	for _, p := range properties {
		d.accept(entry{name: p.Key, text: p.Value, at: origin{level: fromFile, file: path, line: p.Line}})
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
		d.accept(entry{name: strings.TrimSpace(name), text: text, at: origin{level: from}})
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
		e := entry{name: dotted(short), text: text, at: origin{level: fromEnviron, variable: key}}
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
	if r := rowNamed(registryName(e.name)); r != nil {
		d.give(r, e)
		return
	}
	if sides := generalRows(e.name); len(sides) > 0 {
		e.general = true
		for _, r := range sides {
			d.give(r, e)
		}
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
	d.unknown = append(d.unknown, e)
}

// give has e set r, unless e is general and what it would replace is not.
func (d *draft) give(r *row, e entry) {
	if e.name != r.name {
		e.written, e.name = e.name, r.name
	}
	former, given := d.given[r.name]
	if given && e.general && !former.general {
		return
	}
	if given && former.written == e.written && former.at.level == fromFile && e.at.level == fromFile {
		d.notUsed(former, fmt.Sprintf("given again in line %d, which holds", e.at.line))
	}
	d.given[r.name] = e
}

// registryName is the name of a setting of the registry's client that is written with the prefix
// of a Java client before its own, as Confluent Cloud's documentation does:
// client.schema.registry.basic.auth.user.info is client.basic.auth.user.info.
func registryName(name string) string {
	for _, prefix := range schemaPrefixes {
		if rest, ok := strings.CutPrefix(name, prefix+"schema.registry."); ok && rowNamed(prefix+rest) != nil {
			return prefix + rest
		}
	}
	return name
}

// generalRows returns the settings of producing and consuming for which client.NAME is the default,
// as in the Confluent proxy.
func generalRows(name string) (rows []*row) {
	rest, ok := strings.CutPrefix(name, "client.")
	if !ok {
		return nil
	}
	for _, prefix := range sidePrefixes {
		if r := rowNamed(prefix + rest); r != nil && !r.oneSide {
			rows = append(rows, r)
		}
	}
	return rows
}

// notUsed lists e. Its text is left out, as it may be a secret of Java's.
func (d *draft) notUsed(e entry, why string) {
	name := cmp.Or(e.written, e.name)
	if e.at.level == fromEnviron {
		d.NotUsed = append(d.NotUsed, fmt.Sprintf("%s: %s", e.at.variable, why))
		return
	}
	d.NotUsed = append(d.NotUsed, fmt.Sprintf("%s (%s): %s", name, e.at, why))
}

func unknown(e entry) string {
	near := nearest(e.name)
	if near == "" {
		return "is not a setting; `millrace settings` lists them all"
	}
	if e.at.level == fromEnviron {
		near = environName(near)
	}
	return fmt.Sprintf("is not a setting; the nearest is %s", near)
}

// nearest finds the known name that name was most likely meant to be: first
// the same name with the prefix that Java's own clients do not have, then the
// one with the fewest changed characters. Nothing comes back when more than a
// quarter of the name would have to change: advice that is wrong is worse than none.
func nearest(name string) string {
	for _, prefix := range []string{"client.", "producer.", "consumer."} {
		if r := rowNamed(prefix + name); r != nil {
			return r.name
		}
	}
	best, bestDistance := "", len(name)/4+1
	for _, r := range rows() {
		for _, known := range []string{r.name, r.alias} {
			if distance := levenshtein.ComputeDistance(name, known); known != "" && distance < bestDistance {
				best, bestDistance = r.name, distance
			}
		}
	}
	return best
}
