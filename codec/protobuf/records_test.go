package protobuf

import (
	stdjson "encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/testkit"
)

// citation is a schema of the real records, whose members are strings.
func citation(t testing.TB, record []byte) *Schema {
	t.Helper()
	var members map[string]string
	if err := stdjson.Unmarshal(record, &members); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`syntax = "proto3"; message Citation {`)
	for i, name := range slices.Sorted(maps.Keys(members)) {
		fmt.Fprintf(&b, "string f%d = %d [json_name = %q];", i, i+1, name)
	}
	b.WriteString("}")
	return compile(t, b.String())
}

// Real records are consumed as they were produced.
func TestRealRecords(t *testing.T) {
	records := testkit.ParkingCitations(t)
	sameJSON(t, citation(t, records[0]), records)
	free := compile(t, `syntax = "proto3"; import "google/protobuf/struct.proto"; message Free { google.protobuf.Struct value = 1; }`)
	var wrapped [][]byte
	for _, r := range slices.Concat(testkit.GithubEvents(t), testkit.Tweets(t)) {
		wrapped = append(wrapped, fmt.Appendf(nil, `{"value":%s}`, json.Compact(r)))
	}
	sameJSON(t, free, wrapped)
}

func sameJSON(t *testing.T, s *Schema, records [][]byte) {
	t.Helper()
	for _, r := range records {
		payload, err := s.AppendEncoded(nil, r, codec.Tagged, nil)
		if err != nil {
			t.Fatalf("%.200s: %v", r, err)
		}
		text, err := s.AppendDecoded(nil, payload, codec.Tagged)
		if err != nil {
			t.Fatalf("%.200s: %v", r, err)
		}
		var got, want any
		if stdjson.Unmarshal(text, &got) != nil || stdjson.Unmarshal(r, &want) != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %.500s\nwant %.500s", text, r)
		}
	}
}
