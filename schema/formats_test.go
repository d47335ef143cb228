package schema

import (
	"context"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
)

// Every format that has a schema type, compiled by its own package: a text is registered, an
// encoded value is decoded by the schema of its id, and references are found.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format     codec.Format
		referred   string // under the subject "address"
		name       string // in the reference
		text, with string // without and with a reference
		value      string
	}{
		{
			codec.Avro, `{"type":"record","name":"Address","namespace":"a","fields":[{"name":"city","type":"string"}]}`, "a.Address",
			userText, `{"type":"record","name":"Home","fields":[{"name":"at","type":"a.Address"}]}`,
			`{"name":"n"}`,
		},
		{
			codec.JSONSchema, `{"type":"object","title":"Address"}`, "address.json",
			`{"type":"object","title":"User"}`, `{"type":"object","properties":{"at":{"$ref":"address.json"}}}`,
			`{"name":"n"}`,
		},
		{
			codec.Protobuf, `syntax = "proto3"; message Address { string city = 1; }`, "address.proto",
			`syntax = "proto3"; message User { string name = 1; }`, `syntax = "proto3"; import "address.proto"; message Home { Address at = 1; }`,
			`{"name":"n"}`,
		},
	} {
		t.Run(c.format.String(), func(t *testing.T) {
			f := newFake(t)
			r, err := New(usual(f.URL()), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Close)
			got := mustResolve(t, r, Wanted{Format: c.format, Topic: "t", Text: []byte(c.text)})
			payload, err := got.AppendEncoded(nil, []byte(c.value), codec.Tagged, nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := r.ByID(context.Background(), c.format, codec.SchemaID{Number: got.ID})
			if err != nil {
				t.Fatal(err)
			}
			if back, err := s.AppendDecoded(nil, payload, codec.Tagged); err != nil || string(back) != c.value {
				t.Errorf("%s came back as %s, %v", c.value, back, err)
			}

			kind := builtIn[c.format].kind
			if _, _, err := f.RegisterSchema("address", sr.Schema{Schema: c.referred, Type: kind}); err != nil {
				t.Fatal(err)
			}
			id, _, err := f.RegisterSchema("u-value", sr.Schema{
				Schema: c.with, Type: kind, References: []sr.SchemaReference{{Name: c.name, Subject: "address", Version: 1}},
			})
			if err != nil {
				t.Fatal(err)
			}
			mustResolve(t, r, Wanted{Format: c.format, Topic: "u", ID: int32(id)})
		})
	}
}
