package jsonschema

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"millrace/codec"
	"millrace/codec/json"
)

// explain picks one fault of a report, always the same one, and describes it in our words. A
// value that fits none of several alternatives is explained by the one that got farthest.
func explain(report *jsonschema.ValidationError, value any) *codec.Mismatch {
	fault := pick(report)
	at, path := follow(value, fault.InstanceLocation)
	return &codec.Mismatch{Path: codec.ShortPath(path), Problem: problem(fault, at)}
}

// pick descends to the fault to report.
func pick(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		var best *jsonschema.ValidationError
		for _, cause := range e.Causes {
			if leaf := pick(cause); best == nil || len(leaf.InstanceLocation) > len(best.InstanceLocation) {
				best = leaf
			}
		}
		if best != nil && len(best.InstanceLocation) > len(e.InstanceLocation) {
			return best
		}
		return e
	case *kind.PropertyNames, *kind.Not, *kind.Contains:
		return e
	}
	var first *jsonschema.ValidationError
	for _, cause := range e.Causes {
		// Members are visited in no order: sort, so that the same record has
		// the same message each time.
		if leaf := pick(cause); first == nil || slices.Compare(leaf.InstanceLocation, first.InstanceLocation) < 0 {
			first = leaf
		}
	}
	if first == nil {
		return e
	}
	return first
}

// follow walks to a place in a value and writes its path such as ".tags[2]".
func follow(value any, location []string) (at any, path string) {
	var b strings.Builder
	for _, token := range location {
		switch v := value.(type) {
		case []any:
			b.WriteString("[" + token + "]")
			if i, err := strconv.Atoi(token); err == nil && i < len(v) {
				value = v[i]
			}
		case map[string]any:
			b.WriteString("." + codec.Clip(token))
			value = v[token]
		}
	}
	return value, b.String()
}

// problem describes what is wrong with the value.
func problem(e *jsonschema.ValidationError, got any) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return "expected " + strings.Join(k.Want, " or ") + ", got " + quote(got)
	case *kind.AnyOf, *kind.OneOf:
		return alternatives(e, got)
	case *kind.Enum:
		return "expected one of " + list(k.Want) + ", got " + quote(got)
	case *kind.Const:
		return "expected " + quote(k.Want) + ", got " + quote(got)
	case *kind.Format:
		return "expected the format " + codec.Clip(k.Want) + ", got " + quote(got)
	case *kind.Pattern:
		return "expected a string like " + strconv.Quote(codec.Clip(k.Want)) + ", got " + quote(got)
	case *kind.Not:
		return "it is what the schema forbids with \"not\""
	case *kind.FalseSchema:
		return "no value is allowed here"
	case *kind.RefCycle:
		return "the schema refers to itself without end"
	}
	if s := objectProblem(e.ErrorKind); s != "" {
		return s
	}
	if s := sizeProblem(e.ErrorKind, got); s != "" {
		return s
	}
	return "it is not what the schema wants with " + strconv.Quote(strings.Join(e.ErrorKind.KeywordPath(), "/"))
}

func objectProblem(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Required:
		return missing(k.Missing)
	case *kind.Dependency:
		return missing(k.Missing) + ", which " + strconv.Quote(codec.Clip(k.Prop)) + " needs"
	case *kind.DependentRequired:
		return missing(k.Missing) + ", which " + strconv.Quote(codec.Clip(k.Prop)) + " needs"
	case *kind.AdditionalProperties:
		return "unknown member " + names(k.Properties)
	case *kind.PropertyNames:
		return "the name of the member " + strconv.Quote(codec.Clip(k.Property)) + " is not allowed"
	case *kind.MinProperties:
		return fmt.Sprintf("expected at least %d members, got %d", k.Want, k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("expected at most %d members, got %d", k.Want, k.Got)
	}
	return ""
}

