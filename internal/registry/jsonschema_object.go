package registry

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
)

// requiredRule lets a property become required that has a default, as
// Confluent's registry does.
func requiredRule(_ *jsonComparison, r node, w []node, at string) []string {
	var out []string
	for _, name := range stringsIn(r.keywords()["required"]) {
		always := slices.ContainsFunc(w, func(n node) bool {
			return slices.Contains(stringsIn(n.keywords()["required"]), name)
		})
		property, _ := r.child("properties", name)
		if _, hasDefault := property.keywords()["default"]; !always && !hasDefault {
			out = append(out, fmt.Sprintf("%s: the property %q is required now", at, name))
		}
	}
	return out
}

func propertiesRule(c *jsonComparison, r node, w []node, at string) []string {
	var out []string
	properties, _ := r.keywords()["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		sub, _ := r.child("properties", name)
		out = append(out, c.readsAll(sub, writtenAs(w, name), at+"/properties/"+name)...)
	}
	return out
}

// writtenAs lists the schemas that a property of the writer's objects must fit
// all together.
func writtenAs(w []node, name string) []node {
	var out []node
	for _, n := range w {
		if sub, ok := n.child("properties", name); ok {
			out = append(out, sub)
		} else if rest, ok := n.child("additionalProperties"); ok && n.keywords()["patternProperties"] == nil {
			out = append(out, rest)
		}
	}
	return out
}

// readsAll is reads of a value that fits several schemas; none: any value.
func (c *jsonComparison) readsAll(r node, w []node, at string) []string {
	if len(w) == 0 {
		w = []node{{value: true, doc: r.doc, at: "any"}}
	}
	s := newSearch()
	ways, ok := product([][]node{nil}, w[:1], s)
	for _, n := range w[1:] {
		if ok {
			ways, ok = product(ways, []node{n}, s)
		}
	}
	if !ok {
		return c.reads(r, w[0], at)
	}
	for _, way := range ways {
		if problems := c.readsWay(r, way, at); len(problems) > 0 {
			return problems
		}
	}
	return nil
}

func additionalRule(c *jsonComparison, r node, w []node, at string) []string {
	rest, _ := r.child("additionalProperties")
	if rest.value == true {
		return nil
	}
	known, _ := r.keywords()["properties"].(map[string]any)
	names := map[string]bool{}
	closed := false
	for _, n := range w {
		if patterns, ok := n.keywords()["patternProperties"]; ok && !reflect.DeepEqual(patterns, r.keywords()["patternProperties"]) {
			return []string{at + ": patternProperties is gone or changed, and additionalProperties is not true"}
		}
		properties, _ := n.keywords()["properties"].(map[string]any)
		for name := range properties {
			// A name of the reader's patterns fits them: they are the writer's.
			if _, ok := known[name]; !ok && !r.hasPattern(name) {
				names[name] = true
			}
		}
		closed = closed || n.keywords()["additionalProperties"] == false
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, c.readsAll(rest, writtenAs(w, name), at+"/properties/"+name)...)
	}
	if closed {
		return out
	}
	var written []node
	for _, n := range w {
		if sub, ok := n.child("additionalProperties"); ok {
			written = append(written, sub)
		}
	}
	return append(out, c.readsAll(rest, written, at+"/additionalProperties")...)
}

// hasPattern reports whether a property is one of patternProperties. A pattern that is none of Go
// counts as another one.
func (n node) hasPattern(name string) bool {
	patterns, _ := n.keywords()["patternProperties"].(map[string]any)
	for pattern := range patterns {
		if re, err := regexp.Compile(pattern); err == nil && re.MatchString(name) {
			return true
		}
	}
	return false
}

func itemsRule(c *jsonComparison, r node, w []node, at string) []string {
	items, _ := r.child("items")
	if _, tuple := items.value.([]any); tuple {
		return unchanged("items")(c, r, w, at)
	}
	var written []node
	for _, n := range w {
		if sub, ok := n.child("items"); ok {
			if _, tuple := sub.value.([]any); tuple {
				return unchanged("items")(c, r, w, at)
			}
			if len(n.each("prefixItems")) > len(r.each("prefixItems")) {
				continue // it says nothing of items that the reader's items are about
			}
			written = append(written, sub)
		}
	}
	return c.readsAll(items, written, at+"/items")
}

// restRule is about the items behind a tuple; without one additionalItems means nothing.
func restRule(c *jsonComparison, r node, w []node, at string) []string {
	if _, tuple := r.keywords()["items"].([]any); !tuple {
		return nil
	}
	return together("additionalItems", "items")(c, r, w, at)
}

// containsRule leaves out the parts of the writer that allow less than one such item, unless the
// reader says how many there must be: it asks for one otherwise.
func containsRule(c *jsonComparison, r node, w []node, at string) []string {
	if _, ok := r.keywords()["minContains"]; !ok {
		w = slices.DeleteFunc(slices.Clone(w), func(n node) bool {
			least, ok := n.keywords()["minContains"]
			number := numberIn(least)
			return ok && (number == nil || number.Sign() <= 0)
		})
	}
	return together("contains", "minContains", "maxContains")(c, r, w, at)
}

// unevaluated is the rule of a keyword for what no other keyword has evaluated: it must be the
// same, and so must the others be with which the writer evaluates anything. The reader may know
// more properties.
func unevaluated(keyword string, others ...string) rule {
	others = append(others, "$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "$dynamicRef", "$recursiveRef")
	return func(_ *jsonComparison, r node, w []node, at string) []string {
		known, _ := r.keywords()["properties"].(map[string]any)
		same := slices.ContainsFunc(w, func(n node) bool {
			properties, _ := n.keywords()["properties"].(map[string]any)
			for name := range properties {
				if _, ok := known[name]; !ok {
					return false
				}
			}
			more := slices.ContainsFunc(others, func(other string) bool {
				_, ok := n.keywords()[other]
				return ok && !equalIn(r, []node{n}, other)
			})
			return !more && equalIn(r, []node{n}, keyword)
		})
		if same || r.keywords()[keyword] == true {
			return nil
		}
		return []string{fmt.Sprintf("%s: %s is new or changed, or what it is for", at, keyword)}
	}
}
