package jsonschema

import (
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// scopesPerStep is how many schemas the library goes over in a step, of those through which a value
// has passed. It goes over all at each schema, to find one that refers to itself.
const scopesPerStep = 100

// above returns through how many schemas a value may pass at most before it comes to each. A value
// that passes through one again is refused.
func above(schemas []*jsonschema.Schema) map[*jsonschema.Schema]int {
	place := map[*jsonschema.Schema]int{} // in order, those that follow before those that lead to them
	var order []*jsonschema.Schema
	var visit func(*jsonschema.Schema)
	visit = func(s *jsonschema.Schema) {
		if _, known := place[s]; known {
			return
		}
		place[s] = 0 // known, before it has its place
		for _, next := range following(s) {
			visit(next)
		}
		place[s] = len(order)
		order = append(order, s)
	}
	for _, s := range schemas {
		visit(s)
	}
	depth := map[*jsonschema.Schema]int{}
	for _, s := range slices.Backward(order) {
		for _, next := range following(s) {
			if place[next] < place[s] { // else s follows next too
				depth[next] = max(depth[next], depth[s]+1)
			}
		}
	}
	return depth
}

// following lists the schemas that check the same value as s.
func following(s *jsonschema.Schema) []*jsonschema.Schema {
	all := slices.Concat(s.AllOf, s.AnyOf, s.OneOf)
	if s.DynamicRef != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	for _, d := range s.Dependencies {
		if d, ok := d.(*jsonschema.Schema); ok {
			all = append(all, d)
		}
	}
	for _, d := range s.DependentSchemas {
		all = append(all, d)
	}
	all = append(all, s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else)
	return slices.DeleteFunc(all, func(s *jsonschema.Schema) bool { return s == nil })
}
