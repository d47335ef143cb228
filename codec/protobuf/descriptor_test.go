package protobuf

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A descriptor in base64 becomes a text that compiles to the same descriptor.
func TestDescriptorBecomesText(t *testing.T) {
	for _, name := range []string{"testdata/all2.proto", "testdata/all3.proto"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := descriptorOf(t, string(text))
		raw, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		printed, err := Text(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := descriptorOf(t, printed); !proto.Equal(got, want) {
			t.Errorf("%s became\n%s\n\ngot  %v\n\nwant %v", name, printed, got, want)
		}
	}
}

func descriptorOf(t *testing.T, text string) *descriptorpb.FileDescriptorProto {
	t.Helper()
	s, err := Compile(text, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return protodesc.ToFileDescriptorProto(s.file)
}

func TestTextThatCannotBePrinted(t *testing.T) {
	for text, want := range map[string]string{
		`edition = "2023"; message M {}`: "editions",
		`syntax = "proto2"; message M { optional group G = 1 { optional int32 a = 1; } }`: "group",
	} {
		raw, err := proto.Marshal(descriptorOf(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Text(base64.StdEncoding.EncodeToString(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A schema and its references may both be descriptors.
func TestCompilesDescriptors(t *testing.T) {
	serialized := func(text string, refs ...Reference) string {
		s, err := Compile(text, refs)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := proto.Marshal(protodesc.ToFileDescriptorProto(s.file))
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	const place = `syntax = "proto3"; package a; message Place { double lat = 1; }`
	ref := Reference{Name: "place.proto", Text: serialized(place)}
	s, err := Compile(serialized(`syntax = "proto3"; package a; import "place.proto"; message Trip { Place to = 1; }`, Reference{"place.proto", place}), []Reference{ref})
	if err != nil {
		t.Fatal(err)
	}
	if s.Name() != "a.Trip" {
		t.Errorf("%s", s.Name())
	}
	if text, err := Text("messages"); text != "messages" || err != nil {
		t.Errorf("%s, %v", text, err)
	}
}

func FuzzText(f *testing.F) {
	for _, name := range []string{"testdata/all2.proto", "testdata/all3.proto"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		s, err := Compile(string(text), nil)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := proto.Marshal(protodesc.ToFileDescriptorProto(s.file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, err := Text(base64.StdEncoding.EncodeToString(raw))
		if err == nil && len(text) > 1000+100*len(raw) {
			t.Errorf("%d bytes became %d", len(raw), len(text))
		}
	})
}
