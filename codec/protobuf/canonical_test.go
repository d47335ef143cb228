package protobuf

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// canonicalTexts are texts and the form that Confluent's clients for Java print them in, as the
// tests of its schema registry have it (ProtobufSchemaTest: testEnumReserved,
// testComplexCustomOptions, testComplexCustomOptions2); the last is by the source of the printer.
var canonicalTexts = []struct{ name, text, want string }{
	{"reserved numbers of an enum", `// of old
import "google/protobuf/descriptor.proto";
enum FooParameterType { reserved 20, 100 to max; reserved 10; reserved 1 to 3; reserved "BAD", "OLD";
NUMBER = 1; STRING = 2; }
message FooOptions { optional string name = 1; optional FooParameterType type = 2; }`, `
import "google/protobuf/descriptor.proto";

message FooOptions {
  optional string name = 1;
  optional FooParameterType type = 2;
}
enum FooParameterType {
  reserved 20, 100 to max;
  reserved 10;
  reserved 1 to 3;
  reserved "BAD", "OLD";
  NUMBER = 1;
  STRING = 2;
}
`},
	{"options of a file", `syntax = "proto3";

import "common/extensions.proto";
import "confluent/meta.proto";

package com.custom.example.v0;

option go_package = "example/v0;example";
option java_multiple_files = true;
option (com.custom.map).subject = 'user-value';
option (com.custom.map).compatibility_mode = FULL;
option (.confluent.file_meta).doc = "file meta";
message User {
  string first_name = 1;
  string last_name = 2;
}`, `syntax = "proto3";
package com.custom.example.v0;

import "common/extensions.proto";
import "confluent/meta.proto";

option go_package = "example/v0;example";
option java_multiple_files = true;
option (com.custom.map).subject = "user-value";
option (com.custom.map).compatibility_mode = FULL;
option (.confluent.file_meta).doc = "file meta";

message User {
  string first_name = 1;
  string last_name = 2;
}
`},
	{"options of fields", `syntax = "proto3";
import "confluent/meta.proto";
message SampleRecord {
  int32 my_field1 = 1 [
    (confluent.field_meta).tags = "foo"
  ];
  double my_field2 = 2 [(confluent.field_meta) = {
    tags: [
      "bar"
    ]
  }];
  string my_field5 = 5 [
    (confluent.field_meta) = { tags: ["foo", "bar"] },
    (confluent.field_meta).tags = "bar"
  ];
  string my_field6 = 6 [json_name = "six", (confluent.field_meta).tags = "bar"];
}`, `syntax = "proto3";

import "confluent/meta.proto";

message SampleRecord {
  int32 my_field1 = 1 [(confluent.field_meta).tags = "foo"];
  double my_field2 = 2 [(confluent.field_meta) = {
    tags: [
      "bar"
    ]
  }];
  string my_field5 = 5 [
    (confluent.field_meta) = {
      tags: [
        "foo",
        "bar"
      ]
    },
    (confluent.field_meta).tags = "bar"
  ];
  string my_field6 = 6 [
    (confluent.field_meta).tags = "bar",
    json_name = "six"
  ];
}
`},
	{"all kinds of declarations", `syntax = "proto2"; package a.b;
import public "p.proto"; import "i.proto";
service S { rpc Get (stream In) returns (a.b.Out) { option deprecated = true; } rpc Put (In) returns (stream Out); }
extend Out { optional int32 more = 100; }
message In { extensions 100 to 199, 500 to max [verification = UNVERIFIED];
  message Inner {} enum E { option allow_alias = true; A = 0; B = 0 [deprecated = true]; C = -1; }
  oneof choice { string s = 4 [default = "it's \"so\""]; group G = 5 { optional int32 g = 1; } }
  required int32 n = 1 [deprecated = true, default = -5]; map < string , Inner > m = 2;
  reserved 3; option deprecated = false; }
message Out { extensions 100; }`, `syntax = "proto2";
package a.b;

import "i.proto";
import public "p.proto";

message In {
  reserved 3;

  option deprecated = false;

  required int32 n = 1 [
    deprecated = true,
    default = -5
  ];
  map<string, Inner> m = 2;

  oneof choice {
    string s = 4 [default = "it\'s \"so\""];
··
    group G = 5 {
      optional int32 g = 1;
    }
  }

  extensions 100 to 199, 500 to max [verification = UNVERIFIED];

  message Inner {}
  enum E {
    option allow_alias = true;
    A = 0;
    B = 0 [deprecated = true];
    C = -1;
  }
}
message Out {
  extensions 100;
}

extend Out {
  optional int32 more = 100;
}

service S {
  rpc Get (stream In) returns (a.b.Out) {
    option deprecated = true;
  };
  rpc Put (In) returns (stream Out);
}
`},
}

