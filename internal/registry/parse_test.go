package registry

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
)

func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		name         string
		typ          sr.SchemaType
		a, b         string
		same, normal bool
	}{
		{"order of attributes", sr.TypeAvro, `{"type":"fixed","name":"F","size":4}`, `{"name":"F", "size":4, "type":"fixed"}`, true, true},
		{"a bare type", sr.TypeAvro, `{"type":"string"}`, `"string"`, true, true},
		{"a name without quotes", sr.TypeAvro, `string`, `"string"`, true, true},
		{
			"defaults beyond a double", sr.TypeAvro, avroOf(`{"name":"a","type":"long","default":9007199254740993}`),
			avroOf(`{"name":"a","type":"long","default":9007199254740992}`), false, false,
		},
		{"documentation", sr.TypeAvro, `{"type":"fixed","name":"F","size":4,"doc":"x"}`, `{"type":"fixed","name":"F","size":4}`, false, false},
		{"order of keywords", sr.TypeJSON, `{"type":"string","maxLength":1}`, `{"maxLength":1,"type":"string"}`, false, true},
		{"white space", sr.TypeJSON, `{"type":"string"}`, `{ "type" : "string" }`, true, true},
		{"comments", sr.TypeProtobuf, protoOf(`int32 a = 1;`), protoOf(`int32 a = 1; /* the first */`) + "\n", true, true},
		{"order of fields", sr.TypeProtobuf, protoOf(`int32 a = 1; int32 b = 2;`), protoOf(`int32 b = 2; int32 a = 1;`), false, true},
		{"another public import", sr.TypeProtobuf, `syntax = "proto3"; import public "b.proto"; import "a.proto";`, `syntax = "proto3"; import public "a.proto"; import "b.proto";`, false, false},
		{"order of imports", sr.TypeProtobuf, `syntax = "proto3"; import public "b.proto"; import "a.proto";`, `syntax = "proto3"; import "a.proto"; import public "b.proto";`, false, true},
		{"order of messages", sr.TypeProtobuf, `syntax = "proto3"; message A {} message B {}`, `syntax = "proto3"; message B {} message A {}`, false, false},
	} {
		a, b := tidyText(t, c.typ, c.a), tidyText(t, c.typ, c.b)
		if got := identify(a).same(identify(b), false); got != c.same {
			t.Errorf("%s: same is %v", c.name, got)
		}
		if got := identify(a).same(identify(b), true); got != c.normal {
			t.Errorf("%s: same after normalisation is %v", c.name, got)
		}
	}
}

func tidyText(t *testing.T, typ sr.SchemaType, text string) sr.Schema {
	t.Helper()
	s, err := tidy(sr.Schema{Type: typ, Schema: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzDecodeChange(f *testing.F) {
	f.Add([]byte(`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`), []byte(`{"subject":"s","version":1,"id":7,"schema":"\"string\""}`))
	f.Add([]byte(`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`), []byte(`{"subject":"s","version":1,"id":7,"schemaType":"PROTOBUF","schema":"message A {}"}`))
	f.Add([]byte(`{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}`), []byte(`{"subject":"s","version":1}`))
	f.Add([]byte(`{"keytype":"CONFIG","subject":null,"magic":0}`), []byte(`{"compatibilityLevel":"FULL"}`))
	f.Add([]byte(`{"keytype":"MODE","subject":null,"magic":0}`), []byte(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		c, err := decodeChange(key, value)
		if err != nil {
			return
		}
		s := newStore()
		s.apply(c)
		count, _ := s.size()
		if got := len(s.everything("", all)); got != count {
			t.Errorf("%d versions, counted %d", got, count)
		}
	})
}

// FuzzSchema covers the three entries for texts of clients: none panics, and an accepted schema
// reads itself.
func FuzzSchema(f *testing.F) {
	for typ, list := range evolutions {
		for _, e := range list {
			f.Add(byte(typ), e.old)
			f.Add(byte(typ), e.next)
		}
	}
	f.Add(byte(sr.TypeProtobuf), "EgNnZW8iGQoFUGxhY2USEAoDbGF0GAEgASgBUgNsYXRiBnByb3RvMw==")
	f.Add(byte(sr.TypeProtobuf), "\"\\\xcb")
	f.Fuzz(func(t *testing.T, typ byte, text string) {
		s, err := tidy(sr.Schema{Type: sr.SchemaType(typ % 3), Schema: text})
		if err != nil {
			return
		}
		if !identify(s).same(identify(s), false) {
			t.Error("is not the same as itself")
		}
		p, err := source{Schema: s}.parse()
		if err != nil {
			return
		}
		if problems := p.canRead(p); len(problems) > 0 && !strings.Contains(problems[0], "too complex") && !strings.Contains(problems[0], " is both ") {
			t.Errorf("%s does not read itself: %q", s.Schema, problems)
		}
	})
}

// The full names of nested messages take memory by the square of their number.
func TestDeepProtobufIsRefused(t *testing.T) {
	text := `syntax = "proto3";` + strings.Repeat(" message A {", 50_000) + strings.Repeat("}", 50_000)
	if _, err := (source{Schema: sr.Schema{Type: sr.TypeProtobuf, Schema: text}}).parse(); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("%v", err)
	}
	if exact, _ := protobufIdentity(text); exact != text {
		t.Error("was parsed for its identity")
	}
}
