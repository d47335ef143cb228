package avro

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"millrace/codec"
	"millrace/internal/testkit"
)

// javaPairs is how many random pairs of schema and value are compared each way.
const javaPairs = 6000

// pair is a schema and a value of it, as JSON text.
type pair struct{ schema, text string }

// Java's own Avro encodes what we encode to the same bytes, and decodes them to
// JSON that means the same. Cut bytes are refused by both.
func TestAgreesWithJava(t *testing.T) {
	java := testkit.StartAvroOracle(t, "testdata/oracle/Oracle.java")
	const seed = 20
	g := newGenerator(seed)
	cut := rand.New(rand.NewPCG(seed, 5))
	var pairs []pair
	var ask, back []testkit.AvroQuestion
	var ours [][]byte
	schemas := map[string]*Schema{}
	for len(pairs) < javaPairs {
		r := g.schema(4)
		s := compile(t, r.text)
		if s.root.kind == kindBytes {
			continue // stands in Kafka without its length
		}
		schemas[r.text] = s
		for range 4 {
			p := pair{r.text, r.value()}
			encoded, err := s.AppendEncoded(nil, []byte(p.text), codec.Tagged)
			if err != nil {
				t.Fatalf("seed %d: %s of %s: %v", seed, p.text, p.schema, err)
			}
			pairs, ours = append(pairs, p), append(ours, encoded)
			ask = append(ask, testkit.AvroQuestion{Schema: p.schema, Payload: []byte(p.text)})
			back = append(back, testkit.AvroQuestion{Decode: true, Schema: p.schema, Payload: encoded})
			if len(encoded) > 0 {
				back = append(back, testkit.AvroQuestion{Decode: true, Schema: p.schema, Payload: encoded[:cut.IntN(len(encoded))]})
			}
		}
	}
	refused := 0
	for i, v := range java.Ask(t, ask) {
		p := pairs[i]
		switch {
		case v.Refused != "" && notANumber(p.text):
			refused++ // difference "NaN and its like can be read"
		case v.Refused != "":
			t.Errorf("%s of %s: Java refuses it: %s", p.text, p.schema, v.Refused)
		case bytes.Equal(v.Payload, ours[i]):
		case strings.Contains(p.schema, `"map"`) && sameMeaning(decodedBy(t, schemas[p.schema], v.Payload), []byte(p.text)):
			// difference "the order of a map"
		default:
			t.Errorf("%s of %s:\nours %x\nJava %x", p.text, p.schema, ours[i], v.Payload)
		}
	}
	cuts := 0
	for i, v := range java.Ask(t, back) {
		q := back[i]
		own, err := schemas[q.Schema].AppendDecoded(nil, q.Payload, codec.Tagged)
		switch {
		case err != nil && v.Refused != "":
			cuts++
		case err == nil && v.Refused == "" && (sameMeaning(own, v.Payload) || string(own) == "{}" && len(v.Payload) == 0):
		default:
			t.Errorf("%x of %s:\nours %s %v\nJava %s %s", q.Payload, q.Schema, own, err, v.Payload, v.Refused)
		}
	}
	t.Logf("%d pairs encoded and %d decoded, seed %d; refused by both %d; not a number, refused by Java alone %d", len(pairs), len(back)-cuts, seed, cuts, refused)
	if cuts < javaPairs/2 {
		t.Errorf("only %d cut encodings were refused", cuts)
	}
}

// notANumber reports whether a text has a number that Java writes and refuses to read.
func notANumber(text string) bool {
	return strings.Contains(text, `"NaN"`) || strings.Contains(text, `Infinity"`)
}

func decodedBy(t *testing.T, schema *Schema, encoded []byte) []byte {
	t.Helper()
	text, err := schema.AppendDecoded(nil, encoded, codec.Tagged)
	if err != nil {
		t.Fatalf("%x: %v", encoded, err)
	}
	return text
}

// sameMeaning compares JSON by value; of floats Java writes more digits than
// it takes to read them back.
func sameMeaning(a, b []byte) bool {
	var values [2]any
	for i, text := range [][]byte{a, b} {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&values[i]); err != nil {
			return false
		}
	}
	return equalValues(values[0], values[1])
}

func equalValues(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			if w, ok := b[name]; !ok || !equalValues(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equalValues(a[i], b[i]) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, errX := a.Float64()
		y, errY := b.Float64()
		return a == b || errX == nil && errY == nil && (x == y || float32(x) == float32(y))
	}
	return a == b
}

