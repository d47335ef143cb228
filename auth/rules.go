package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// everything is the word for all actions in a rule.
const everything = "all"

// ruleFile is the file of rules as it is written.
type ruleFile struct {
	Rules  []rule  `yaml:"rules"`
	Quotas []quota `yaml:"quotas"`
}

// rule says what some callers may do to some resources, or may not.
type rule struct {
	// The callers are principals or roles: user:alice, key:edge-*, cert:CN=edge*, jwt:…, role:writers,
	// anonymous, or * for all (in a rule that allows: for all but anonymous).
	Who []string `yaml:"who"`
	// Allow and Deny are actions; a rule has one of them.
	Allow []string `yaml:"allow"`
	Deny  []string `yaml:"deny"`
	// Topics, Groups and Paths are patterns of names. A rule with none of them is about all
	// resources.
	Topics []string `yaml:"topics"`
	Groups []string `yaml:"groups"`
	Paths  []string `yaml:"paths"`

	line    int
	bounded bool // some of Topics, Groups and Paths are written
	actions [actions]bool
}

// UnmarshalYAML implements [yaml.Unmarshaler]: it notes the line of the rule.
func (r *rule) UnmarshalYAML(n *yaml.Node) error {
	if err := onlyKeys(n, "who", "allow", "deny", "topics", "groups", "paths"); err != nil {
		return err
	}
	type plain rule
	if err := n.Decode((*plain)(r)); err != nil {
		return err
	}
	r.line = n.Line
	for i := 0; i < len(n.Content); i += 2 {
		r.bounded = r.bounded || slices.Contains([]string{"topics", "groups", "paths"}, n.Content[i].Value)
	}
	return nil
}

// onlyKeys refuses members that a mapping does not have: [yaml.Decoder.KnownFields] does not reach
// types that decode themselves.
func onlyKeys(n *yaml.Node, known ...string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: it must be a mapping", n.Line)
	}
	for i := 0; i < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(known, key.Value) {
			return fmt.Errorf("line %d: %q is not known; allowed: %s", key.Line, key.Value, strings.Join(known, ", "))
		}
	}
	return nil
}

// onlyDocument refuses a file that goes on behind the document that was read.
func onlyDocument(d *yaml.Decoder) error {
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one document in the file")
	}
	return nil
}

// parseRules reads a file of rules.
func parseRules(data []byte) (*ruleFile, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	f := &ruleFile{}
	if err := d.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := onlyDocument(d); err != nil {
		return nil, err
	}
	for i := range f.Rules {
		if err := f.Rules[i].check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", f.Rules[i].line, err)
		}
	}
	for i := range f.Quotas {
		if err := f.Quotas[i].check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", f.Quotas[i].line, err)
		}
	}
	return f, nil
}

// check looks at the words of a rule, and resolves its actions.
func (r *rule) check() error {
	if (len(r.Allow) > 0) == (len(r.Deny) > 0) {
		return errors.New("a rule has either allow or deny, with at least one action")
	}
	if err := checkWho(r.Who); err != nil {
		return err
	}
	for _, word := range slices.Concat(r.Allow, r.Deny) {
		if word == everything {
			for a := Describe; a <= Ingest; a++ {
				r.actions[a] = true
			}
			continue
		}
		at := slices.Index(actionNames[Describe:Ingest+1], word)
		if at < 0 {
			return fmt.Errorf("%q is no action; allowed: %s, %s", word, strings.Join(actionNames[Describe:Ingest+1], ", "), everything)
		}
		r.actions[int(Describe)+at] = true
	}
	for _, pattern := range slices.Concat(r.Topics, r.Groups, r.Paths) {
		if pattern == "" {
			return errors.New("a pattern is empty")
		}
	}
	if r.bounded && len(r.Topics)+len(r.Groups)+len(r.Paths) == 0 {
		return errors.New("topics, groups and paths are empty, which would make the rule one about all resources: leave them out for that")
	}
	for _, path := range r.Paths {
		if path[0] != '/' && path[0] != '*' {
			return fmt.Errorf("the path %q does not begin with a slash", path)
		}
	}
	return nil
}

// checkWho looks at the names in the who of a rule or quota.
func checkWho(who []string) error {
	if len(who) == 0 {
		return errors.New("who is missing: whom it is for")
	}
	for _, name := range who {
		kind, rest, ok := strings.Cut(name, ":")
		known := name == "*" || name == kindNames[Anonymous] ||
			ok && rest != "" && (kind == "role" || slices.Contains(kindNames[User:], kind))
		if !known {
			return fmt.Errorf("%q names nobody; allowed: user:NAME, key:ID, cert:NAME, jwt:NAME, role:NAME, each with * for any text, or anonymous, or *", name)
		}
	}
	return nil
}

// names reports whether who names the identity.
func names(who []string, id *Identity, denies bool) bool {
	return slices.ContainsFunc(who, func(name string) bool {
		switch {
		case name == "*":
			return denies || !id.Anonymous()
		case id.Anonymous():
			return name == kindNames[Anonymous]
		}
		if role, ok := strings.CutPrefix(name, "role:"); ok {
			parts := strings.Split(role, "*")
			return slices.ContainsFunc(id.roles, func(has string) bool {
				return has == role || len(parts) > 1 && matchGlob(parts, has)
			})
		}
		parts := strings.Split(name, "*")
		return name == id.principal || len(parts) > 1 && matchGlob(parts, id.principal)
	})
}

// of returns the rule's patterns for a resource, and whether the rule is about such resources.
func (r *rule) of(res Resource) ([]string, bool) {
	if len(r.Topics)+len(r.Groups)+len(r.Paths) == 0 {
		return []string{"*"}, true
	}
	list := r.Paths
	switch res {
	case Topic:
		list = r.Topics
	case Group:
		list = r.Groups
	}
	return list, len(list) > 0
}

// matches reports whether the rule is about the action and the resource.
func (r *rule) matches(a Action, res Resource, name string) bool {
	list, ok := r.of(res)
	if !ok || !r.actions[a] {
		return false
	}
	var p patterns
	for _, pattern := range list {
		p.add(pattern)
	}
	return p.match(name)
}

// String shows the rule in one line.
func (r *rule) String() string {
	what, verb := r.Allow, "allow"
	if len(r.Deny) > 0 {
		what, verb = r.Deny, "deny"
	}
	text := fmt.Sprintf("line %d: %s %s to %s", r.line, verb, strings.Join(what, ", "), strings.Join(r.Who, ", "))
	for _, part := range []struct {
		name string
		list []string
	}{{"topics", r.Topics}, {"groups", r.Groups}, {"paths", r.Paths}} {
		if len(part.list) > 0 {
			text += fmt.Sprintf(" on %s %s", part.name, strings.Join(part.list, ", "))
		}
	}
	return text
}
