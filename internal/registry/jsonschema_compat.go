package registry

import (
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
)

// canRead reports where the reader's schema refuses a value that the writer's allows. It decides
// that for types, enumerations, limits, objects and arrays, through references and combinations;
// other keywords are only compared, and a changed one counts as a problem.
func (r jsonSchema) canRead(writer parsed) []string {
	c := jsonComparison{seen: map[string]bool{}, steps: new(int)}
	return c.reads(r.root, writer.(jsonSchema).root, "#")
}

type jsonComparison struct {
	seen  map[string]bool // pairs under comparison: schemas may be recursive
	steps *int            // taken so far
}

// maxSteps bounds the work for one pair of schemas, which may grow with the
// product of their branches.
const maxSteps = 20_000

func (c *jsonComparison) reads(r, w node, at string) []string {
	ways, ok := w.ways(newSearch())
	if !ok {
		if (&sameness{}).values(r, w) {
			return nil
		}
		return []string{at + ": too complex to compare"}
	}
	for _, way := range ways {
		if problems := c.readsWay(r, way, at); len(problems) > 0 {
			return problems
		}
	}
	return nil
}

// readsWay is reads for one way of the writer.
func (c *jsonComparison) readsWay(r node, w []node, at string) []string {
	switch r.value {
	case true:
		return nil
	case false:
		return []string{at + ": nothing is allowed here any more"}
	}
	key := r.key()
	for _, n := range w {
		key += " " + n.key()
	}
	if c.seen[key] {
		return nil
	}
	c.seen[key] = true
	if *c.steps++; *c.steps > maxSteps {
		return []string{at + ": too complex to compare"}
	}
	out := c.combined(r, w, at)
	if r.isReference() {
		return out
	}
	for _, keyword := range slices.Sorted(maps.Keys(r.keywords())) {
		rule := keywordRules[keyword]
		if rule == nil || !appliesTo(keyword, w) {
			continue
		}
		out = append(out, rule(c, r, w, at)...)
	}
	return out
}

// combined compares the parts of which the reader is combined.
func (c *jsonComparison) combined(r node, w []node, at string) []string {
	var out []string
	if _, refers := r.keywords()["$ref"]; refers {
		target, ok := r.target()
		if ok {
			out = append(out, c.readsWay(target, w, at)...)
		} else if !equalIn(r, w, "$ref") {
			out = append(out, at+": too complex to compare")
		}
		if r.isReference() {
			return out
		}
	}
	for _, part := range r.each("allOf") {
		out = append(out, c.readsWay(part, w, at)...)
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		branches := r.each(keyword)
		fits := slices.ContainsFunc(branches, func(b node) bool {
			attempt := jsonComparison{seen: maps.Clone(c.seen), steps: c.steps} // a failure of this branch does not hold for others
			return len(attempt.readsWay(b, w, at)) == 0
		})
		if len(branches) > 0 && !fits {
			out = append(out, fmt.Sprintf("%s: no branch of %s takes all that was allowed", at, keyword))
		}
	}
	return out
}

// rule lists the values that the keyword of r refuses and w allows.
type rule func(c *jsonComparison, r node, w []node, at string) []string

var keywordRules map[string]rule

func init() { // not in the declaration, because the rules refer to it themselves
	keywordRules = map[string]rule{
		"type": typeRule, "enum": listRule, "const": constRule,
		"maximum": limit("maximum", 1), "exclusiveMaximum": limit("exclusiveMaximum", 1),
		"maxLength": limit("maxLength", 1), "maxItems": limit("maxItems", 1), "maxProperties": limit("maxProperties", 1),
		"minimum": limit("minimum", -1), "exclusiveMinimum": limit("exclusiveMinimum", -1),
		"minLength": limit("minLength", -1), "minItems": limit("minItems", -1), "minProperties": limit("minProperties", -1),
		"multipleOf": multipleRule, "required": requiredRule, "properties": propertiesRule,
		"additionalProperties": additionalRule, "items": itemsRule, "additionalItems": restRule, "contains": containsRule,
		"if": together("if", "then", "else"), // without if the others mean nothing
	}
	for _, keyword := range []string{
		"pattern", "uniqueItems", "propertyNames", "patternProperties", "dependencies", "dependentRequired", "dependentSchemas", "not",
		"prefixItems", "$dynamicRef", "$recursiveRef",
	} {
		keywordRules[keyword] = unchanged(keyword)
	}
	keywordRules["unevaluatedProperties"] = unevaluated("unevaluatedProperties", "patternProperties", "additionalProperties")
	keywordRules["unevaluatedItems"] = unevaluated("unevaluatedItems", "items", "prefixItems", "additionalItems", "contains")
}

