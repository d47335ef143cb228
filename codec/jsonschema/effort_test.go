package jsonschema

import (
	"fmt"
	"strings"
	"testing"

	"millrace/codec"
)

// repeated is an array with n times an element.
func repeated(n int, element string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
}

// numbered are n members or elements, each made by a format of its number.
func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
		if i < n-1 {
			b.WriteByte(',')
		}
	}
	return b.String()
}

// The work of one visit of a schema counts as steps, whatever the library goes over in it.
func TestEffortOfOneVisit(t *testing.T) {
	const limit = 20_000
	nested := "[" + repeated(1000, "1") + "]"
	often := func(part string) string { // each value is checked so often
		return `{"definitions":{"part":` + part + `},"allOf":` + repeated(100, `{"$ref":"#/definitions/part"}`) + `}`
	}
	names := "[" + numbered(2000, `"%x"`) + "]"
	var way strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&way, `"%d":{"$ref":"#/definitions/%d"},`, i, i+1)
	}
	for name, c := range map[string]struct{ schema, value string }{
		"const":             {often(`{"const":` + nested + `}`), nested},
		"enum":              {often(`{"enum":[` + nested + `]}`), nested},
		"few unique":        {often(`{"uniqueItems":true}`), "[" + numbered(20, `{"a":1,"b":[1,1,1,1,1,1],"c":%d}`) + "]"},
		"many unique":       {often(`{"uniqueItems":true}`), "[" + numbered(200, `{"a":1,"b":[1,1,1,1,1,1],"c":%d}`) + "]"},
		"dependencies":      {`{"items":{"dependencies":{` + numbered(2000, `"%x":[]`) + `}}}`, repeated(200, `{}`)},
		"dependentRequired": {`{"$schema":"https://json-schema.org/draft/2020-12/schema","items":{"dependentRequired":{` + numbered(2000, `"%x":[]`) + `}}}`, repeated(200, `{}`)},
		"required":          {`{"items":{"required":` + names + `}}`, repeated(200, `{}`)},
		"long way":          {`{"definitions":{` + way.String() + `"1000":{}},"items":{"$ref":"#/definitions/0"}}`, repeated(15, `1`)},
		"what one needs":    {`{"items":{"dependencies":{"a":` + names + `}}}`, repeated(200, `{"a":1}`)},
	} {
		checker, err := compile(t, c.schema).take()
		if err != nil {
			t.Fatal(err)
		}
		value, _ := grow([]byte(c.value))
		if err, done := checker.run(checker.schema, value.value, limit); done {
			t.Errorf("%s took %d steps: %.100v", name, checker.effort.steps, err)
		}
	}
}

// The bound leaves room for what people write.
func TestEffortOfLargeValues(t *testing.T) {
	object := `{"id":1,"name":"a","tags":["a","b","c","d","e","f"],"at":{"lat":1.5,"lon":2.5}}`
	for name, c := range map[string]struct{ schema, value string }{
		"objects": {`{"items":{"required":["id","name","tags","at"],"properties":{"id":{"type":"integer"},"name":{"enum":["b","a"]},
			"tags":{"uniqueItems":true,"items":{"type":"string"}},"at":{"required":["lat","lon"],"properties":{"lat":{"type":"number"}}}}}}`, repeated(5000, object)},
		"unique": {`{"uniqueItems":true,"items":{"type":"number"}}`, "[" + numbered(200_000, `%d`) + "]"},
	} {
		if _, err := compile(t, c.schema).AppendEncoded(nil, []byte(c.value), codec.Tagged, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
