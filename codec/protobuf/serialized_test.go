package protobuf

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"millrace/codec"
	"millrace/codec/json"
)

func serialized(t testing.TB, text string, change func(*descriptorpb.FileDescriptorProto)) string {
	t.Helper()
	descriptor := protodesc.ToFileDescriptorProto(compile(t, text).file)
	if change != nil {
		change(descriptor)
	}
	b, err := proto.Marshal(descriptor)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// A descriptor in base64 is as good as its text, also as a reference.
func TestSerialized(t *testing.T) {
	f := func(s *Schema, text, want string) {
		t.Helper()
		got, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s: got %x, %v; want %s", text, got, err, want)
		}
	}
	f(compile(t, serialized(t, small, nil)), `{"name":"a","counts":{"b":1}}`, "000a016142050a01621001")
	f(compile(t, `import "u.proto"; message M { optional t.User user = 1; }`, Reference{"u.proto", serialized(t, small, nil)}), `{"user":{"age":1}}`, "000a021001")
	f(compile(t, serialized(t, all, nil)), `{"Another":"x"}`, "0082020178")
}

// Descriptors as protoc puts them into Python code have no JSON names.
func TestSerializedWithoutJSONNames(t *testing.T) {
	f := func(s *Schema, text, want string) {
		t.Helper()
		got, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s: got %x, %v; want %s", text, got, err, want)
			return
		}
		if back, err := s.AppendDecoded(nil, got, codec.Tagged); err != nil || string(back) != text {
			t.Errorf("%x is read as %s, %v; want %s", got, back, err, text)
		}
	}
	// first_name and b; user_name.
	f(compile(t, "CgdtLnByb3RvEgF4IiIKAU0SEgoKZmlyc3RfbmFtZRgBIAEoCRIJCgFiGAIgASgJYgZwcm90bzM="), `{"firstName":"a","b":"c"}`, "000a0161120163")
	f(compile(t, "CgdtLnByb3RvEgF4IhYKAU0SEQoJdXNlcl9uYW1lGAEgASgJYgZwcm90bzM="), `{"userName":"a"}`, "000a0161")

	strip := func(d *descriptorpb.FileDescriptorProto) {
		var visit func([]*descriptorpb.DescriptorProto)
		clear := func(fields []*descriptorpb.FieldDescriptorProto) {
			for _, f := range fields {
				f.JsonName = nil
			}
		}
		visit = func(all []*descriptorpb.DescriptorProto) {
			for _, m := range all {
				clear(m.Field)
				clear(m.Extension)
				visit(m.NestedType)
			}
		}
		visit(d.MessageType)
		clear(d.Extension)
	}
	const nested = `syntax = "proto3"; package p; message M { message In { message Deep { string a_b = 1; } Deep deep_in = 1; } In in_m = 1; map<string, int32> some_map = 2; oneof one_of { string of_one = 3; } }`
	f(compile(t, serialized(t, nested, strip)), `{"inM":{"deepIn":{"aB":"x"}},"someMap":{"k":1},"ofOne":"y"}`, "000a050a030a017812050a016b10011a0179")
	const old = `syntax = "proto2"; package p; message M { optional group SomeGroup = 1 { optional string in_it = 2; } extensions 100 to 200; } extend M { optional string an_ext = 100; }`
	f(compile(t, serialized(t, old, strip)), `{"somegroup":{"inIt":"x"}}`, "000b1201780c")
	const edition = `edition = "2023"; package p; message M { string some_name = 1; int32 a_number = 2 [features.field_presence = IMPLICIT]; }`
	f(compile(t, serialized(t, edition, strip)), `{"someName":"x","aNumber":7}`, "000a01781007")
}

// Maps written out, as Confluent's registry printed them, are maps. They count
// among the messages then.
func TestSpelledMaps(t *testing.T) {
	s := compile(t, `syntax = "proto3"; package a.b;
message M {
  repeated .a.b.M.CountsEntry counts = 1;
  message CountsEntry { option map_entry = true;

    string key = 1; int32 value = 2; }
  message In { string s = 1; }
  string other = 2 [json_name = "Q", deprecated = true];
}`)
	got, err := s.AppendEncoded(nil, []byte(`{"counts":{"x":1},"Q":"y"}`), codec.Tagged, nil)
	if err != nil || hex.EncodeToString(got) != "000a050a01781001120179" {
		t.Fatalf("got %x, %v", got, err)
	}
	if text, err := s.AppendDecoded(nil, got, codec.Tagged); err != nil || string(text) != `{"counts":{"x":1},"Q":"y"}` {
		t.Errorf("got %s, %v", text, err)
	}
	if text, err := s.AppendDecoded(nil, []byte("\x04\x00\x02\x0a\x01a"), codec.Tagged); err != nil || string(text) != `{"s":"a"}` {
		t.Errorf("got %s, %v", text, err)
	}
}

