package protobuf

import (
	"bytes"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"millrace/codec"
	"millrace/codec/json"
)

func compile(t testing.TB, text string, references ...Reference) *Schema {
	t.Helper()
	s, err := Compile(text, references)
	if err != nil {
		t.Fatalf("Compile(%s): %v", text, err)
	}
	return s
}

const all = `syntax = "proto3";
package test;
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "confluent/meta.proto";
import "confluent/type/decimal.proto";

message All {
  option (confluent.message_meta) = {doc: "all kinds", tags: ["x"]};
  int32 an_int = 1; int64 a_long = 2; uint32 u32 = 3; uint64 u64 = 4;
  sint32 s32 = 5; sint64 s64 = 6; fixed32 f32 = 7; sfixed64 sf64 = 8;
  float flt = 9; double dbl = 10; bool flag = 11; string text = 12; bytes raw = 13;
  Color color = 14;
  repeated int32 ints = 15; repeated string words = 16;
  map<string, Inner> inners = 17; map<int32, string> labels = 18;
  oneof choice { string a = 19; int32 b = 20; Inner c = 21; }
  optional int32 maybe = 22;
  All next = 23;
  google.protobuf.Timestamp at = 24; google.protobuf.Duration took = 25;
  google.protobuf.Struct free = 26; google.protobuf.Value any_value = 27;
  google.protobuf.StringValue wrapped = 28; google.protobuf.Any any = 29;
  confluent.type.Decimal price = 30;
  repeated Inner list = 31;
  string other = 32 [json_name = "Another"];
  message Inner { int32 n = 1; message Deep { string d = 1; } }
}
enum Color { RED = 0; GREEN = 1; }
message Second { string s = 1; message Nested { int32 i = 1; } message Sibling { int32 j = 1; } }
`

const small = `syntax = "proto3"; package t; message User {
  string name = 1; int32 age = 2; int64 id = 3; repeated string tags = 4; bool is_ok = 5; Kind kind = 6;
  Address home = 7; map<string, int32> counts = 8; bytes raw = 9; google.protobuf.Timestamp at = 10;
  oneof pick { string x = 11; int32 y = 12; } repeated Address homes = 13; google.protobuf.Struct free = 14; double d = 15; }
enum Kind { NONE = 0; SOME = 1; } message Address { string street = 1; int32 number = 2; }
import "google/protobuf/timestamp.proto"; import "google/protobuf/struct.proto";`

func TestEncode(t *testing.T) {
	s := compile(t, all)
	f := func(text, want string) {
		t.Helper()
		got, err := s.AppendEncoded([]byte{0xff}, []byte(text), codec.Tagged, nil)
		if err != nil || hex.EncodeToString(got) != "ff00"+want {
			t.Errorf("%s: got %x, %v; want ff00%s", text, got, err, want)
		}
	}
	f(`{}`, "")
	f(`{"anInt":150}`, "089601")
	f(`{"an_int":150}`, "089601") // the name as declared is good too
	f(`{"anInt":"150"}`, "089601")
	f(`{"anInt":1.5e2}`, "089601")
	f(`{"anInt":null}`, "")
	f(`{"aLong":"-1"}`, "10ffffffffffffffffff01")
	f(`{"u64":"18446744073709551615"}`, "20ffffffffffffffffff01")
	f(`{"s32":-1,"s64":"1"}`, "28013002")
	f(`{"f32":1}`, "3d01000000")
	f(`{"flt":1.5}`, "4d0000c03f")
	f(`{"dbl":"NaN"}`, "51010000000000f87f")
	f(`{"flag":true,"text":"é","raw":"AQ=="}`, "5801"+"6202c3a9"+"6a0101")
	f(`{"raw":"_-8"}`, "6a02ffef")
	f(`{"color":"GREEN"}`, "7001")
	f(`{"color":7}`, "7007")
	f(`{"ints":[1,2,300]}`, "7a040102ac02")
	f(`{"labels":{"2":"b","1":"a"}}`, "9201050801120161"+"9201050802120162")
	f(`{"inners":{"k":{"n":1}}}`, "8a01070a016b12020801")
	f(`{"b":0}`, "a00100")
	f(`{"maybe":0}`, "b00100")
	f(`{"Another":"x"}`, "82020178")
	f(`{"price":{"value":"AQ==","precision":3,"scale":2}}`, "f20107"+"0a0101"+"1003"+"1802")
}

