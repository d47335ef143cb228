package registry

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/sr"

	"millrace/internal/testkit"
)

// evolution is a pair of schemas: whether the new one reads the old one's values, and the other
// way round.
type evolution struct {
	name              string
	old, next         string
	backward, forward bool
}

func avroOf(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }

var evolutions = map[sr.SchemaType][]evolution{
	sr.TypeAvro: {
		{"field with a default", avroOf(``), avroOf(`{"name":"a","type":"int","default":0}`), true, true},
		{"field without a default", avroOf(``), avroOf(`{"name":"a","type":"int"}`), false, true},
		{"widened", avroOf(`{"name":"a","type":"int"}`), avroOf(`{"name":"a","type":"long"}`), true, false},
		{"other type", `"int"`, `"string"`, false, false},
		{"more symbols", `{"type":"enum","name":"E","symbols":["A"]}`, `{"type":"enum","name":"E","symbols":["A","B"]}`, true, false},
		{"into a union", `"int"`, `["null","int"]`, true, false},
	},
	sr.TypeJSON: {
		{"the same", `{"type":"object","properties":{"a":{"type":"string"}}}`, `{"properties":{"a":{"type":"string"}},"type":"object","title":"T"}`, true, true},
		{"integer to number", `{"type":"integer"}`, `{"type":"number"}`, true, false},
		{"one more type", `{"type":"string"}`, `{"type":["string","null"]}`, true, false},
		{"one more value", `{"enum":["a"]}`, `{"enum":["a","b"]}`, true, false},
		{"constant of the values", `{"const":"a"}`, `{"enum":["a","b"]}`, true, false},
		{"wider limits", `{"type":"integer","minimum":1,"maximum":5}`, `{"type":"integer","minimum":0}`, true, false},
		{"longer text", `{"type":"string","maxLength":3}`, `{"type":"string","maxLength":4}`, true, false},
		{"coarser multiples", `{"type":"integer","multipleOf":2}`, `{"type":"integer","multipleOf":6}`, false, true},
		{"another pattern", `{"type":"string","pattern":"a"}`, `{"type":"string","pattern":"b"}`, false, false},
		{"required", `{"type":"object"}`, `{"type":"object","required":["a"]}`, false, true},
		{
			"required with a default", `{"type":"object","properties":{"a":{"type":"string","default":""}}}`,
			`{"type":"object","properties":{"a":{"type":"string","default":""}},"required":["a"]}`, true, true,
		},
		{"property in an open object", `{"type":"object"}`, `{"type":"object","properties":{"a":{"type":"string"}}}`, false, true},
		{
			"property in a closed object", `{"type":"object","additionalProperties":false}`,
			`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`, true, false,
		},
		{"closed", `{"type":"object"}`, `{"type":"object","additionalProperties":false}`, false, true},
		{"open to what", `{"type":"object","additionalProperties":{"type":"integer"}}`, `{"type":"object","additionalProperties":{"type":"number"}}`, true, false},
		{"items", `{"type":"array","items":{"type":"integer"}}`, `{"type":"array","items":{"type":"number"}}`, true, false},
		{"any items", `{"type":"array","items":{"type":"integer"}}`, `{"type":"array"}`, true, false},
		{"tuple", `{"type":"array","items":[{"type":"integer"}]}`, `{"type":"array","items":[{"type":"number"}]}`, false, false},
		{"closed tuple", `{"type":"array","items":[{"type":"integer"}]}`, `{"type":"array","items":[{"type":"integer"}],"additionalItems":false}`, false, true},
		{"no names", `{"type":"object"}`, `{"type":"object","propertyNames":false}`, false, true},
		{"nothing is contained", `{"type":"array"}`, `{"type":"array","contains":false}`, false, true},
		{"may be repeated", `{"type":"array"}`, `{"type":"array","uniqueItems":false}`, true, true},
		{"another target in a pattern", `{"type":"object","patternProperties":{"^a":{"$ref":"#/definitions/s"}},"definitions":{"s":{"type":"string"}}}`, `{"type":"object","patternProperties":{"^a":{"$ref":"#/definitions/s"}},"definitions":{"s":{"type":"integer"}}}`, false, false},
		{"another target within not", `{"not":{"items":[{"$ref":"#/definitions/s"}]},"definitions":{"s":{"type":"string","items":{"$ref":"#/definitions/s"}}}}`, `{"not":{"items":[{"$ref":"#/definitions/s"}]},"definitions":{"s":{"type":"null","items":{"$ref":"#/definitions/s"}}}}`, false, false},
		{"the same target within not", `{"not":{"items":[{"$ref":"#/definitions/s"}]},"definitions":{"s":{"type":"string","items":{"$ref":"#/definitions/s"}}}}`, `{"not":{"items":[{"$ref":"#/definitions/s"}]},"definitions":{"s":{"type":"string","items":{"$ref":"#/definitions/s"}}},"title":"T"}`, true, true},
		{"one more branch", `{"oneOf":[{"type":"string"}]}`, `{"oneOf":[{"type":"string"},{"type":"null"}]}`, true, false},
		{"branches in a type", `{"anyOf":[{"type":"string"},{"type":"integer"}]}`, `{"type":["string","number"]}`, true, false},
		{"all of them", `{"allOf":[{"type":"integer"},{"minimum":3}]}`, `{"type":"integer","minimum":0}`, true, false},
		{"by reference", `{"type":"array","items":{"type":"string"}}`, `{"type":"array","items":{"$ref":"#/definitions/s"},"definitions":{"s":{"type":"string"}}}`, true, true},
		{
			"recursive", `{"type":"object","properties":{"next":{"$ref":"#"},"n":{"type":"integer"}},"additionalProperties":false}`,
			`{"type":"object","properties":{"next":{"$ref":"#"},"n":{"type":"number"}},"additionalProperties":false}`, true, false,
		},
		{"everything", `{"type":"string"}`, `true`, true, false},
		{"nothing", `{"type":"string"}`, `false`, false, true},
	},
	sr.TypeProtobuf: {
		{"one more field", protoOf(``), protoOf(`int32 a = 1;`), true, true},
		{"another name", protoOf(`int32 a = 1;`), protoOf(`int32 b = 1;`), true, true},
		{"another package", "syntax = \"proto3\"; package a; message M { int32 a = 1; }", "syntax = \"proto3\"; package b; message M { int32 a = 1; }", true, true},
		{"same wire type", protoOf(`int32 a = 1; string s = 2;`), protoOf(`uint64 a = 1; bytes s = 2;`), true, true},
		{"another wire type", protoOf(`int32 a = 1;`), protoOf(`string a = 1;`), false, false},
		{"zigzag", protoOf(`int32 a = 1;`), protoOf(`sint32 a = 1;`), false, false},
		{"repeated numbers", protoOf(`int32 a = 1;`), protoOf(`repeated int32 a = 1;`), false, false},
		{"repeated text", protoOf(`string a = 1;`), protoOf(`repeated string a = 1;`), true, true},
		{"one more message", protoOf(``), protoOf(``) + ` message N {}`, true, false},
		{"another message type", protoOf(`A x = 1; message A {} message B {}`), protoOf(`B x = 1; message A {} message B {}`), false, false},
		{"inside", protoOf(`A x = 1; message A { int32 n = 1; }`), protoOf(`A x = 1; message A { string n = 1; }`), false, false},
		{"map", protoOf(`map<string, int32> m = 1;`), protoOf(`map<string, string> m = 1;`), false, false},
		{"out of a oneof", protoOf(`oneof o { int32 a = 1; int32 b = 2; }`), protoOf(`oneof o { int32 a = 1; }`), false, true},
		{"two into a oneof", protoOf(`int32 a = 1; int32 b = 2;`), protoOf(`oneof o { int32 a = 1; int32 b = 2; }`), false, true},
		{"required", `syntax = "proto2"; message M {}`, `syntax = "proto2"; message M { required int32 a = 1; }`, false, false},
		{"recursive", protoOf(`M next = 1; int32 n = 2;`), protoOf(`M next = 1; string n = 2;`), false, false},
	},
}