// Text that no compiler has checked is checked here.
func TestSerializedErrors(t *testing.T) {
	f := func(schema, want string) {
		t.Helper()
		_, err := Compile(schema, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s:\n got %v\nwant %s", schema, err, want)
		}
	}
	broken := func(change func(*descriptorpb.FileDescriptorProto)) string { return serialized(t, small, change) }
	f(broken(func(d *descriptorpb.FileDescriptorProto) { d.MessageType[0].Field[0].Number = proto.Int32(-1) }), "the Protobuf schema")
	f(broken(func(d *descriptorpb.FileDescriptorProto) { d.MessageType[0].Field[0].Number = nil }), "the Protobuf schema")
	f(broken(func(d *descriptorpb.FileDescriptorProto) {
		d.MessageType[0].Field[0].TypeName = proto.String(".no.Such")
	}), "the Protobuf schema")
	f(broken(func(d *descriptorpb.FileDescriptorProto) { d.MessageType[0].NestedType[0].Field = nil }), "the Protobuf schema")
	f(broken(func(d *descriptorpb.FileDescriptorProto) { d.MessageType[0].Field[0].OneofIndex = proto.Int32(7) }), "the Protobuf schema")
	f(broken(func(d *descriptorpb.FileDescriptorProto) { d.MessageType[0].Field[6].DefaultValue = proto.String("x") }), "cannot be used")
	f(broken(func(d *descriptorpb.FileDescriptorProto) { d.MessageType[0].Name = nil }), "the Protobuf schema")
	f(broken(func(d *descriptorpb.FileDescriptorProto) { d.Package = proto.String("google.protobuf") }), "the Protobuf schema")
	f(broken(func(d *descriptorpb.FileDescriptorProto) { d.PublicDependency = []int32{9} }), "the Protobuf schema")
	f(broken(func(d *descriptorpb.FileDescriptorProto) {
		for range 40 {
			d.MessageType = []*descriptorpb.DescriptorProto{{Name: proto.String("A"), NestedType: d.MessageType}}
		}
	}), "nested")
	f(`message M { repeated E e = 1; message E { option map_entry = true; optional string k = 1; } }`, "map_entry option should not be set explicitly")
	f(`message M { repeated E e = 1; message E { option map_entry = true; optional string key = 1; optional string value = 3; } }`, "the Protobuf schema does not compile: field M.e: M.E is a synthetic map entry")
	f(`message M { repeated EEntry e = 1; string s = 2; message EEntry { option map_entry = true; optional string key = 1; optional string value = 2; } }`, "no label")
	f(`message M { optional EEntry e = 1; message EEntry { option map_entry = true; optional string key = 1; optional string value = 2; } }`, "may not be referenced explicitly")
	f(`message M { repeated EEntry e = 1; message EEntry { option map_entry = true; optional M key = 1; optional string value = 2; } }`, "cannot be used")
	f(`message M { repeated EEntry e = 1; repeated EEntry e = 2; message EEntry { option map_entry = true; optional string key = 1; optional string value = 2; } }`, "")
}

// A reference is checked as well, and so is one that it imports.
func TestSerializedReference(t *testing.T) {
	broken := Reference{"u.proto", serialized(t, small, func(d *descriptorpb.FileDescriptorProto) {
		d.MessageType[0].Field[6].DefaultValue = proto.String("x")
	})}
	const root = `import "u.proto"; message M { optional t.User user = 1; }`
	if _, err := Compile(root, []Reference{broken}); err == nil || !strings.HasPrefix(err.Error(), `the reference "u.proto" cannot be used: `) {
		t.Errorf("got %v", err)
	}
	between := Reference{"between.proto", `import public "u.proto";`}
	if _, err := Compile(strings.Replace(root, "u.proto", "between.proto", 1), []Reference{broken, between}); err == nil || !strings.HasPrefix(err.Error(), `the reference "u.proto" cannot be used: `) {
		t.Errorf("got %v", err)
	}
}

// FuzzSerialized compiles and uses random descriptors.
func FuzzSerialized(f *testing.F) {
	for _, text := range []string{small, all, `message A { optional group G = 1 { required int32 x = 1; } extensions 10 to 20; } extend A { repeated int32 m = 10; }`} {
		b, _ := base64.StdEncoding.DecodeString(serialized(f, text, nil))
		f.Add(b, []byte("\x00\x0a\x01a\x10\x01"), []byte(`{"name":"a","counts":{"b":1}}`))
	}
	f.Fuzz(func(t *testing.T, descriptor, payload, text []byte) {
		s, err := Compile(base64.StdEncoding.EncodeToString(descriptor), nil)
		if err != nil {
			return
		}
		_, _ = s.AppendDecoded(nil, payload, codec.Tagged)
		if !json.Valid(text) {
			return
		}
		text = json.Compact(text)
		if again, err := s.AppendEncoded(nil, text, codec.Tagged, nil); err == nil {
			_, _ = s.AppendDecoded(nil, again, codec.Tagged)
		}
	})
}
