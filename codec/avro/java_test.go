//go:build !race

package avro

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"millrace/codec"
	"millrace/internal/testkit"
)

var javaSeed = flag.Uint64("javaseed", 0, "seed of TestAgreesWithJava; 0 is another one each time, in CI always the same")

// javaPairs is how many random pairs of schema and value are compared each way.
const javaPairs = 6000

// javaQuestion is a text to encode, or bytes to decode, and our result.
type javaQuestion struct {
	testkit.AvroQuestion
	schema *Schema
	ours   []byte
	err    error
}

func askJava(schema *Schema, decode bool, schemaText string, payload []byte) javaQuestion {
	q := javaQuestion{AvroQuestion: testkit.AvroQuestion{Decode: decode, Schema: schemaText, Payload: payload}, schema: schema}
	bare := schema.root.kind == kindBytes // in Kafka, and to us, they stand without their length
	switch {
	case decode:
		q.ours, q.err = schema.AppendDecoded(nil, payload, codec.Tagged)
		if bare {
			q.Payload = append(appendLong(nil, int64(len(payload))), payload...)
		}
	default:
		q.ours, q.err = schema.AppendEncoded(nil, payload, codec.Tagged, nil)
		if bare && q.err == nil {
			q.ours = append(appendLong(nil, int64(len(q.ours))), q.ours...)
		}
	}
	return q
}

// stored is the value as Kafka stores it.
func (q *javaQuestion) stored() []byte {
	if q.schema.root.kind == kindBytes {
		return cutLength(bytes.Clone(q.ours), 0)
	}
	return q.ours
}

// Java's own Avro encodes to the same bytes as we do, and decodes to the same text, or both
// refuse: random values, texts that are somehow wrong, damaged bytes, and cases written by hand.
// Where we differ from Java, javaDifferences has the reason.
func TestAgreesWithJava(t *testing.T) {
	java := testkit.StartAvroOracle(t, "testdata/oracle/Oracle.java")
	seed := *javaSeed
	switch {
	case seed != 0:
	case os.Getenv("CI") == "1":
		seed = 20
	default:
		seed = rand.Uint64()
	}
	values, wrong, damaged := randomQuestions(t, seed)
	t.Run("values", func(t *testing.T) {
		for _, o := range compareWithJava(t, java, seed, values) {
			if o.err != nil {
				t.Errorf("seed %d: %s", seed, o)
			}
		}
	})
	t.Run("wrong texts", func(t *testing.T) { compareWithJava(t, java, seed, wrong) })
	t.Run("damaged bytes", func(t *testing.T) { compareWithJava(t, java, seed, damaged) })
	t.Run("schemas", func(t *testing.T) { compareSchemas(t, java) })
	t.Run("cases", func(t *testing.T) {
		var questions []javaQuestion
		for _, c := range javaCases {
			questions = append(questions, askJava(compile(t, c.schema), c.decode, c.schema, []byte(c.payload)))
		}
		seen := map[*javaDifference]bool{}
		for i, o := range compareWithJava(t, java, seed, questions) {
			want := javaCases[i].differs
			switch {
			case want == nil && len(o.by) > 0:
				t.Errorf("%s\nis listed with no difference", o)
			case want != nil && (len(o.by) != 1 || o.by[0] != want):
				t.Errorf("%s\nis no longer the difference %q", o, want.what)
			}
			seen[want] = true
		}
		for _, d := range javaDifferences {
			if !seen[d] {
				t.Errorf("no case shows %q", d.what)
			}
		}
	})
}

// compareSchemas compares which schemas are valid, and with which names.
func compareSchemas(t *testing.T, java *testkit.AvroOracle) {
	for _, c := range []struct {
		schema, payload string
		good            bool
	}{
		{`{"type":"record","name":"int","fields":[]}`, ``, false},
		{`{"type":"enum","name":"string","symbols":["A"]}`, "\x00", false},
		{`{"type":"record","name":"A","aliases":["B"],"fields":[{"name":"n","type":["null","B"]}]}`, "\x00", false},
		{`{"type":"record","name":"A","fields":[{"name":"e","type":{"type":"enum","name":"E","aliases":["F"],"symbols":["X"]}},{"name":"f","type":"F"}]}`, "\x00\x00", false},
		{`{"type":"record","name":"A","fields":[{"name":"e","type":{"type":"enum","name":"E","aliases":["F"],"symbols":["X"]}},{"name":"f","type":"E"}]}`, "\x00\x00", true},
		{`{"type":"record","name":"n.int","fields":[{"name":"i","type":"int"}]}`, "\x00", true},
	} {
		_, err := Compile(c.schema, nil)
		verdict := java.Ask(t, []testkit.AvroQuestion{{Decode: true, Schema: c.schema, Payload: []byte(c.payload)}})[0]
		if (err == nil) != c.good || (verdict.Refused == "") != c.good {
			t.Errorf("%s: we say %v, Java %q", c.schema, err, verdict.Refused)
		}
	}
}

// dressed adds to random schemas parts that change nothing: aliases, defaults, logical types.
var dressed = strings.NewReplacer(
	`{"name":"f1",`, `{"name":"f1","aliases":["a1","b1"],`,
	`{"name":"f2","type":"int"`, `{"name":"f2","type":"int","default":7`,
	`{"name":"f3","type":"string"`, `{"name":"f3","type":"string","default":"x"`,
	`{"type":"string"}`, `{"type":"string","logicalType":"uuid"}`,
	`{"type":"double"}`, `{"type":"double","logicalType":"unheard-of"}`,
	`"size":12}`, `"size":12,"logicalType":"duration"}`,
	`"size":16}`, `"size":16,"logicalType":"uuid"}`,
	`"size":9}`, `"size":9,"logicalType":"decimal","precision":20,"scale":3}`,
)

