package testkit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// variable finds ${name} and ${name:wildcard} in a text of a golden file.
var variable = regexp.MustCompile(`\$\{(\w*)(?::([^}]+))?\}`)

// part is a piece of a pattern: either text to be found as it is, or a
// wildcard, which takes what its expression matches and may have a name.
type part struct {
	text       string
	name, expr string // expr is empty for text
}

// anything is the expression of the wildcard *: one character or more.
const anything = ".+?"

// split cuts a pattern into parts with the values of vars put in. A name that a
// wildcard of the pattern takes may be used again behind it; that use becomes a
// wildcard too, and both must then have taken the same.
func split(pattern string, vars map[string]string) ([]part, error) {
	var parts []part
	taken := map[string]bool{}
	at := 0
	for _, m := range variable.FindAllStringSubmatchIndex(pattern, -1) {
		parts = append(parts, part{text: pattern[at:m[0]]})
		at = m[1]
		name := pattern[m[2]:m[3]]
		value, known := vars[name]
		switch {
		case m[4] >= 0 && pattern[m[4]:m[5]] == "*":
			parts = append(parts, part{name: name, expr: anything})
		case m[4] >= 0:
			parts = append(parts, part{name: name, expr: pattern[m[4]:m[5]]})
		case taken[name]:
			parts = append(parts, part{name: name, expr: anything})
		case known:
			parts = append(parts, part{text: value})
		default:
			return nil, fmt.Errorf("%s has no value here", pattern[m[0]:m[1]])
		}
		taken[name] = m[4] >= 0 || taken[name]
	}
	return append(parts, part{text: pattern[at:]}), nil
}

// expand puts the values of vars into a text in which wildcards have no place.
func expand(text string, vars map[string]string) (string, error) {
	parts, err := split(text, vars)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range parts {
		if p.expr != "" {
			return "", fmt.Errorf("a wildcard has no place here: %q", text)
		}
		b.WriteString(p.text)
	}
	return b.String(), nil
}

// match compares got with a pattern, byte for byte save for the wildcards, and
// adds to vars what those took. When got does not match, fits is the number of
// its first bytes that do.
func match(pattern, got string, vars map[string]string) (ok bool, fits int, err error) {
	parts, err := split(pattern, vars)
	if err != nil {
		return false, 0, err
	}
	re, err := compile(parts, `\z`)
	if err != nil {
		return false, 0, err
	}
	m := re.FindStringSubmatchIndex(got)
	if m == nil {
		return false, fitting(parts, got), nil
	}
	took := map[string]string{}
	for i, p := range parts {
		if p.expr == "" || p.name == "" {
			continue
		}
		group := 2 * re.SubexpIndex(groupName(i))
		value := got[m[group]:m[group+1]]
		if before, again := took[p.name]; again && before != value {
			return false, m[group], nil
		}
		took[p.name] = value
	}
	for name, value := range took {
		vars[name] = value
	}
	return true, len(got), nil
}

// compile makes one expression of parts, from the start of the text to end.
func compile(parts []part, end string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i, p := range parts {
		if p.expr == "" {
			b.WriteString(regexp.QuoteMeta(p.text))
		} else {
			fmt.Fprintf(&b, "(?P<%s>%s)", groupName(i), p.expr)
		}
	}
	re, err := regexp.Compile(b.String() + end)
	if err != nil {
		return nil, fmt.Errorf("bad wildcard: %w", err)
	}
	return re, nil
}

// groupName is not the variable's own name, which may come twice.
func groupName(part int) string { return fmt.Sprintf("part%d", part) }

// fitting returns how many first bytes of got fit the parts: as many parts as
// fit whole, and as much of the next text as can follow them.
func fitting(parts []part, got string) int {
	fits := 0
	for i := range parts {
		n, whole := fit(parts[:i+1], got)
		fits = max(fits, n)
		if !whole {
			break
		}
	}
	return fits
}

// fit returns how much of got the parts take, with the last one's text cut down
// to what fits, and whether nothing had to be cut.
func fit(parts []part, got string) (n int, whole bool) {
	head, last := parts[:len(parts)-1], parts[len(parts)-1]
	for end := len(last.text); end >= 0; end-- {
		re, err := compile(append(slices.Clone(head), part{text: last.text[:end], expr: last.expr}), "")
		if err != nil {
			continue // cut within a character
		}
		if loc := re.FindStringIndex(got); loc != nil {
			return loc[1], end == len(last.text)
		}
	}
	return 0, false
}