func sizeProblem(k jsonschema.ErrorKind, got any) string {
	switch k := k.(type) {
	case *kind.MinItems:
		return fmt.Sprintf("expected at least %d elements, got %d", k.Want, k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("expected at most %d elements, got %d", k.Want, k.Got)
	case *kind.AdditionalItems:
		return fmt.Sprintf("the last %d elements are not allowed", k.Count)
	case *kind.UniqueItems:
		return fmt.Sprintf("the elements %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "no element is what the schema wants with \"contains\""
	case *kind.MinLength:
		return fmt.Sprintf("expected at least %d characters, got %d", k.Want, k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("expected at most %d characters, got %d", k.Want, k.Got)
	case *kind.Minimum:
		return "expected at least " + decimal(k.Want) + ", got " + quote(got)
	case *kind.Maximum:
		return "expected at most " + decimal(k.Want) + ", got " + quote(got)
	case *kind.ExclusiveMinimum:
		return "expected more than " + decimal(k.Want) + ", got " + quote(got)
	case *kind.ExclusiveMaximum:
		return "expected less than " + decimal(k.Want) + ", got " + quote(got)
	case *kind.MultipleOf:
		return "expected a multiple of " + decimal(k.Want) + ", got " + quote(got)
	}
	return ""
}

// alternatives explains a value that fits none of several schemas, or too many.
func alternatives(e *jsonschema.ValidationError, got any) string {
	if k, ok := e.ErrorKind.(*kind.OneOf); ok && len(k.Subschemas) > 1 {
		return fmt.Sprintf("it fits more than one alternative of \"oneOf\" (%d and %d)", k.Subschemas[0], k.Subschemas[1])
	}
	var want []string
	for _, cause := range e.Causes {
		k, ok := pick(cause).ErrorKind.(*kind.Type)
		if !ok {
			return "it fits none of the alternatives of \"" + e.ErrorKind.KeywordPath()[0] + "\", got " + quote(got)
		}
		for _, w := range k.Want {
			if !slices.Contains(want, w) {
				want = append(want, w)
			}
		}
	}
	return "expected " + strings.Join(want, " or ") + ", got " + quote(got)
}

func missing(members []string) string {
	return "missing member " + names(members)
}

// names lists members, sorted because the library has them in no order.
func names(members []string) string {
	quoted := make([]string, 0, len(members))
	for _, m := range slices.Sorted(slices.Values(members)) {
		quoted = append(quoted, strconv.Quote(codec.Clip(m)))
		if len(quoted) == 5 && len(members) > 5 {
			return strings.Join(quoted, ", ") + fmt.Sprintf(" and %d more", len(members)-5)
		}
	}
	return strings.Join(quoted, ", ")
}

func list(values []any) string {
	quoted := make([]string, 0, len(values))
	for _, v := range values {
		if len(quoted) == 10 {
			quoted = append(quoted, "…")
			break
		}
		quoted = append(quoted, quote(v))
	}
	return strings.Join(quoted, ", ")
}

// quote returns the value if it is short, or else its kind.
func quote(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return strconv.Quote(codec.Clip(v))
	case json.Number:
		return codec.Clip(v.String())
	case []any:
		return "an array"
	}
	return "an object"
}

func decimal(r *big.Rat) string {
	if r.IsInt() {
		return codec.Clip(r.Num().String())
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// complaint explains as a sentence why a schema does not compile.
func (s source) complaint(err error) error {
	var (
		load    *jsonschema.LoadURLError
		invalid *jsonschema.SchemaValidationError
		pattern *jsonschema.InvalidRegexError
		pointer *jsonschema.JSONPointerNotFoundError
		anchor  *jsonschema.AnchorNotFoundError
		report  *jsonschema.ValidationError
	)
	switch {
	case errors.As(err, &load):
		return fmt.Errorf("the JSON schema refers to %q, which is not among its references; nothing is fetched from elsewhere", shown(load.URL))
	case errors.As(err, &pointer):
		return fmt.Errorf("the JSON schema refers to %q, which does not exist", shown(pointer.URL))
	case errors.As(err, &anchor):
		return fmt.Errorf("the JSON schema refers to %q, which does not exist", shown(anchor.Reference))
	case errors.As(err, &pattern):
		return fmt.Errorf("the JSON schema has the pattern %q, which cannot be used: %w", codec.Clip(pattern.Regex), pattern.Err)
	case errors.As(err, &invalid) && errors.As(invalid.Err, &report):
		return s.invalid(invalid.URL, report)
	}
	return fmt.Errorf("the JSON schema cannot be compiled: %s", strings.ReplaceAll(err.Error(), baseURL, ""))
}

// invalid explains a schema that its own draft does not allow.
func (s source) invalid(at string, report *jsonschema.ValidationError) error {
	u, _, _ := strings.Cut(at, "#")
	fault := pick(report)
	got, path := follow(s.docs[u], fault.InstanceLocation)
	if name, ok := fault.ErrorKind.(*kind.PropertyNames); ok && len(fault.Causes) > 0 {
		fault, got = pick(fault.Causes[0]), name.Property
	}
	if f, ok := fault.ErrorKind.(*kind.Format); ok && f.Want == "regex" {
		return fmt.Errorf("the JSON schema has at %q the pattern %s, which cannot be used: %w", path, quote(got), f.Err)
	}
	if path == "" {
		return fmt.Errorf("the JSON schema is not valid: %s", problem(fault, got))
	}
	return fmt.Errorf("the JSON schema is not valid at %q: %s", path, problem(fault, got))
}

// shown returns a URL without the base that its author need not have written.
func shown(u string) string {
	return codec.Clip(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(u, rootURL), baseURL), "#"))
}