// randomQuestions are values and their bytes, texts made from them that are somehow
// wrong, and damaged bytes.
func randomQuestions(t *testing.T, seed uint64) (values, wrong, damaged []javaQuestion) {
	g, r := newGenerator(seed), rand.New(rand.NewPCG(seed, 5))
	for len(wrong) < javaPairs {
		g.known = nil // each schema stands on its own
		random := g.schema(3)
		text := dressed.Replace(random.text)
		s := compile(t, text)
		for range 4 {
			value := random.value()
			encode := askJava(s, false, text, []byte(value))
			values = append(values, encode, askJava(s, true, text, encode.stored()))
			wrong = append(wrong, askJava(s, false, text, []byte(mutate(r, value))))
			damaged = append(damaged, askJava(s, true, text, damage(r, encode.stored())))
		}
	}
	return values, wrong, damaged
}

// javaOutcome is a question with Java's result, and the differences that explain it when it is
// not ours.
type javaOutcome struct {
	javaQuestion
	java testkit.AvroVerdict
	by   []*javaDifference
}

func (o javaOutcome) String() string {
	return strconv.Quote(string(o.Payload)) + " of " + o.Schema +
		"\nours " + strconv.Quote(string(o.ours)) + " " + errorText(o.err) + "\nJava " + strconv.Quote(string(o.java.Payload)) + " " + o.java.Refused
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// compareWithJava runs Java too, and fails for each difference that no entry of javaDifferences
// explains.
func compareWithJava(t *testing.T, java *testkit.AvroOracle, seed uint64, questions []javaQuestion) []javaOutcome {
	t.Helper()
	outcomes := askAll(t, java, questions)
	refused, differ, counts := 0, 0, map[string]int{}
	var open []int // what may be explained by an oddity of the text
	var plain []javaQuestion
	for i := range outcomes {
		o := &outcomes[i]
		switch {
		case o.err != nil && o.java.Refused != "":
			refused++
		case o.agree():
		case o.explain():
		case o.Decode:
			t.Errorf("seed %d: %s", seed, *o)
		default:
			tree := parseTree(string(o.Payload))
			o.by = straighten(o.schema.root, tree)
			open, plain = append(open, i), append(plain, askJava(o.schema, false, o.Schema, []byte(tree.String())))
		}
	}
	for k, p := range askAll(t, java, plain) {
		o := &outcomes[open[k]]
		if len(o.by) == 0 || !p.agree() && !p.explain() || !o.sameAs(p.javaQuestion) {
			t.Errorf("seed %d: %s\nstraightened: %s", seed, *o, p)
		}
	}
	for _, o := range outcomes {
		differ += min(len(o.by), 1)
		for _, d := range o.by {
			counts[d.what]++
		}
	}
	t.Logf("seed %d: %d compared, %d refused by both, %d differ on purpose", seed, len(outcomes), refused, differ)
	for _, d := range javaDifferences {
		if n := counts[d.what]; n > 0 {
			t.Logf("%6d  %s: %s", n, d.what, d.why)
		}
	}
	return outcomes
}

func askAll(t *testing.T, java *testkit.AvroOracle, questions []javaQuestion) []javaOutcome {
	t.Helper()
	asked := make([]testkit.AvroQuestion, len(questions))
	for i, q := range questions {
		asked[i] = q.AvroQuestion
	}
	outcomes := make([]javaOutcome, len(questions))
	for i, v := range java.Ask(t, asked) {
		outcomes[i] = javaOutcome{javaQuestion: questions[i], java: v}
	}
	return outcomes
}

func (o *javaOutcome) agree() bool {
	if o.err != nil || o.java.Refused != "" {
		return o.err != nil && o.java.Refused != ""
	}
	return bytes.Equal(o.ours, o.java.Payload)
}

// explain looks for a difference that both results show.
func (o *javaOutcome) explain() bool {
	for _, d := range javaDifferences {
		if d.explains != nil && d.explains(o) {
			o.by = append(o.by, d)
			return true
		}
	}
	return false
}

// sameAs reports whether the straightened text means to us what this one means. We refuse some
// oddities; and a text that Java cannot read at all had to be replaced.
func (o *javaOutcome) sameAs(straight javaQuestion) bool {
	switch {
	case o.err != nil:
		return straight.err != nil || slices.Contains(o.by, notNothing) || slices.Contains(o.by, lastWins)
	case slices.Contains(o.by, specialsRead):
		return straight.err == nil
	}
	return straight.err == nil && bytes.Equal(o.ours, straight.ours)
}

// sameMeaning compares our JSON to Java's by value.
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
		return ok && sameNumber(string(a), string(b))
	}
	return a == b
}

// sameNumber compares our number to Java's. Whole ones are compared digit by digit:
// not all longs are a double. Of a float Java writes the double that has its value.
func sameNumber(ours, java string) bool {
	if !strings.ContainsAny(ours+java, ".eE") {
		return ours == java
	}
	x, errX := strconv.ParseFloat(ours, 64)
	y, errY := strconv.ParseFloat(java, 64)
	return errX == nil && errY == nil && (x == y || float64(float32(x)) == y)
}