// What the library's own generated types make of a value stands in the place
// of another implementation.
func TestWellKnownBytes(t *testing.T) {
	s := compile(t, all)
	f := func(field int, text string, m proto.Message) {
		t.Helper()
		inner, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		want := append([]byte{0, byte(field<<3&0x7f | 2 | 0x80), byte(field >> 4), byte(len(inner))}, inner...)
		got, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, %v; want %x", text, got, err, want)
		}
	}
	f(24, `{"at":"2024-02-29T12:00:00.5Z"}`, timestamppb.New(time.Date(2024, 2, 29, 12, 0, 0, 5e8, time.UTC)))
	f(25, `{"took":"-1.5s"}`, durationpb.New(-1500*time.Millisecond))
	free, _ := structpb.NewStruct(map[string]any{"a": []any{1.0, "x", nil, true}, "b": map[string]any{}})
	f(26, `{"free":{"a":[1,"x",null,true],"b":{}}}`, free)
	f(27, `{"anyValue":null}`, structpb.NewNullValue())
	f(28, `{"wrapped":""}`, wrapperspb.String(""))
	f(29, `{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}`, &anypb.Any{TypeUrl: "x/google.protobuf.Duration", Value: []byte("\x08\x01")})
	f(29, `{"any":{"@type":"x/test.Second","s":"a"}}`, &anypb.Any{TypeUrl: "x/test.Second", Value: []byte("\x0a\x01a")})
}

func TestRoundTrip(t *testing.T) {
	s := compile(t, small)
	const defaults = `"name":"","age":0,"id":"0","tags":[],"isOk":false,"kind":"NONE","counts":{},"raw":"","homes":[],"d":0`
	f := func(text, want string) {
		t.Helper()
		payload, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := s.AppendDecoded([]byte("x"), payload, codec.Tagged)
		if err != nil || string(got) != "x"+want {
			t.Errorf("%s:\n got %s, %v\nwant %s", text, got, err, want)
		}
		again, err := s.AppendEncoded(nil, got[1:], codec.Tagged, nil)
		if err != nil || !bytes.Equal(again, payload) {
			t.Errorf("%s: encoded again: %x, %v; want %x", text, again, err, payload)
		}
	}
	f(`{}`, `{`+defaults+`}`)
	f(`{"name":"a b","age":1,"id":9007199254740993,"tags":["x, y",""],"isOk":true,"kind":"SOME","counts":{"z":1,"a":2},"raw":"/w==","homes":[{}],"d":1e300}`,
		`{"name":"a b","age":1,"id":"9007199254740993","tags":["x, y",""],"isOk":true,"kind":"SOME","counts":{"a":2,"z":1},"raw":"/w==","homes":[{"street":"","number":0}],"d":1e+300}`)
	f(`{"kind":9,"d":"-Infinity"}`, strings.NewReplacer(`"NONE"`, `9`, `"d":0`, `"d":"-Infinity"`).Replace(`{`+defaults+`}`))
	f(`{"x":""}`, strings.Replace(`{`+defaults+`}`, `"raw":"",`, `"raw":"","x":"",`, 1))
	f(`{"home":{}}`, strings.Replace(`{`+defaults+`}`, `"counts"`, `"home":{"street":"","number":0},"counts"`, 1))
	f(`{"at":"1969-12-31T23:59:59.000000001Z"}`, strings.Replace(`{`+defaults+`}`, `"raw":"",`, `"raw":"","at":"1969-12-31T23:59:59.000000001Z",`, 1))
	f(`{"free":{"b":[1,{"c":null}],"a":"é\u0001"}}`, strings.Replace(`{`+defaults+`}`, `"homes":[],`, `"homes":[],"free":{"a":"é\u0001","b":[1,{"c":null}]},`, 1))
}

