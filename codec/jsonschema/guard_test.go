package jsonschema

import (
	"testing"

	"millrace/codec"
)

// The package's own documents cannot be replaced by a schema that gives itself their URL, or by a
// reference: its values would be judged the wrong way round.
func TestURLsOfThePackageAreTaken(t *testing.T) {
	for name, c := range map[string]struct {
		text       string
		references []Reference
	}{
		"id":             {`{"$id":"` + guardURL + `","type":"string"}`, nil},
		"reference":      {`{"type":"string"}`, []Reference{{Name: guardURL, Text: `{"type":"string"}`}}},
		"reference's id": {`{"type":"string"}`, []Reference{{Name: "r", Text: `{"$id":"` + guardURL + `","type":"string"}`}}},
		"relative":       {`{"$id":"//guard/schema","type":"string"}`, nil},
		"root":           {`{"type":"string"}`, []Reference{{Name: rootURL, Text: `{"type":"number"}`}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Compile(c.text, c.references)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.AppendEncoded(nil, []byte(`"x"`), codec.Tagged, nil); err != nil {
				t.Errorf("a string is refused: %v", err)
			}
			if _, err := s.AppendEncoded(nil, []byte(`1`), codec.Tagged, nil); err == nil {
				t.Error("a number is accepted")
			}
		})
	}
}
