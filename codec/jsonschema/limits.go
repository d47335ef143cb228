package jsonschema

import (
	"errors"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"millrace/codec/json"
)

// These limits bound the cost of a schema. Each is far above what people's schemas need.
const (
	maxText    = 1 << 20 // bytes of a schema with all its references
	maxNesting = 200     // of a schema's JSON
	maxObjects = 5000    // JSON objects, true and false, in a schema with all its references
	maxPaths   = 2 << 20 // bytes of the JSON pointers of the objects in one text
	maxDigits  = 1000    // of a number, written out

	// maxPointers bounds the JSON pointers to places where the draft has no
	// schemas: the library copies what it knows of a document for each.
	maxPointers = 500

	maxPattern      = 1000   // bytes of a pattern, see pattern.go
	maxInstructions = 10_000 // that one pattern compiles to
	maxAllPatterns  = 50_000 // instructions of all patterns

	// maxStack bounds the recursion: schemas that one value may pass through,
	// which is all of them at worst, times the nesting of the value.
	maxStack = 200_000
	// maxSteps bounds the time: about a second at worst. A valid value of n
	// members and elements takes few more than n steps with most schemas.
	maxSteps = 1_000_000
	// maxDetail bounds the memory of an explanation: steps, each of which may
	// find a fault, times the nesting, which is the length of its location.
	maxDetail = 1_000_000
)

// effort counts the steps of one validation. It panics with errEffort past its limit, because the
// library has no other way to stop; checker recovers.
type effort struct{ steps, limit int }

var errEffort = errors.New("too many steps")

func (e *effort) spend(steps int) {
	if e.steps += steps; e.steps > e.limit {
		panic(errEffort)
	}
}

// count makes the library count each visit of a schema, before its parts are visited. The library
// offers no such hook but the check of a format, which comes first. A visit has extra steps besides
// those for the parts of s.
func (e *effort) count(s *jsonschema.Schema, extra int) {
	weight := 1 + extra + len(s.AllOf) + len(s.AnyOf) + len(s.OneOf) + len(s.PatternProperties)
	if s.Const != nil {
		weight += bulk(*s.Const) / wholeStep
	}
	if s.Enum != nil {
		weight += len(s.Enum.Values)
		for _, v := range s.Enum.Values {
			weight += max(bulk(v)-wholeStep, 0) / wholeStep // the first step has been counted
		}
	}
	names := namesOf(s) / 4
	format := jsonschema.Format{Validate: func(any) error { return nil }}
	if s.Format != nil {
		format = *s.Format
	}
	if format.Name == "regex" {
		format.Validate = isPattern
	}
	validate := format.Validate
	format.Validate = func(v any) error {
		switch v := v.(type) {
		case map[string]any:
			e.spend(weight + names + len(v)/4)
		case []any:
			e.spend(weight + len(v)/4)
			if s.UniqueItems {
				e.spend(comparing(v))
			}
		case string:
			e.spend(weight + len(v)/64)
		default:
			e.spend(weight)
		}
		return validate(v)
	}
	s.Format = &format
}

// namesOf is how many names s has in lists that the library goes over for an object, whatever its
// members are. A report has those that are missing.
func namesOf(s *jsonschema.Schema) int {
	names := len(s.Required) + len(s.Dependencies) + len(s.DependentRequired) + len(s.DependentSchemas)
	for _, d := range s.Dependencies {
		list, _ := d.([]string)
		names += len(list)
	}
	for _, list := range s.DependentRequired {
		names += len(list)
	}
	return names
}

// wholeStep is what a step is in [bulk].
const wholeStep = 16

// bulk is the work to compare v with a value that is equal to it: a step for each number, which the
// library makes a fraction, and much less for all else.
func bulk(v any) int {
	work := 1
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			work += 1 + bulk(member)
		}
	case []any:
		for _, element := range v {
			work += bulk(element)
		}
	case string:
		work += len(v) / 64
	case json.Number:
		work = wholeStep
	}
	return work
}

// fewElements is up to how many elements the library compares each with each.
const fewElements = 20

// comparing is how many steps it takes to find that the elements are unique, besides one for each
// few of them.
func comparing(list []any) int {
	work := 0
	for _, element := range list {
		if own := bulk(element); len(list) <= fewElements {
			work += own * len(list) / 2
		} else {
			work += max(own-wholeStep, 0)
		}
	}
	return work / wholeStep
}

// pointers collects the $refs by JSON pointer to other than the usual places.
func pointers(doc any, into map[string]struct{}) {
	switch doc := doc.(type) {
	case []any:
		for _, v := range doc {
			pointers(v, into)
		}
	case map[string]any:
		for name, v := range doc {
			if ref, ok := v.(string); ok && name == "$ref" && !usual(ref) {
				into[ref] = struct{}{}
			}
			pointers(v, into)
		}
	}
}

// usual reports whether ref leads to no place within a document, or to a definition.
func usual(ref string) bool {
	_, fragment, _ := strings.Cut(ref, "#")
	if !strings.HasPrefix(fragment, "/") {
		return true
	}
	for _, place := range []string{"/definitions/", "/$defs/"} {
		if name, ok := strings.CutPrefix(fragment, place); ok && !strings.Contains(name, "/") {
			return true
		}
	}
	return false
}