func TestProto2AndEditions(t *testing.T) {
	f := func(schema, text, want string) {
		t.Helper()
		s := compile(t, schema)
		payload, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, err := s.AppendDecoded(nil, payload, codec.Tagged); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", text, got, err, want)
		}
	}
	// A field that can be absent is written when it is there.
	f(`message A { required int32 a = 1; optional string b = 2 [default = "x"]; repeated int32 c = 3; }`, `{"a":0}`, `{"a":0,"c":[]}`)
	f(`message A { optional group G = 1 { optional int32 x = 1; } }`, `{"g":{"x":1}}`, `{"g":{"x":1}}`)
	f(`message A { extensions 10 to 20; } extend A { optional int32 more = 10; }`, `{"[more]":1}`, `{"[more]":1}`)
	f(`edition = "2023"; message A { int32 a = 1; int32 b = 2 [features.field_presence = IMPLICIT]; }`, `{}`, `{"b":0}`)
}

func TestIndexes(t *testing.T) {
	s := compile(t, all)
	f := func(payload, want string) {
		t.Helper()
		b, _ := hex.DecodeString(payload)
		before := bytes.Clone(b)
		got, err := s.AppendDecoded([]byte("x"), b, codec.Tagged)
		if !bytes.Equal(b, before) {
			t.Errorf("%s was changed", payload)
		}
		if cut, ok := strings.CutPrefix(want, "!"); ok {
			if err == nil || err.Error() != cut || string(got) != "x" {
				t.Errorf("%s: got %s, %v; want %s", payload, got, err, cut)
			}
		} else if err != nil || string(got) != "x"+want {
			t.Errorf("%s: got %s, %v; want %s", payload, got, err, want)
		}
	}
	f("0202"+"0a0161", `{"s":"a"}`)        // [1]
	f("040200"+"0807", `{"i":7}`)          // [1,0]
	f("040202"+"0807", `{"j":7}`)          // [1,1]
	f("06000000"+"0a0161", `{"d":"a"}`)    // [0,0,0]: entries of maps do not count
	f("0202"+"0a0161"+"1001", `{"s":"a"}`) // a field that the schema does not have
	const none = "!its payload does not begin with the indexes of a message"
	f("", none)
	f("01", none)
	f("80", none)
	f("04", none)
	f("0402", none)
	f("ffffffff7f", none)
	f("feffffff0f", none)
	f("0206", "!its payload is of a message that the schema test does not have")
	f("0203", "!its payload is of a message that the schema test does not have")
	f("040204", "!its payload is of a message that the schema test does not have")
	f("02020a05", "!its payload is not a message test.Second: cannot parse invalid wire-format data")
	f("02020a01ff", "!its payload is not a message test.Second: field test.Second.s contains invalid UTF-8")
	if s.Name() != "test.All" {
		t.Errorf("Name() = %q", s.Name())
	}
}

