package registry

import (
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
)

const (
	draft4    = `{"$schema":"http://json-schema.org/draft-04/schema#",`
	draft2020 = `{"$schema":"https://json-schema.org/draft/2020-12/schema",`
)

// Pairs that a real registry does not get as [evolutions], because it does not know the draft, or
// does not look so closely.
var subtleties = map[sr.SchemaType][]evolution{
	sr.TypeJSON: {
		{"minContains is gone", draft2020 + `"type":"array","contains":{"type":"string"},"minContains":0}`, draft2020 + `"type":"array","contains":{"type":"string"}}`, false, false},
		{"maxContains is gone", draft2020 + `"type":"array","contains":{"type":"string"},"maxContains":2}`, draft2020 + `"type":"array","contains":{"type":"string"}}`, true, false},
		{"contains of two parts", draft2020 + `"allOf":[{"type":"array","contains":{"type":"string"}},{"type":"array","contains":{"type":"integer"},"minContains":2}]}`, draft2020 + `"type":"array","contains":{"type":"string"},"minContains":2}`, false, false},
		{"contains of one part", draft2020 + `"allOf":[{"type":"array","contains":{"type":"string"},"minContains":2},{"type":"array","contains":{"type":"integer"}}]}`, draft2020 + `"type":"array","contains":{"type":"string"},"minContains":2}`, true, false},
		{"condition of two parts", `{"allOf":[{"if":{"type":"string"},"then":{"minLength":1}},{"if":{"minLength":1},"then":{"maxLength":1}}]}`, `{"if":{"type":"string"},"then":{"maxLength":1}}`, false, false},
		{"condition of one part", `{"allOf":[{"if":{"type":"string"},"then":{"minLength":1},"else":false},{"minimum":1}]}`, `{"if":{"type":"string"},"then":{"minLength":1}}`, true, false},
		{"tuple of two parts", `{"allOf":[{"type":"array","items":[{}]},{"type":"array","items":[{},{}],"additionalItems":{"type":"string"}}]}`, `{"type":"array","items":[{}],"additionalItems":{"type":"string"}}`, false, false},
		{"tuple of one part", `{"allOf":[{"type":"array","items":[{}],"additionalItems":{"type":"string"}},{"minItems":1}]}`, `{"type":"array","items":[{}],"additionalItems":{"type":"string"}}`, true, false},
		{"limit of two parts", draft4 + `"type":"number","allOf":[{"maximum":10},{"maximum":20,"exclusiveMaximum":true}]}`, draft4 + `"type":"number","maximum":10,"exclusiveMaximum":true}`, false, true},
		{"limit of one part", draft4 + `"type":"number","allOf":[{"minimum":7,"exclusiveMinimum":true},{"multipleOf":1}]}`, draft4 + `"type":"number","minimum":5,"exclusiveMinimum":true}`, true, false},
		{"integers among numbers", `{"allOf":[{"type":"number"},{"type":"integer"}]}`, `{"type":"string"}`, false, false},
		{"integers of numbers", `{"allOf":[{"type":["number","null"]},{"type":["integer","string"]}]}`, `{"type":"integer"}`, true, true},
		{"integers of two parts", `{"allOf":[{"type":"integer"},{"type":"integer"}]}`, `{"type":"integer","multipleOf":1}`, true, true},
		{"prefixItems is gone", draft2020 + `"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"integer"}}`, draft2020 + `"type":"array","items":{"type":"integer"}}`, false, false},
		{"prefixItems of any items", draft2020 + `"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"integer"}}`, draft2020 + `"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"number"}}`, true, false},
		{"property gone beside a pattern", `{"type":"object","properties":{"a":{}},"patternProperties":{"^x":{}},"additionalProperties":false}`, `{"type":"object","patternProperties":{"^x":{}},"additionalProperties":false}`, false, true},
		{"property gone into a pattern", `{"type":"object","properties":{"xa":{"minLength":1}},"patternProperties":{"^x":{}},"additionalProperties":false}`, `{"type":"object","patternProperties":{"^x":{}},"additionalProperties":false}`, true, false},
		{"name with a slash", `{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"string"}}},"a/properties/b":{"type":"string"}}}`, `{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"string"}}},"a/properties/b":{"type":"integer"}}}`, false, false},
		{"reference to a name with a slash", `{"type":"object","properties":{"p":{"$ref":"#/definitions/a~1b"}},"definitions":{"a/b":{"type":"string"}}}`, `{"type":"object","properties":{"p":{"$ref":"#/definitions/a%2Fb"},"q":true},"definitions":{"a":{"b":{"type":"string"}},"a/b":{"type":"integer"}}}`, false, false},
		{"beside a reference", `{"$ref":"#/definitions/any","type":"string","definitions":{"any":{}}}`, `{"type":"string"}`, false, true},
		{"beside a reference since 2019", draft2020 + `"$ref":"#/definitions/any","type":"string","definitions":{"any":{}}}`, draft2020 + `"type":"string"}`, true, true},
		{"beside a reference of the reader", `{"type":"string"}`, `{"$ref":"#/definitions/any","type":"string","definitions":{"any":{}}}`, true, false},
		{"another dynamic target", draft2020 + `"$dynamicRef":"#t","$defs":{"t":{"$dynamicAnchor":"t","type":"string"}}}`, draft2020 + `"$dynamicRef":"#t","$defs":{"t":{"$dynamicAnchor":"t","type":"integer"}}}`, false, false},
		{"another dynamic target within not", draft2020 + `"not":{"$dynamicRef":"#t"},"$defs":{"t":{"$dynamicAnchor":"t","type":"string"}}}`, draft2020 + `"not":{"$dynamicRef":"#t"},"$defs":{"t":{"$dynamicAnchor":"t","type":"integer"}}}`, false, false},
		{"the same dynamic target", draft2020 + `"$dynamicRef":"#t","$defs":{"t":{"$dynamicAnchor":"t","type":"string"}}}`, draft2020 + `"$dynamicRef":"#t","$defs":{"t":{"$dynamicAnchor":"t","type":"string"}}}`, true, true},
		{"property with the name of a reference", `{"not":{"properties":{"$dynamicRef":{"type":"string"},"$ref":{}}}}`, `{"not":{"properties":{"$dynamicRef":{"type":"string"},"$ref":{}}},"title":"T"}`, true, true},
		{"reference within a part of its own", `{"properties":{"p":{"$id":"http://x/p","properties":{"q":{"$ref":"#/definitions/s"}},"definitions":{"s":{"type":"integer"}}}},"definitions":{"s":{"type":"string"}}}`, `{"properties":{"p":{"properties":{"q":{"type":"string"}}}}}`, false, false},
		{"the same part of its own", `{"properties":{"p":{"$id":"http://x/p","properties":{"q":{"$ref":"#/definitions/s"}},"definitions":{"s":{"type":"integer"}}}},"definitions":{"s":{"type":"string"}}}`, `{"properties":{"p":{"$id":"http://x/p","properties":{"q":{"$ref":"#/definitions/s"}},"definitions":{"s":{"type":"integer"}}}},"definitions":{"s":{"type":"string"}}}`, true, true},
		{"fragments for ids", `{"properties":{"p":{"$id":"#/properties/p","$ref":"#/definitions/s"}},"definitions":{"s":{"type":"string"}}}`, `{"properties":{"p":{"type":"string"}}}`, true, true},
		{"ids among values", `{"properties":{"p":{"$ref":"#/definitions/s"}},"definitions":{"s":{"type":"string"}},"default":{"p":{"$id":"x"}}}`, `{"properties":{"p":{"type":"string"}}}`, true, true},
	},
	sr.TypeProtobuf: {
		{"one into a oneof", protoOf(`int32 a = 1;`), protoOf(`oneof o { int32 a = 1; int32 b = 2; }`), true, true},
		{"one beside that of a oneof", protoOf(`int32 a = 1; oneof o { int32 b = 2; }`), protoOf(`oneof o { int32 b = 2; int32 a = 1; }`), false, true},
		{"two oneofs into one", protoOf(`oneof n { int32 a = 1; } oneof o { int32 b = 2; }`), protoOf(`oneof o { int32 b = 2; int32 a = 1; }`), false, true},
		{"a oneof with another name", protoOf(`oneof n { int32 a = 1; int32 b = 2; }`), protoOf(`oneof o { int32 b = 2; int32 a = 1; }`), true, true},
	},
}

func TestSubtleties(t *testing.T) { testEvolutions(t, subtleties) }