func TestCanonicalIsWhatJavaPrints(t *testing.T) {
	for _, c := range canonicalTexts {
		got := Canonical(c.text)
		c.want = strings.ReplaceAll(c.want, "··", "  ") // Java indents empty lines too
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		if again := Canonical(got); again != got {
			t.Errorf("%s is printed anew as\n%s", c.name, again)
		}
	}
}

// A text that would mean something else in Java's form, or that is none, is registered as it is.
func TestCanonicalKeepsTheMeaning(t *testing.T) {
	for _, text := range []string{
		"", "message {", "CgdtLnByb3RvEgF4IhYKAU0SEQoJdXNlcl9uYW1lGAEgASgJYgZwcm90bzM=",
		`edition = "2023"; message M { int32 a = 1; }`,
		`message M { optional bytes b = 1 [default = "abc"]; }`,                         // Java prints no quotes
		`message M { optional group G = 1 { optional int32 a = 1; message Inner {} } }`, // Java drops Inner
		`message M { extend M { optional group G = 100 { optional int32 a = 1; } } }`,   // Java drops G
		`message M { option (o) = { a: 1, a: 2 }; }`,                                    // a list to Java
		`message M { option (o) = { [type.googleapis.com/x.Y]: { a: 1 } }; optional int32 a = 1; }`,
		`import weak "w.proto"; message M {}`,
	} {
		if got := Canonical(text); got != text {
			t.Errorf("%s is registered as\n%s", text, got)
		}
	}
}

// Two spellings of a schema are one text, which compiles.
func TestCanonicalCompiles(t *testing.T) {
	spelled := "/* c */ " + strings.ReplaceAll(all, "\n", "\n\n ")
	if a, b := Canonical(all), Canonical(spelled); a != b || a == all {
		t.Errorf("two spellings are\n%s\nand\n%s", a, b)
	}
	if _, err := Compile(Canonical(spelled), nil); err != nil {
		t.Error(err)
	}
}

// A text costs no more than its size says: whoever may produce may send one.
func TestCanonicalIsBounded(t *testing.T) {
	var fields strings.Builder
	for i := range maxStatements - 10 {
		fmt.Fprintf(&fields, "  int32 f%d = %d;\n", i, i+20_000)
	}
	list := strings.Repeat("0,", 400_000) + "0"
	for name, text := range map[string]string{
		"fields":  "syntax = \"proto3\";\nmessage A {\n" + fields.String() + "}\n",
		"members": "syntax = \"proto3\";\noption (o) = {" + strings.Repeat("a: 1 ", 100_000) + "};\n",
		"nested":  "syntax = \"proto3\";\noption (o) = {a: {a: {a: {a: {a: {a: {a: {a: [" + list + "]}}}}}}}};\n",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if got := Canonical(text); len(got) > maxText {
			t.Errorf("%s: %d bytes became %d", name, len(text), len(got))
		}
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes took %d MB", name, len(text), took>>20)
		if took > 1<<30 {
			t.Errorf("%s: %d bytes took %d MB", name, len(text), took>>20)
		}
	}
}