func TestMismatch(t *testing.T) {
	s := compile(t, small)
	f := func(text, path, problem string) {
		t.Helper()
		_, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		var m *codec.Mismatch
		if !errors.As(err, &m) || m.Path != path || m.Problem != problem {
			t.Errorf("%s:\n got %v\nwant %s: %s", text, err, path, problem)
		}
	}
	f(`1`, ``, `expected an object (t.User), got 1`)
	f(`[]`, ``, `expected an object (t.User), got an array`)
	f(`{"age":"x"}`, `.age`, `expected int32, got "x"`)
	f(`{"age":1.5}`, `.age`, `expected int32, got 1.5`)
	f(`{"age":2147483648}`, `.age`, `expected int32, got 2147483648`)
	f(`{"name":"é","age":[1]}`, `.age`, `expected int32, got an array`)
	f(`{"name":7}`, `.name`, `expected string, got 7`)
	f(`{"tags":"x"}`, `.tags`, `expected an array, got "x"`)
	f(`{"tags":["é",1]}`, `.tags[1]`, `expected string, got 1`)
	f(`{"tags":["x",null]}`, `.tags[1]`, `expected string, got null`)
	f(`{"counts":[]}`, `.counts`, `expected an object, got an array`)
	f(`{"counts":{"a":1,"b":"x"}}`, `.counts.b`, `expected int32, got "x"`)
	f(`{"home":3}`, `.home`, `expected an object (t.Address), got 3`)
	f(`{"home":{"number":true}}`, `.home.number`, `expected int32, got true`)
	f(`{"homes":[{},{"number":true}]}`, `.homes[1].number`, `expected int32, got true`)
	f(`{"home":{"nmber":1}}`, `.home`, `unknown field "nmber"`)
	f(`{"nme":1}`, ``, `unknown field "nme"`)
	f(`{"age":1,"age":2}`, ``, `the field "age" is there twice`)
	f(`{"x":"","y":1}`, ``, `the field "y" cannot be set beside another one of its oneof`)
	f(`{"kind":"ALL"}`, `.kind`, `expected a value of the enum t.Kind, got "ALL"`)
	f(`{"raw":"!"}`, `.raw`, `expected bytes as base64, got "!"`)
	f(`{"isOk":"true"}`, `.isOk`, `expected bool, got "true"`)
	f(`{"at":"yesterday"}`, `.at`, `expected google.protobuf.Timestamp, got "yesterday"`)
	f(`{"free":[]}`, `.free`, `expected google.protobuf.Struct, got an array`)
	f(`{"d":1e999}`, `.d`, `expected double, got 1e999`)
	f(`{"name":"\ud800"}`, ``, `a string has half of a surrogate pair`)
	f(`{"age":"`+strings.Repeat("é", 100)+`"}`, `.age`, `expected int32, got "`+strings.Repeat("é", 29)+`…`)
	f(`{"free":{"a":`+strings.Repeat(`[`, 300)+strings.Repeat(`]`, 300)+`}}`, ``, `exceeded max recursion depth`)

	s = compile(t, `message A { required int32 a = 1; }`)
	f(`{}`, ``, `required field A.a not set`)
	s = compile(t, all)
	f(`{"any":{"@type":"x/no.Such"}}`, `.any.@type`, `unable to resolve "x/no.Such": "not found"`)
	f(`{"any":{"s":1}}`, `.any`, `expected google.protobuf.Any, got an object`)
	f(strings.Repeat(`{"next":`, 90)+`1`+strings.Repeat(`}`, 90), `…`+strings.Repeat(`.next`, 80), `expected an object (test.All), got 1`)
	f(`{"labels":{"x":""}}`, `.labels`, `invalid value for int32 key: "x"`)
	f(`{"labels":{"1":"","1":""}}`, `.labels`, `duplicate map key "1"`)
}

func TestReferences(t *testing.T) {
	s := compile(t, `syntax = "proto3"; import "a/b.proto"; message M { a.B b = 1; c.C c = 2; }`,
		Reference{"c.proto", `syntax = "proto3"; package c; message C { int32 n = 1; }`},
		Reference{"a/b.proto", `syntax = "proto3"; package a; import public "c.proto"; message B { c.C c = 1; }`})
	got, err := s.AppendEncoded(nil, []byte(`{"b":{"c":{"n":1}},"c":{}}`), codec.Tagged, nil)
	if err != nil || hex.EncodeToString(got) != "000a040a0208011200" {
		t.Errorf("got %x, %v", got, err)
	}
	// All that is known compiles, and gives way to a reference of its name.
	for _, name := range []string{"date", "timeofday", "datetime", "dayofweek", "month", "decimal", "fraction", "interval", "latlng", "money"} {
		compile(t, `import "google/type/`+name+`.proto"; message M {}`)
	}
	compile(t, `import "google/type/date.proto"; message M { optional google.type.Mine d = 1; }`,
		Reference{"google/type/date.proto", `package google.type; message Mine {}`})
	// A copy of a file that the library relies on is passed over.
	compile(t, `syntax = "proto3"; import "google/protobuf/any.proto"; message M { google.protobuf.Any a = 1; }`,
		Reference{"google/protobuf/any.proto", `nonsense`})
}

