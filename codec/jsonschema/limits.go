package jsonschema

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What a schema may cost. Each limit is far above what schemas of people have.
const (
	maxText    = 1 << 20 // bytes of a schema with all its references
	maxNesting = 200     // of a schema's JSON
	maxObjects = 5000    // JSON objects in a schema with all its references
	maxPaths   = 2 << 20 // bytes of the JSON pointers of the objects in one text
	maxDigits  = 1000    // of a number, written out

	// maxPointers bounds the JSON pointers to places where the draft has no
	// schemas: the library copies what it knows of a document for each.
	maxPointers = 500

	maxPattern      = 1000   // bytes of a pattern
	maxInstructions = 10_000 // that one pattern compiles to
	maxAllPatterns  = 50_000 // instructions of all patterns

	// maxStack bounds the recursion: schemas that one value may pass through,
	// which is all of them at worst, times the nesting of the value.
	maxStack = 200_000
	// maxSteps bounds the time: about a second at worst.
	maxSteps = 3_000_000
	// maxDetail bounds the memory of an explanation: steps, each of which may
	// find a fault, times the nesting, which is the length of its location.
	maxDetail = 1_000_000
)

// effort counts what one validation does. It panics with errEffort past its
// limit, because the library has no other way to stop; checker recovers.
type effort struct{ steps, limit int }

var errEffort = errors.New("too many steps")

func (e *effort) spend(steps int) {
	if e.steps += steps; e.steps > e.limit {
		panic(errEffort)
	}
}

// count has each visit of a schema counted, before its parts are visited. The
// library offers no such hook but the check of a format, which comes first.
func (e *effort) count(s *jsonschema.Schema) {
	weight := 1 + len(s.AllOf) + len(s.AnyOf) + len(s.OneOf) + len(s.PatternProperties)
	if s.Enum != nil {
		weight += len(s.Enum.Values)
	}
	format := jsonschema.Format{Validate: func(any) error { return nil }}
	if s.Format != nil {
		format = *s.Format
	}
	validate := format.Validate
	format.Validate = func(v any) error {
		switch v := v.(type) {
		case map[string]any:
			e.spend(weight + len(v))
		case []any:
			e.spend(weight + len(v))
		case string:
			e.spend(weight + len(v)/64)
		default:
			e.spend(weight)
		}
		return validate(v)
	}
	s.Format = &format
}

// patterns compiles the regular expressions of one schema.
type patterns struct {
	effort       *effort
	instructions int
	known        map[string]*pattern // each is asked for twice
}

var (
	errPatternLong = errors.New("it is longer than 1000 bytes")
	errPatternBig  = errors.New("it repeats too much")
	errPatternsBig = errors.New("the patterns of this schema are too many or too large")
)

func (p *patterns) compile(text string) (jsonschema.Regexp, error) {
	if re := p.known[text]; re != nil {
		return re, nil
	}
	if len(text) > maxPattern {
		return nil, errPatternLong
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	size := len(program.Inst)
	if size > maxInstructions {
		return nil, errPatternBig
	}
	if p.instructions += size; p.instructions > maxAllPatterns {
		return nil, errPatternsBig
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	p.known[text] = &pattern{Regexp: re, size: size, effort: p.effort}
	return p.known[text], nil
}

// pattern is a regular expression whose work is counted: at worst the length of
// the text times that of the program.
type pattern struct {
	*regexp.Regexp
	size   int
	effort *effort
}

// MatchString implements the library's Regexp.
func (p *pattern) MatchString(s string) bool {
	p.effort.spend(1 + len(s)*p.size/64)
	return p.Regexp.MatchString(s)
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

// usual reports whether ref is to no place within a document, or to a
// definition.
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
