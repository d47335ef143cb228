package auth

import "strings"

// patterns is a set of patterns for names, in which * stands for any text. The kinds of patterns
// are apart, since most are names or prefixes, which are cheap.
type patterns struct {
	any      bool
	exact    map[string]struct{}
	prefixes []string
	globs    [][]string // the texts between the stars
}

// add adds a pattern.
func (p *patterns) add(pattern string) {
	parts := strings.Split(pattern, "*")
	switch {
	case pattern == "*":
		p.any = true
	case len(parts) == 1:
		if p.exact == nil {
			p.exact = make(map[string]struct{})
		}
		p.exact[pattern] = struct{}{}
	case len(parts) == 2 && parts[1] == "":
		p.prefixes = append(p.prefixes, parts[0])
	default:
		p.globs = append(p.globs, parts)
	}
}

// empty reports whether no name matches.
func (p *patterns) empty() bool {
	return !p.any && len(p.exact) == 0 && len(p.prefixes) == 0 && len(p.globs) == 0
}

// match reports whether the name matches one of the patterns.
func (p *patterns) match(name string) bool {
	if p.any {
		return true
	}
	if _, ok := p.exact[name]; ok {
		return true
	}
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, parts := range p.globs {
		if matchGlob(parts, name) {
			return true
		}
	}
	return false
}

// matchGlob reports whether name is the parts, with any text between them. The first text after
// a part that fits is as good as a later one, so it takes no backtracking.
func matchGlob(parts []string, name string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return true
}