func TestCompileErrors(t *testing.T) {
	f := func(schema, want string, references ...Reference) {
		t.Helper()
		_, err := Compile(schema, references)
		if err == nil || err.Error() != want {
			t.Errorf("%.60s:\n got %v\nwant %s", schema, err, want)
		}
	}
	f(``, `the Protobuf schema has no message`)
	f(`syntax = "proto3"; enum E { A = 0; }`, `the Protobuf schema has no message`)
	f("syntax = \"proto3\";\nmessage A { int32 a; }", `the Protobuf schema does not compile: line 2, column 13: field A.a: missing field tag number`)
	f(`syntax = "proto3"; message A { B b = 1; }`, `the Protobuf schema does not compile: line 1, column 32: field A.b: unknown type B`)
	f(`syntax = "proto3"; message A { int32 a = 1; int32 b = 1; }`, `the Protobuf schema does not compile: line 1, column 55: message A: fields a and b both have the same tag 1`)
	f(`syntax = "proto3"; import "x.proto"; message A {}`, `the Protobuf schema does not compile: line 1, column 27: the import "x.proto" is neither among the references nor known; nothing is fetched from elsewhere`)
	f(`syntax = "proto3"; import "/etc/passwd"; message A {}`, `the Protobuf schema does not compile: line 1, column 27: the import "/etc/passwd" is neither among the references nor known; nothing is fetched from elsewhere`)
	f(`syntax = "proto3"; import "x.proto"; message A {}`, `the reference "x.proto" does not compile: line 1, column 1: syntax error: unexpected identifier`, Reference{"x.proto", "nonsense"})
	f(`import "x.proto"; message A {}`, `the reference "x.proto" does not compile: line 1, column 8: cycle found in imports: "x.proto" -> "x.proto"`,
		Reference{"x.proto", `import "x.proto";`})
	f(`package google.protobuf; message Any {}`, `the package google.protobuf is reserved`)
	f(`package google; message protobuf { message Any {} }`, `the name google.protobuf is reserved`)
	f(strings.Repeat(`message A {`, 33), `the Protobuf schema is nested deeper than 32 levels`)
	f("\"\\\xcb", `the Protobuf schema is not UTF-8`)
	f(`message `+strings.Repeat(`a`, 256)+` {}`, `the Protobuf schema has a name of more than 255 characters`)
	f(`package a`+strings.Repeat(" . \n a", 200)+`; message A {}`, `the Protobuf schema has a name of more than 255 characters`)
	f(strings.Repeat(`message `+strings.Repeat("a", 250)+` {`, 30)+strings.Repeat(`enum E { A = 0; }`, 2000), `the Protobuf schema has names that are too long, so many and so nested`)
	f(strings.Repeat(`message A {}`, maxStatements+1), `the Protobuf schema is too large: with its references it may have 20000 statements`)
	f(strings.Repeat(` `, maxText+1), `the Protobuf schema is too large: with its references it may have 1048576 bytes`)
}

// Schemas and payloads that cost as much as the limits let them.
func TestHostile(t *testing.T) {
	var b strings.Builder
	b.WriteString(`syntax = "proto3"; message A { repeated A a = 1;`)
	for i := range maxStatements - 100 {
		fmt.Fprintf(&b, "int32 f%d=%d;", i, i+2)
		if i == 15_000 {
			break
		}
	}
	b.WriteString(`}`)
	start := time.Now()
	wide := compile(t, b.String())
	t.Logf("compiled in %v", time.Since(start))
	_, err := wide.AppendDecoded(nil, append([]byte{0}, bytes.Repeat([]byte{0x0a, 0}, 100_000)...), codec.Tagged)
	if !errors.Is(err, errLarge) {
		t.Errorf("got %v", err)
	}

	s := compile(t, all)
	// Any within Any within …
	inner := []byte(nil)
	for range 1000 {
		a := &anypb.Any{TypeUrl: "/google.protobuf.Any", Value: inner}
		inner, _ = proto.Marshal(a)
	}
	m := append([]byte{0, 29<<3&0x7f | 2 | 0x80, 29 >> 4}, lengthPrefixed(inner)...)
	if _, err := s.AppendDecoded(nil, m, codec.Tagged); !errors.Is(err, errDeepAny) {
		t.Errorf("got %v", err)
	}
	// A message within itself.
	inner = nil
	for range 1000 {
		inner = append([]byte{23<<3&0x7f | 2 | 0x80, 23 >> 4}, lengthPrefixed(inner)...)
	}
	if _, err := s.AppendDecoded(nil, append([]byte{0}, inner...), codec.Tagged); err == nil {
		t.Error("accepted")
	}
	text := strings.Repeat(`{"next":`, 101) + `{}` + strings.Repeat(`}`, 101)
	if _, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil); err == nil {
		t.Error("accepted")
	}
}

func lengthPrefixed(b []byte) []byte {
	out := []byte{}
	for n := len(b); ; n >>= 7 {
		if n < 0x80 {
			return append(append(out, byte(n)), b...)
		}
		out = append(out, byte(n)|0x80)
	}
}

