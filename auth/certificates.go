package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Mapping makes names out of the subjects of certificates, as Kafka's
// ssl.principal.mapping.rules: rules of the form RULE:pattern/replacement/[LU], and DEFAULT, of
// which the first that fits counts. The zero Mapping takes the whole subject.
type Mapping []mappingRule

type mappingRule struct {
	pattern     *regexp.Regexp // nil: the subject as it is
	replacement string
	fold        byte // L, U, or 0
}

// ParseMapping reads rules as Kafka has them, separated by commas. A comma within a pattern is no
// separator: a rule ends where the next RULE: or DEFAULT begins.
func ParseMapping(text string) (Mapping, error) {
	var m Mapping
	for _, part := range splitMapping(text) {
		if part == "DEFAULT" {
			m = append(m, mappingRule{})
			continue
		}
		body, ok := strings.CutPrefix(part, "RULE:")
		parts := splitSlashes(body)
		if !ok || len(parts) != 3 {
			return nil, fmt.Errorf("%q is neither DEFAULT nor RULE:pattern/replacement/[LU]", part)
		}
		re, err := regexp.Compile("^(?:" + parts[0] + ")$")
		if err != nil {
			return nil, fmt.Errorf("the pattern of %q is not valid", part)
		}
		rule := mappingRule{pattern: re, replacement: dollars.ReplaceAllString(parts[1], "$${$1}")}
		switch parts[2] {
		case "L", "U":
			rule.fold = parts[2][0]
		case "":
		default:
			return nil, fmt.Errorf("%q ends with neither L nor U", part)
		}
		m = append(m, rule)
	}
	if len(m) == 0 {
		return nil, errors.New("is empty")
	}
	return m, nil
}

// dollars are Java's references to groups. Go would take the letters behind one for its name.
var dollars = regexp.MustCompile(`\$(\d)`)

var nextRule = regexp.MustCompile(`,\s*(RULE:|DEFAULT)`)

func splitMapping(text string) (parts []string) {
	from := 0
	for _, at := range nextRule.FindAllStringIndex(text, -1) {
		parts = append(parts, strings.TrimSpace(text[from:at[0]]))
		from = at[0] + 1
	}
	if rest := strings.TrimSpace(text[from:]); rest != "" {
		parts = append(parts, rest)
	}
	return parts
}

// splitSlashes cuts a rule at the slashes that no backslash precedes.
func splitSlashes(text string) []string {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			if text[i+1] != '/' {
				part.WriteByte('\\')
			}
			i++
			part.WriteByte(text[i])
		case text[i] == '/':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(text[i])
		}
	}
	return append(parts, part.String())
}

// Name returns the name for a subject; ok is false where no rule fits.
func (m Mapping) Name(subject string) (name string, ok bool) {
	if len(m) == 0 {
		return subject, true
	}
	for _, r := range m {
		if r.pattern == nil {
			return subject, true
		}
		at := r.pattern.FindStringSubmatchIndex(subject)
		if at == nil {
			continue
		}
		name := string(r.pattern.ExpandString(nil, r.replacement, subject, at))
		switch r.fold {
		case 'L':
			name = strings.ToLower(name)
		case 'U':
			name = strings.ToUpper(name)
		}
		return name, true
	}
	return "", false
}

// certificate identifies by a client certificate whose chain was verified. One without a name by
// the rules is anonymous: it has shown that it may connect, and not who it is.
func (p *policy) certificate(c *x509.Certificate) *Identity {
	p.mu.RLock()
	id, ok := p.certificates.Get(c)
	p.mu.RUnlock()
	if ok {
		return id
	}
	name, ok := p.settings.Mapping.Name(c.Subject.String())
	if id = p.anonymous; ok && name != "" {
		id = p.name(Certificate, name, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.certificates.Put(c, id)
	return id
}