func protoOf(fields string) string { return `syntax = "proto3"; message M { ` + fields + ` }` }

func TestCanRead(t *testing.T) { testEvolutions(t, evolutions) }

func testEvolutions(t *testing.T, all map[sr.SchemaType][]evolution) {
	t.Helper()
	for typ, list := range all {
		for _, e := range list {
			t.Run(typ.String()+"/"+e.name, func(t *testing.T) {
				old, next := parseText(t, typ, e.old), parseText(t, typ, e.next)
				if problems := next.canRead(old); e.backward != (len(problems) == 0) {
					t.Errorf("backward: %q", problems)
				}
				if problems := old.canRead(next); e.forward != (len(problems) == 0) {
					t.Errorf("forward: %q", problems)
				}
			})
		}
	}
}

// The keywords for what is left unevaluated depend on those beside them. (The real registry that is
// an oracle for the others knows drafts up to 7.)
func TestUnevaluated(t *testing.T) {
	const draft = `{"$schema":"https://json-schema.org/draft/2020-12/schema",`
	for _, e := range []evolution{
		{"fewer evaluated properties", `{"type":"object","properties":{"a":{},"b":{}},"unevaluatedProperties":false}`, `{"type":"object","properties":{"a":{}},"unevaluatedProperties":false}`, false, true},
		{"fewer evaluated by a part", `{"type":"object","properties":{"a":{}},"allOf":[{"properties":{"b":{}}}],"unevaluatedProperties":false}`, `{"type":"object","properties":{"a":{}},"unevaluatedProperties":false}`, false, true},
		{"nothing unevaluated", `{"type":"object","properties":{"a":{}},"title":"T"}`, `{"type":"object","properties":{"a":{}},"unevaluatedProperties":false}`, false, true},
	} {
		old, next := parseText(t, sr.TypeJSON, draft+e.old[1:]), parseText(t, sr.TypeJSON, draft+e.next[1:])
		if problems := next.canRead(old); e.backward != (len(problems) == 0) {
			t.Errorf("%s, backward: %q", e.name, problems)
		}
		if problems := old.canRead(next); e.forward != (len(problems) == 0) {
			t.Errorf("%s, forward: %q", e.name, problems)
		}
	}
}

