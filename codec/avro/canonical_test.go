package avro

import (
	"fmt"
	"testing"
)

// spellings are schemas, and how Java writes them.
var spellings = []struct{ text, want string }{
	{` "string" `, `"string"`},
	{`{"type":"string","doc":"d"}`, `"string"`},
	{`{"logicalType":"date","type":"int"}`, `{"type":"int","logicalType":"date"}`},
	{`[ "null" , {"type":"int"} ]`, `["null","int"]`},
	{`{"items":"int","type":"array","x":[1.0,1e3,-0,"é\u00e9\/\u001f\n"]}`, `{"type":"array","items":"int","x":[1.0,1000.0,0,"éé/\u001F\n"]}`},
	{`{"type":"map","values":{"type":"bytes","precision":4,"logicalType":"decimal"}}`, `{"type":"map","values":{"type":"bytes","precision":4,"logicalType":"decimal"}}`},
	{`{"fields":[],"name":"n.R","type":"record"}`, `{"type":"record","name":"R","namespace":"n","fields":[]}`},
	{
		`{"type":"error","name":"R","namespace":"n","fields":[],"doc":"d","p":1,"aliases":["A","m.B","n.C","A"]}`,
		`{"type":"error","name":"R","namespace":"n","doc":"d","fields":[],"p":1,"aliases":["A","m.B","C"]}`,
	},
	{
		`{"type":"record","name":"R","namespace":"n","doc":7,"fields":[
		{"type":["null","n.R"],"name":"f","default":null,"doc":"d","order":"ascending"},
		{"name":"g","order":"descending","aliases":["h","i","h"],"type":{"type":"enum","symbols":["A","B"],"default":"A","name":"E"},"default":"A","q":{"b":1,"a":2}},
		{"name":"k","type":"E","default":"A"},
		{"name":"l","type":{"type":"fixed","size":4,"name":"o.F","x":true}},
		{"name":"m","type":"o.F"},
		{"name":"o","type":{"type":"record","name":"S","namespace":"","fields":[{"name":"p","type":["null","S"]}]}}]}`,
		`{"type":"record","name":"R","namespace":"n","fields":[` +
			`{"name":"f","type":["null","R"],"doc":"d","default":null},` +
			`{"name":"g","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"},"default":"A","order":"descending","aliases":["h","i"],"q":{"b":1,"a":2}},` +
			`{"name":"k","type":"E","default":"A"},` +
			`{"name":"l","type":{"type":"fixed","name":"F","namespace":"o","size":4,"x":true}},` +
			`{"name":"m","type":"o.F"},` +
			`{"name":"o","type":{"type":"record","name":"S","namespace":"","fields":[{"name":"p","type":["null","S"]}]}}]}`,
	},
	{
		`{"type":"record","name":"R","fields":[{"name":"a","type":"double","default":"NaN"},{"name":"b","type":{"type":"float"},"default":"1.5"},{"name":"c","type":"double","default":1E10},{"name":"d","type":"float","default":1}]}`,
		`{"type":"record","name":"R","fields":[{"name":"a","type":"double","default":"NaN"},{"name":"b","type":"float","default":1.5},{"name":"c","type":"double","default":1.0E10},{"name":"d","type":"float","default":1}]}`,
	},
	{`{"type":"record","name":"R","fields":[{"name":"a","type":"int","a":1,"b":2,"a":3}]}`, `{"type":"record","name":"R","fields":[{"name":"a","type":"int","a":3,"b":2}]}`},
}

// A schema is written as Java writes it; a text that Java would not read stays as it is, and so
// does what is canonical.
func TestCanonical(t *testing.T) {
	for _, c := range spellings {
		if got := Canonical(c.text); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.text, got, c.want)
		}
		if again := Canonical(c.want); again != c.want {
			t.Errorf("%s\nbecomes %s", c.want, again)
		}
	}
	for _, odd := range []string{``, `nonsense`, `"unknown"`, `{"type":"record"}`, `{"type":"array"}`, `{"type":{"type":"int"}}`, `5`} {
		if got := Canonical(odd); got != odd {
			t.Errorf("%s becomes %s", odd, got)
		}
	}
}

// Names are found among those before them in no more time where there are many.
func TestCanonicalOfManyAliases(t *testing.T) {
	aliases := repeated(100_000, func(i int) string { return fmt.Sprintf(`"a%d"`, i) })
	for _, text := range []string{
		`{"type":"record","name":"R","fields":[],"aliases":[` + aliases + `]}`,
		`{"type":"record","name":"R","fields":[{"name":"f","type":"int","aliases":[` + aliases + `]}]}`,
	} {
		_, took := measured(func() {
			if got := Canonical(text); got != text {
				t.Errorf("%.200s becomes %.200s", text, got)
			}
		})
		if took > patience/4 {
			t.Errorf("%d bytes of %.50s took %v", len(text), text, took)
		}
	}
}