// javaDifference is where we part from Java on purpose; docs/avro.md tells users.
type javaDifference struct{ what, why string }

var (
	extraNested  = javaDifference{"members that the schema does not have, in a nested record", "the order of members means nothing in JSON"}
	lastWins     = javaDifference{"of a member that comes twice the last counts", "as in the Confluent proxy"}
	anyAlias     = javaDifference{"an alias is taken wherever it stands", "the order of members means nothing in JSON"}
	exactOnly    = javaDifference{"a number that is not exact is refused", "exact or refused"}
	specialsRead = javaDifference{`"NaN" and its like can be read`, "what is written should be readable"}
	latinOnly    = javaDifference{"a character past U+00FF in bytes is refused", "exact or refused"}
	surrogate    = javaDifference{"half of a surrogate pair becomes U+FFFD", "a question mark may be real"}
	oneTag       = javaDifference{"a tag stands alone", "two are a mistake"}
)

const (
	javaUser   = `{"type":"record","name":"U","fields":[{"name":"a","type":"int"},{"name":"b","type":"string","default":"x"}]}`
	javaNested = `{"type":"record","name":"O","fields":[{"name":"u","type":{"type":"record","name":"U","fields":[{"name":"a","type":"int"}]}},{"name":"z","type":"int"}]}`
	javaAlias  = `{"type":"record","name":"A","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","aliases":["c"]}]}`
	javaEnum   = `{"type":"enum","name":"E","symbols":["A","B"]}`
	javaFixed  = `{"type":"fixed","name":"F","size":2}`
	javaList   = `{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]}]}`
	javaBytes  = `{"type":"record","name":"R","fields":[{"name":"b","type":"bytes"}]}`
)