func parseText(t *testing.T, typ sr.SchemaType, text string) parsed {
	t.Helper()
	p, err := source{Schema: sr.Schema{Type: typ, Schema: text}}.parse()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// All levels, over the API, for each type: the refusals of a level follow from the two
// directions, and the check agrees with registering.
func TestLevels(t *testing.T) {
	testkit.Long(t)
	_, cl := open(t, testkit.Fake(t).Broker)
	levels := []sr.CompatibilityLevel{
		sr.CompatNone, sr.CompatBackward, sr.CompatBackwardTransitive, sr.CompatForward, sr.CompatForwardTransitive, sr.CompatFull, sr.CompatFullTransitive,
	}
	n := 0
	for typ, list := range evolutions {
		for _, e := range list {
			for _, level := range levels {
				n++
				subject := fmt.Sprint("s", n)
				must(cl.CreateSchema(t.Context(), subject, sr.Schema{Type: typ, Schema: e.old}))(t)
				cl.SetCompatibility(t.Context(), sr.SetCompatibility{Level: level}, subject)
				want := true
				switch level {
				case sr.CompatBackward, sr.CompatBackwardTransitive:
					want = e.backward
				case sr.CompatForward, sr.CompatForwardTransitive:
					want = e.forward
				case sr.CompatFull, sr.CompatFullTransitive:
					want = e.backward && e.forward
				}
				checked := must(cl.CheckCompatibility(sr.WithParams(t.Context(), sr.Verbose), subject, -1, sr.Schema{Type: typ, Schema: e.next}))(t)
				_, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Type: typ, Schema: e.next})
				if checked.Is != want || (err == nil) != want || checked.Is != (len(checked.Messages) == 0) {
					t.Errorf("%v, %s, %s: the check says %+v, registering %v", typ, e.name, level, checked, err)
				}
			}
		}
	}
}

// Only the transitive levels compare with versions before the latest.
func TestTransitive(t *testing.T) {
	_, cl := open(t, testkit.Fake(t).Broker)
	for typ, versions := range map[sr.SchemaType][3]string{
		// The third reads the second and not the first.
		sr.TypeAvro:     {avroOf(``), avroOf(`{"name":"a","type":"int","default":0}`), avroOf(`{"name":"a","type":"int"}`)},
		sr.TypeJSON:     {`{"type":["string","integer"]}`, `{"type":"string"}`, `{"type":["string","null"]}`},
		sr.TypeProtobuf: {protoOf(`int32 a = 1;`), protoOf(``), protoOf(`string a = 1;`)},
	} {
		for level, want := range map[sr.CompatibilityLevel]bool{sr.CompatBackward: true, sr.CompatBackwardTransitive: false} {
			subject := fmt.Sprint(typ, level)
			cl.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatNone}, subject)
			for _, text := range versions[:2] {
				must(cl.CreateSchema(t.Context(), subject, sr.Schema{Type: typ, Schema: text}))(t)
			}
			cl.SetCompatibility(t.Context(), sr.SetCompatibility{Level: level}, subject)
			_, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Type: typ, Schema: versions[2]})
			if (err == nil) != want {
				t.Errorf("%v %v: %v", typ, level, err)
			}
		}
	}
}

// A generated pair of JSON Schemas that is called compatible is so for every value that the
// validator accepts for the old schema.
func TestJSONSchemaIsSound(t *testing.T) {
	testkit.Long(t)
	rng := rand.New(rand.NewPCG(3, 5))
	compatible, checked := 0, 0
	for range 6000 {
		old := randomSchema(rng, 2)
		next := old
		if rng.IntN(3) > 0 {
			next = randomSchema(rng, 2)
		} else if m, ok := old.(map[string]any); ok && len(m) > 0 {
			next = changed(rng, m)
		}
		writer, w := compileBoth(t, old)
		reader, r := compileBoth(t, next)
		if len(r.canRead(w)) > 0 {
			continue
		}
		compatible++
		for range 20 {
			value := randomValue(rng, 2)
			if writer.Validate(value) == nil {
				checked++
				if err := reader.Validate(value); err != nil {
					t.Fatalf("%s\nis said to read\n%s\nbut refuses %v: %v", asJSON(next), asJSON(old), asJSON(value), err)
				}
			}
		}
	}
	t.Logf("%d pairs are compatible, checked with %d values", compatible, checked)
	if compatible < 1000 || checked < 5000 {
		t.Errorf("only %d pairs were compatible, checked with %d values", compatible, checked)
	}
}

