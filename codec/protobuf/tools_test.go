package protobuf

import (
	"os"
	"testing"

	"millrace/codec"
)

// toolFiles are the files of testdata/tools, and a value of the first message of each.
var toolFiles = []struct{ name, message, json string }{
	{"nested", "tools.nested.Trip", `{"tripId":"t","stopsMade":[{"streetName":"s","stopKind":"KIND_DEPOT","allDoors":[{"isOpen":true}]}],` +
		`"stopsByName":{"a":{"streetName":"b","stopKind":"KIND_UNKNOWN","allDoors":[]}},"totalCost":"7","cashBox":{"isOpen":false},"startedAt":"2026-01-02T03:04:05Z","anotherName":"r"}`},
	{"legacy", "tools.legacy.Order", `{"orderId":"o","lineCount":3,"orderline":[{"itemName":"i","priceInfo":{"unitPrice":1.5}}],` +
		`"[tools.legacy.Order.is_gift]":true,"[tools.legacy.gift_text]":"g","[tools.legacy.other_orders]":[{"orderId":"p","orderline":[]}]}`},
	{"edition", "tools.edition.Reading", `{"sensorId":"s","rawValue":0,"rawSamples":[1,2],"lastDetail":{"unitName":"u"}}`},
}

// The descriptors within the code that protoc generates for Python, Java, C# and Go, which
// Confluent's clients send as a schema, mean what the file means: nested messages, maps, oneofs,
// groups, extensions and the features of editions. All but Go's lack the JSON names that are
// deduced.
func TestDescriptorsOfTools(t *testing.T) {
	for _, file := range toolFiles {
		text, err := os.ReadFile("testdata/tools/" + file.name + ".proto")
		if err != nil {
			t.Fatal(err)
		}
		written, err := Compile(string(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := storedBy(t, written, file.json)
		for _, tool := range []string{"python", "java", "csharp", "go"} {
			name := file.name + "-" + tool + ".b64"
			descriptor, err := os.ReadFile("testdata/tools/" + name)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Compile(string(descriptor), nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if s.Name() != file.message {
				t.Errorf("%s: the first message is %s", name, s.Name())
			}
			if got := storedBy(t, s, file.json); got != want {
				t.Errorf("%s: stored are %x, want %x", name, got, want)
			}
			read, err := s.AppendDecoded(nil, []byte(want), codec.Tagged)
			if err != nil || string(read) != file.json {
				t.Errorf("%s: read is %s, %v\nwant %s", name, read, err, file.json)
			}
		}
	}
}

func storedBy(t *testing.T, s *Schema, text string) string {
	t.Helper()
	b, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return string(b)
}