// javaCases are texts that are wrong, or odd.
var javaCases = []struct {
	schema, text string
	differs      *javaDifference
}{
	{`"int"`, `1`, nil},
	{`"int"`, `-2147483648`, nil},
	{`"int"`, `2147483648`, nil},
	{`"int"`, `1.0`, nil},
	{`"int"`, `1e3`, nil},
	{`"int"`, `"1"`, nil},
	{`"int"`, `true`, nil},
	{`"int"`, `null`, nil},
	{`"int"`, `1.5`, &exactOnly},
	{`"int"`, `[1]`, nil},
	{`"int"`, `1.00000001`, &exactOnly},
	{`"long"`, `9223372036854775807`, nil},
	{`"long"`, `9223372036854775808`, nil},
	{`"float"`, `1`, nil},
	{`"float"`, `1.5`, nil},
	{`"float"`, `"1.5"`, nil},
	{`"double"`, `1e400`, &exactOnly},
	{`"double"`, `"NaN"`, &specialsRead},
	{`"double"`, `"Infinity"`, &specialsRead},
	{`"double"`, `true`, nil},
	{`"boolean"`, `0`, nil},
	{`"boolean"`, `"true"`, nil},
	{`"string"`, `1`, nil},
	{`"string"`, `null`, nil},
	{`"string"`, `"\u00e9\ud83d\ude00\n"`, nil},
	{`"string"`, `"\ud83d"`, &surrogate},
	{`"null"`, `0`, nil},
	{`"null"`, `null`, nil},
	{javaBytes, `{"b":"\u00ff\u0000"}`, nil},
	{javaBytes, `{"b":"\u0100"}`, &latinOnly},
	{javaBytes, `{"b":1}`, nil},
	{javaFixed, `"ab"`, nil},
	{javaFixed, `"a"`, nil},
	{javaFixed, `"abc"`, nil},
	{javaEnum, `"A"`, nil},
	{javaEnum, `"C"`, nil},
	{javaEnum, `0`, nil},
	{javaUser, `{"a":1,"b":"y"}`, nil},
	{javaUser, `{"b":"y","a":1}`, nil},
	{javaUser, `{"a":1}`, nil},
	{javaUser, `{"b":"y"}`, nil},
	{javaUser, `{}`, nil},
	{javaUser, `{"a":1,"b":"y","c":2}`, nil},
	{javaUser, `[1]`, nil},
	{javaUser, `null`, nil},
	{javaUser, `{"a":1,"a":2,"b":"y"}`, &lastWins},
	{javaNested, `{"u":{"a":1},"z":2}`, nil},
	{javaNested, `{"u":{"x":3,"a":1},"z":2}`, &extraNested},
	{javaNested, `{"z":2,"u":{"a":1}}`, nil},
	{javaNested, `{"u":1,"z":2}`, nil},
	{javaAlias, `{"a":1,"c":2}`, nil},
	{javaAlias, `{"c":2,"a":1}`, &anyAlias},
	{`["null","string"]`, `null`, nil},
	{`["null","string"]`, `{"string":"a"}`, nil},
	{`["null","string"]`, `"a"`, nil},
	{`["null","string"]`, `{"int":1}`, nil},
	{`["null","string"]`, `{"string":1}`, nil},
	{`["int","string"]`, `{"string":"a","int":1}`, &oneTag},
	{`["int","string"]`, `{}`, nil},
	{`[` + javaEnum + `,"string"]`, `{"E":"B"}`, nil},
	{`[` + javaEnum + `,"string"]`, `{"F":"B"}`, nil},
	{`[{"type":"record","name":"n.s.R","fields":[{"name":"a","type":"int"}]},"int"]`, `{"n.s.R":{"a":1}}`, nil},
	{`[{"type":"record","name":"n.s.R","fields":[{"name":"a","type":"int"}]},"int"]`, `{"R":{"a":1}}`, nil},
	{javaList, `{"v":1,"next":{"L":{"v":2,"next":null}}}`, nil},
	{javaList, `{"v":1,"next":{"v":2,"next":null}}`, nil},
	{`{"type":"array","items":"int"}`, `[]`, nil},
	{`{"type":"array","items":"int"}`, `[1,2,3]`, nil},
	{`{"type":"array","items":"int"}`, `[1,"2"]`, nil},
	{`{"type":"array","items":"int"}`, `{}`, nil},
	{`{"type":"map","values":"int"}`, `{}`, nil},
	{`{"type":"map","values":"int"}`, `{"k":1}`, nil},
	{`{"type":"map","values":"int"}`, `{"k":"1"}`, nil},
	{`{"type":"map","values":"int"}`, `[]`, nil},
	{`{"type":"long","logicalType":"timestamp-millis"}`, `1700000000123`, nil},
	{`{"type":"long","logicalType":"timestamp-millis"}`, `"2023-11-14T22:13:20Z"`, nil},
	{`{"type":"int","logicalType":"date"}`, `19675`, nil},
	{`{"type":"string","logicalType":"uuid"}`, `"6ba7b810-9dad-11d1-80b4-00c04fd430c8"`, nil},
	{`{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`, `"\u0001\u0000\u0000\u0000\u0002\u0000\u0000\u0000\u0003\u0000\u0000\u0000"`, nil},
	{`{"type":"fixed","name":"M","size":3,"logicalType":"decimal","precision":5,"scale":2}`, `"\u0000\u0001\u0002"`, nil},
}

// What is wrong, or odd, is refused by both or has the same bytes, but for the
// differences that are listed: each must still be one.
func TestRefusesWhatJavaRefuses(t *testing.T) {
	java := testkit.StartAvroOracle(t, "testdata/oracle/Oracle.java")
	ask := make([]testkit.AvroQuestion, len(javaCases))
	for i, c := range javaCases {
		ask[i] = testkit.AvroQuestion{Schema: c.schema, Payload: []byte(c.text)}
	}
	refused, differences := 0, map[string]int{}
	for i, v := range java.Ask(t, ask) {
		c := javaCases[i]
		own, err := compile(t, c.schema).AppendEncoded(nil, []byte(c.text), codec.Tagged)
		agree := err != nil && v.Refused != "" || err == nil && v.Refused == "" && bytes.Equal(own, v.Payload)
		switch {
		case c.differs == nil && !agree:
			t.Errorf("%s of %s:\nours %x %v\nJava %x %s", c.text, c.schema, own, err, v.Payload, v.Refused)
		case c.differs != nil && agree:
			t.Errorf("%s of %s is no difference any more: %s", c.text, c.schema, c.differs.what)
		case c.differs != nil:
			differences[c.differs.what]++
		case err != nil:
			refused++
		}
	}
	t.Logf("%d cases: %d refused by both; differences on purpose: %v", len(javaCases), refused, differences)
}