func compileBoth(t *testing.T, schema any) (*jsonschema.Schema, parsed) {
	t.Helper()
	text := asJSON(schema)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("mem://s.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("mem://s.json")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return compiled, parseText(t, sr.TypeJSON, text)
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

var names = []string{"a", "b"}

// keywordValue makes a value of a keyword.
func keywordValue(r *rand.Rand, keyword string, d int) any {
	switch keyword {
	case "type":
		return randomTypes(r)
	case "enum":
		return []any{1, "a", true, 2.5, []any{}}[r.IntN(4):]
	case "const":
		return randomValue(r, 1)
	case "minimum":
		return r.IntN(3)
	case "exclusiveMaximum":
		return r.IntN(3)
	case "multipleOf":
		return r.IntN(3) + 1
	case "maxLength":
		return r.IntN(3)
	case "minLength":
		return r.IntN(3)
	case "minItems":
		return r.IntN(2)
	case "maxItems":
		return r.IntN(3)
	case "maxProperties":
		return r.IntN(2)
	case "uniqueItems":
		return r.IntN(2) == 0
	case "required":
		return []any{names[r.IntN(2)]}
	case "properties":
		return map[string]any{names[r.IntN(2)]: randomSchema(r, d-1)}
	case "additionalProperties":
		return randomSchema(r, d-1)
	case "patternProperties":
		return map[string]any{"^a": randomSchema(r, d-1)}
	case "items":
		if r.IntN(3) == 0 {
			return []any{randomSchema(r, d-1)}
		}
		return randomSchema(r, d-1)
	case "dependencies":
		return map[string]any{names[0]: randomSchema(r, d-1)}
	case "not", "contains", "additionalItems", "propertyNames", "if", "then", "else":
		return randomSchema(r, d-1)
	case "anyOf":
		return []any{randomSchema(r, d-1), randomSchema(r, d-1)}
	case "allOf":
		return []any{randomSchema(r, d-1), randomSchema(r, d-1)}
	}
	panic(keyword)
}

var keywords = []string{
	"type", "enum", "const", "minimum", "exclusiveMaximum", "multipleOf", "maxLength", "minLength", "minItems", "maxItems", "maxProperties",
	"uniqueItems", "required", "properties", "additionalProperties", "patternProperties", "items", "not", "anyOf", "allOf",
	"contains", "additionalItems", "propertyNames", "dependencies", "if", "then", "else",
}

func randomTypes(r *rand.Rand) any {
	types := []any{"string", "integer", "number", "object", "array", "null", "boolean"}
	if r.IntN(2) == 0 {
		return types[r.IntN(len(types))]
	}
	from := r.IntN(len(types) - 1)
	return types[from : from+2]
}

func randomSchema(r *rand.Rand, depth int) any {
	switch {
	case depth <= 0 && r.IntN(2) == 0:
		return r.IntN(4) > 0
	case depth < 0:
		return map[string]any{"type": randomTypes(r)}
	}
	out := map[string]any{}
	for range r.IntN(3) {
		keyword := keywords[r.IntN(len(keywords))]
		out[keyword] = keywordValue(r, keyword, depth)
	}
	return out
}

// changed is a schema with one keyword more, less or other.
func changed(r *rand.Rand, schema map[string]any) any {
	out := map[string]any{}
	drop := r.IntN(len(schema) + 1)
	for _, keyword := range keywords {
		v, ok := schema[keyword]
		if !ok {
			continue
		}
		if drop--; drop != 0 {
			out[keyword] = v
		}
	}
	if r.IntN(2) == 0 {
		keyword := keywords[r.IntN(len(keywords))]
		out[keyword] = keywordValue(r, keyword, 1)
	}
	return out
}

func randomValue(r *rand.Rand, depth int) any {
	switch r.IntN(7) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return float64(r.IntN(8)) / 2
	case 3:
		return float64(r.IntN(5))
	case 4:
		return strings.Repeat("a", r.IntN(3))
	case 5:
		out := []any{}
		for range r.IntN(3) * min(depth, 1) {
			out = append(out, randomValue(r, depth-1))
		}
		return out
	}
	out := map[string]any{}
	for range r.IntN(3) * min(depth, 1) {
		out[names[r.IntN(2)]] = randomValue(r, depth-1)
	}
	return out
}