// kindsOf are the types that a keyword applies to; other keywords apply to all types.
var kindsOf = map[string][]string{
	"maximum": {"number"}, "exclusiveMaximum": {"number"}, "minimum": {"number"}, "exclusiveMinimum": {"number"}, "multipleOf": {"number"},
	"maxLength": {"string"}, "minLength": {"string"}, "pattern": {"string"},
	"maxItems": {"array"}, "minItems": {"array"}, "uniqueItems": {"array"}, "contains": {"array"}, "items": {"array"}, "prefixItems": {"array"},
	"additionalItems": {"array"}, "minContains": {"array"}, "maxContains": {"array"}, "unevaluatedItems": {"array"},
	"properties": {"object"}, "additionalProperties": {"object"}, "required": {"object"}, "maxProperties": {"object"},
	"minProperties": {"object"}, "propertyNames": {"object"}, "patternProperties": {"object"}, "dependencies": {"object"},
	"dependentRequired": {"object"}, "dependentSchemas": {"object"}, "unevaluatedProperties": {"object"},
}

// appliesTo reports whether the writer writes values that the keyword applies to.
func appliesTo(keyword string, w []node) bool {
	kinds, written := kindsOf[keyword], typesOf(w)
	return kinds == nil || written == nil || slices.ContainsFunc(written, func(t string) bool {
		return slices.Contains(kinds, t) || t == "integer" && kinds[0] == "number"
	})
}

// typesOf are the types that the writer writes; nil: any.
func typesOf(w []node) []string {
	var out []string
	for _, n := range w {
		types := stringsIn(n.keywords()["type"])
		switch {
		case types == nil:
		case out == nil:
			out = types
		default:
			out = append(common(out, types), common(types, out)...)
			slices.Sort(out)
			out = slices.Compact(out)
		}
	}
	if out == nil {
		if values := valuesOf(w); values != nil {
			for _, v := range values {
				out = append(out, typeOf(v))
			}
		}
	}
	return out
}

// common lists those of the types that others have too. A number may be an integer.
func common(types, others []string) []string {
	return slices.DeleteFunc(slices.Clone(types), func(t string) bool {
		return !slices.Contains(others, t) && (t != "integer" || !slices.Contains(others, "number"))
	})
}

// stringsIn reads a string or a list of strings.
func stringsIn(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func typeRule(_ *jsonComparison, r node, w []node, at string) []string {
	allowed, written := stringsIn(r.keywords()["type"]), typesOf(w)
	if written == nil {
		return []string{fmt.Sprintf("%s: any type was allowed, now only %s", at, strings.Join(allowed, ", "))}
	}
	var out []string
	for _, t := range written {
		if !slices.Contains(allowed, t) && (t != "integer" || !slices.Contains(allowed, "number")) {
			out = append(out, fmt.Sprintf("%s: the type %s is not allowed any more", at, t))
		}
	}
	return out
}

// valuesOf are the values of the writer where it lists them; nil: not listed.
func valuesOf(w []node) []any {
	for _, n := range w {
		if v, ok := n.keywords()["const"]; ok {
			return []any{v}
		}
		if list, ok := n.keywords()["enum"].([]any); ok {
			return list
		}
	}
	return nil
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case fmt.Stringer: // json.Number
		if n, ok := new(big.Rat).SetString(v.String()); ok && n.IsInt() {
			return "integer"
		}
	}
	return "number"
}

func listRule(_ *jsonComparison, r node, w []node, at string) []string {
	list, _ := r.keywords()["enum"].([]any)
	return allows(list, w, at)
}

func constRule(_ *jsonComparison, r node, w []node, at string) []string {
	return allows([]any{r.keywords()["const"]}, w, at)
}

func allows(allowed []any, w []node, at string) []string {
	written := valuesOf(w)
	if written == nil {
		return []string{at + ": only listed values are allowed now"}
	}
	var out []string
	for _, v := range written {
		if !slices.ContainsFunc(allowed, func(a any) bool { return reflect.DeepEqual(a, v) }) {
			out = append(out, fmt.Sprintf("%s: the value %v is not allowed any more", at, v))
		}
	}
	return out
}

// numberIn reads a number.
func numberIn(v any) *big.Rat {
	s, ok := v.(fmt.Stringer)
	if !ok || len(s.String()) > 100 { // 1e999999999 would not fit into memory
		return nil
	}
	if i := strings.IndexAny(s.String(), "eE"); i >= 0 && len(s.String())-i > 4 {
		return nil
	}
	n, ok := new(big.Rat).SetString(s.String())
	if !ok {
		return nil
	}
	return n
}

