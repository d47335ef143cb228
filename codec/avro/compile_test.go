package avro

import (
	"strings"
	"testing"

	"millrace/codec"
)

func TestCompileRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{``, `it is not JSON: unexpected end at byte 0`},
		{`string`, `it is not JSON: invalid character at the start of a value at byte 0`},
		{`"string" x`, `it is not JSON: unexpected text at byte 9`},
		{`{"type":"record"`, `it is not JSON: unexpected end at byte 16`},
		{`null`, `it is not an Avro schema: expected an object, an array or a string`},
		{`{}`, `a type has no name`},
		{`{"type":7}`, `a type has no name`},
		{`"nosuch"`, `unknown type: nosuch`},
		{`{"type":"record","name":"R"}`, `record must have an array of fields`},
		{`{"type":"record","fields":[]}`, `non-empty name key required`},
		{`{"type":"record","name":5,"fields":[]}`, `a member of the record has a value of the wrong type`},
		{`{"type":"record","name":"R","fields":[{"name":"a"}]}`, `field requires a type`},
		{`{"type":"record","name":"R","fields":[{"name":"a b","type":"int"}]}`, `"a b" is not a field name that Avro allows`},
		{`{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`, `duplicate field name "a"`},
		{`{"type":"record","name":"1R","fields":[]}`, `"1R" is not a name that Avro allows`},
		{`{"type":"record","name":"a.b-c","fields":[]}`, `"a.b-c" is not a name that Avro allows`},
		{`{"type":"record","name":"R","namespace":"a..b","fields":[]}`, `invalid name part "a..b.R" in name "": name must be a non-empty`},
		{`{"type":"record","name":"R","namespace":"a b","fields":[]}`, `"a b.R" is not a name that Avro allows`},
		{`{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}`, `"a-b" is not a field name that Avro allows`},
		{`{"type":"fixed","name":"F","size":-1}`, `fixed size cannot be negative`},
		{`{"type":"fixed","name":"F"}`, `fixed must have a size`},
		{`{"type":"enum","name":"E","symbols":[]}`, `enum must have a non-empty array of symbols`},
		{`{"type":"enum","name":"E","symbols":["a-b"]}`, `"a-b" is not a symbol that Avro allows`},
		{`["int","int"]`, `union type must be unique`},
		{`["int",["string"]]`, `union type cannot be a union`},
		{`["long",{"type":"long","logicalType":"timestamp-millis"}]`, `a union has the branch long twice`},
		{strings.Repeat("[", 2000), `it is not JSON: nesting too deep at byte 1001`},
	} {
		if _, err := Compile(c.text, nil); err == nil || err.Error() != c.want {
			t.Errorf("%.80s:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{userSchema, "User"},
		{nodeSchema, "x.y.Node"},
		{`{"type":"enum","name":"a.E","namespace":"b","symbols":["A"]}`, "a.E"},
		{`"int"`, ""},
		{`["null",` + userSchema + `]`, ""},
		{`{"type":"array","items":"int"}`, ""},
	} {
		if got := compile(t, c.text).Name(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}

// Namespaces in registries have what Java never checked.
func TestNamespacesOfOthers(t *testing.T) {
	f := func(schema, name, text, want string) {
		t.Helper()
		s := compile(t, schema)
		if s.Name() != name {
			t.Errorf("%s: got %q, want %q", schema, s.Name(), name)
		}
		got, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil || string(got) != want {
			t.Errorf("%s of %s: %q, %v", text, schema, got, err)
		}
		if back, err := s.AppendDecoded(nil, got, codec.Tagged); err != nil || string(back) != text {
			t.Errorf("%s is read as %s, %v", text, back, err)
		}
	}
	f(`{"type":"record","name":"Test","namespace":"connect-test.core","fields":[{"name":"a","type":"string"}]}`, "connect-test.core.Test", `{"a":"x"}`, "\x02x")
	f(`{"type":"record","name":"Batch","namespace":"org.apache.hadoop.hdfs.inotify","fields":[{"name":"e","type":["null",{"type":"record","name":"Create","namespace":"org.apache.hadoop.hdfs.inotify.Event$","fields":[{"name":"n","type":"int"}]}]}]}`,
		"org.apache.hadoop.hdfs.inotify.Batch", `{"e":{"org.apache.hadoop.hdfs.inotify.Event$.Create":{"n":1}}}`, "\x02\x02")
	f(`{"type":"enum","name":"2024-q1.E","symbols":["A"]}`, "2024-q1.E", `"A"`, "\x00")
}

// A schema may name types of the registry's references, which may name others in turn.
func TestReferences(t *testing.T) {
	references := []Reference{
		{"suit", `{"type":"enum","name":"Suit","namespace":"cards","symbols":["HEARTS","SPADES"]}`},
		{"card", `{"type":"record","name":"Card","namespace":"cards","fields":[{"name":"suit","type":"Suit"},{"name":"n","type":"int"}]}`},
	}
	s := compile(t, `{"type":"record","name":"Hand","fields":[{"name":"cards","type":{"type":"array","items":["null","cards.Card"]}},{"name":"trump","type":"cards.Suit"}]}`, references...)
	text := `{"cards":[{"cards.Card":{"suit":"SPADES","n":7}},null],"trump":"HEARTS"}`
	b, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := s.AppendDecoded(nil, b, codec.Tagged); err != nil || string(back) != text {
		t.Errorf("got %s, %v", back, err)
	}
	if _, err := Compile(`"cards.Card"`, nil); err == nil || err.Error() != "unknown type: cards.Card" {
		t.Error(err)
	}
	if _, err := Compile(`"cards.Card"`, references[1:]); err == nil || err.Error() != "the referenced schema card: unknown type: Suit" {
		t.Error(err)
	}
	if s := compile(t, `"cards.Card"`, references...); s.Name() != "cards.Card" {
		t.Errorf("got %q", s.Name())
	}
}

// Java finds a type without a namespace from within one.
func TestReferenceWithoutNamespace(t *testing.T) {
	s := compile(t, `{"type":"record","name":"a.b.R","fields":[{"name":"u","type":"User"}]}`, Reference{"user", userSchema})
	if _, err := s.AppendEncoded(nil, []byte(`{"u":{"name":"x"}}`), codec.Tagged, nil); err != nil {
		t.Error(err)
	}
}

// A type within a namespace has none when its own is empty; then the types in it have none.
func TestEmptyNamespace(t *testing.T) {
	s := compile(t, `{"type":"record","name":"n.S","fields":[`+
		`{"name":"o","type":["null",{"type":"record","name":"O","namespace":"","fields":[`+
		`{"name":"e","type":["null",{"type":"enum","name":"E","symbols":["A"]}],"default":null},{"name":"next","type":["null","O"]}]}]},`+
		`{"name":"i","type":["null",{"type":"enum","name":"I","symbols":["B"]}]}]}`)
	for _, text := range []string{`{"o":{"O":{"e":{"E":"A"},"next":{"O":{"e":null,"next":null}}}},"i":{"n.I":"B"}}`, `{"o":null,"i":null}`} {
		b, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := s.AppendDecoded(nil, b, codec.Tagged); err != nil || string(back) != text {
			t.Errorf("got %s, %v", back, err)
		}
	}
	if _, err := s.AppendEncoded(nil, []byte(`{"o":{"next":null},"i":null}`), codec.Plain, nil); err != nil {
		t.Errorf("a default: %v", err)
	}
}

// No definition of one schema is visible to the next.
func TestSchemasAreApart(t *testing.T) {
	compile(t, `{"type":"record","name":"Mine","fields":[]}`)
	if _, err := Compile(`"Mine"`, nil); err == nil {
		t.Error("a schema knows a type of another")
	}
}