// One Schema serves goroutines at once.
func TestParallel(t *testing.T) {
	s := compile(t, all)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				text := fmt.Sprintf(`{"anInt":%d,"inners":{"a":{"n":1}},"any":{"@type":"x/test.Second","s":"a"}}`, i+1)
				payload, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := s.AppendDecoded(nil, payload, codec.Tagged)
				if err != nil || !strings.Contains(string(got), fmt.Sprintf(`"anInt":%d,`, i+1)) {
					t.Errorf("got %s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzEncode(f *testing.F) {
	f.Add(small, []byte(`{"name":"a","age":1,"home":{"number":2},"free":{"a":[1]}}`))
	f.Add(all, []byte(`{"any":{"@type":"x/test.Second","s":"a"},"labels":{"1":"x"},"at":"2024-02-29T12:00:00.5Z"}`))
	f.Add(`edition = "2023"; message A { extensions 10 to 20; } extend A { int32 m = 10; }`, []byte(`{"[m]":1}`))
	f.Add(`message A { optional group G = 1 { required int32 x = 1; } }`, []byte(`{"g":{}}`))
	f.Fuzz(func(t *testing.T, schema string, text []byte) {
		s, err := Compile(schema, nil)
		if err != nil || !json.Valid(text) {
			return
		}
		text = json.Compact(text)
		before := bytes.Clone(text)
		payload, err := s.AppendEncoded(nil, text, codec.Tagged, nil)
		if len(payload) > 16*(len(text)+1) {
			t.Fatalf("%s became %d bytes", text, len(payload))
		}
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		var m *codec.Mismatch
		if err != nil {
			if !errors.As(err, &m) || m.Problem == "" {
				t.Fatalf("%v is no mismatch", err)
			}
			return
		}
		got, err := s.AppendDecoded(nil, payload, codec.Tagged)
		if err != nil {
			t.Fatalf("%s: %x: %v", text, payload, err)
		}
		if again, err := s.AppendEncoded(nil, got, codec.Tagged, nil); err != nil || !bytes.Equal(again, payload) {
			t.Fatalf("%s: %x, but %s: %x, %v", text, payload, got, again, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(all, []byte("\x00\x08\x96\x01"))
	f.Add(all, []byte("\x04\x02\x00\x08\x07"))
	f.Add(all, []byte("\x00\xea\x01\x10\x0a\x0dx/test.Second"))
	f.Add(all, []byte("\x00\xc2\x01\x02\x08\x01"))
	f.Add(all, []byte("\x00\xd2\x01\x0b\x0a\x09\x0a\x01a\x12\x04\x1a\x02hi"))
	f.Add(`message A { optional group G = 1 { required int32 x = 1; } extensions 10 to 20; } extend A { repeated int32 m = 10 [packed=true]; }`, []byte("\x00\x0b\x08\x01\x0c\x52\x02\x01\x02"))
	f.Fuzz(func(t *testing.T, schema string, payload []byte) {
		s, err := Compile(schema, nil)
		if err != nil {
			return
		}
		before := bytes.Clone(payload)
		got, err := s.AppendDecoded([]byte("x"), payload, codec.Tagged)
		if !bytes.Equal(payload, before) {
			t.Fatal("the payload was changed")
		}
		if err != nil {
			return
		}
		text := got[1:]
		if len(text) > maxJSON+8*len(payload) { // texts may have escapes
			t.Fatalf("%d bytes became %d", len(payload), len(text))
		}
		var compact bytes.Buffer
		if stdjson.Compact(&compact, text) != nil || !json.Valid(text) || compact.String() != string(text) {
			t.Fatalf("%x: %q", payload, text)
		}
		if kind, _, err := s.cut(payload); err != nil || kind != s.first {
			return
		}
		// What was answered can be produced again, and is the same then.
		again, err := s.AppendEncoded(nil, text, codec.Tagged, nil)
		if err != nil {
			t.Fatalf("%x: %s: %v", payload, text, err)
		}
		if back, err := s.AppendDecoded(nil, again, codec.Tagged); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%x: %s, but %x: %s, %v", payload, text, again, back, err)
		}
	})
}