// limit is the rule of a bound that is upper (sign 1) or lower (-1).
func limit(keyword string, sign int) rule {
	return func(_ *jsonComparison, r node, w []node, at string) []string {
		bound := numberIn(r.keywords()[keyword])
		if bound == nil { // true and false in draft 4: whether the bound beside it is excluded
			beside := limit(strings.ToLower(strings.TrimPrefix(keyword, "exclusive")), sign)
			return unchanged(keyword)(nil, r, slices.DeleteFunc(slices.Clone(w), func(n node) bool {
				return r.keywords()[keyword] == true && len(beside(nil, r, []node{n}, at)) > 0
			}), at)
		}
		for _, n := range w {
			if b := numberIn(n.keywords()[keyword]); b != nil && b.Cmp(bound)*sign <= 0 {
				return nil
			}
		}
		if sign < 0 && bound.Sign() == 0 && !strings.Contains(strings.ToLower(keyword), "minimum") {
			return nil // no length is below 0
		}
		return []string{fmt.Sprintf("%s: %s is narrower", at, keyword)}
	}
}

func multipleRule(_ *jsonComparison, r node, w []node, at string) []string {
	of := numberIn(r.keywords()["multipleOf"])
	for _, n := range w {
		m := numberIn(n.keywords()["multipleOf"])
		if of != nil && of.Sign() != 0 && m != nil && new(big.Rat).Quo(m, of).IsInt() {
			return nil
		}
	}
	if of != nil && of.IsInt() && of.Num().IsInt64() && of.Num().Int64() == 1 && slices.Equal(typesOf(w), []string{"integer"}) {
		return nil
	}
	return []string{at + ": multipleOf is narrower"}
}

// switches are the keywords that are off with false; elsewhere it is the schema of no value.
var switches = []string{"uniqueItems", "exclusiveMaximum", "exclusiveMinimum"}

// unchanged is the rule of a keyword that is only compared.
func unchanged(keyword string) rule {
	return func(_ *jsonComparison, r node, w []node, at string) []string {
		if r.keywords()[keyword] == false && slices.Contains(switches, keyword) || equalIn(r, w, keyword) {
			return nil
		}
		return []string{fmt.Sprintf("%s: %s is new or changed", at, keyword)}
	}
}

// together is the rule of a keyword to which others beside it belong: one part of the writer must
// have it and those of them that the reader has.
func together(keyword string, others ...string) rule {
	return func(_ *jsonComparison, r node, w []node, at string) []string {
		for _, n := range w {
			differs := func(other string) bool {
				_, ok := r.keywords()[other]
				return ok && !equalIn(r, []node{n}, other)
			}
			if equalIn(r, []node{n}, keyword) && !slices.ContainsFunc(others, differs) {
				return nil
			}
		}
		return []string{fmt.Sprintf("%s: %s is new or changed, or what belongs to it", at, keyword)}
	}
}

// leading are the keywords that refer to other parts. Where all but the first lead depends on how
// the validator came there.
var leading = []string{"$ref", "$dynamicRef", "$recursiveRef"}

func equalIn(r node, w []node, keyword string) bool {
	mine, _ := r.child(keyword)
	return slices.ContainsFunc(w, func(n node) bool {
		theirs, ok := n.child(keyword)
		if ok && slices.Contains(leading, keyword) {
			return (&sameness{}).references(r, n)
		}
		return ok && (&sameness{}).values(mine, theirs)
	})
}

// sameness compares values to the letter, and with them what they refer to.
type sameness struct {
	seen map[string]bool // pairs under comparison
}

func (s *sameness) values(a, b node) bool {
	if list, ok := a.value.([]any); ok {
		other, ok := b.value.([]any)
		if !ok || len(list) != len(other) {
			return false
		}
		for i := range list {
			if !s.values(node{value: list[i], doc: a.doc}, node{value: other[i], doc: b.doc}) {
				return false
			}
		}
		return true
	}
	if a.keywords() == nil || b.keywords() == nil {
		return reflect.DeepEqual(a.value, b.value)
	}
	if len(a.keywords()) != len(b.keywords()) {
		return false
	}
	for keyword, v := range a.keywords() {
		other, ok := b.keywords()[keyword]
		if !ok || !s.values(node{value: v, doc: a.doc}, node{value: other, doc: b.doc}) {
			return false
		}
	}
	return s.references(a, b)
}

// references compares the targets of two nodes that may have a $ref. One that cannot be followed
// may lead anywhere in its text.
func (s *sameness) references(a, b node) bool {
	for _, keyword := range leading[1:] {
		ref, ok := a.keywords()[keyword].(string) // or it is the name of a property
		if ok && (ref != b.keywords()[keyword] || !reflect.DeepEqual(a.doc.root, b.doc.root)) {
			return false
		}
	}
	ref, ok := a.keywords()["$ref"].(string)
	if !ok {
		return true
	}
	if ref != b.keywords()["$ref"] {
		return false
	}
	first, ok := a.target()
	second, found := b.target()
	if !ok || !found {
		return reflect.DeepEqual(a.doc.root, b.doc.root)
	}
	key := first.key() + " " + second.key()
	if s.seen[key] {
		return true
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[key] = true
	return s.values(first, second)
}
