package schema

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"millrace/codec"
)

// TestSchemasServeGoroutinesAtOnce has goroutines share a compiled schema of each format. It is
// here because the packages of the codecs start no goroutine, and so run without the race detector.
func TestSchemasServeGoroutinesAtOnce(t *testing.T) {
	for _, c := range []struct {
		format             codec.Format
		schema, good, want string // want is in what comes back; %d is the goroutine's number
		bad                string
	}{
		{
			codec.Avro, `{"type":"record","name":"Node","namespace":"x.y","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","Node"]}]}`,
			`{"next":{"x.y.Node":{"next":null,"v":%d}},"v":1}`, `"v":%d,"next":null`, `{"next":{"x.y.Node":{`,
		},
		{
			codec.JSONSchema, `{"type":"object","properties":{"a":{"type":"integer"},"b":{"$ref":"#/definitions/b"}},"definitions":{"b":{"pattern":"^x+$"}}}`,
			`{"a":%d,"b":"xxx"}`, `"a":%d,`, `{"a":1,"b":"y"}`,
		},
		{
			codec.Protobuf, `syntax = "proto3"; package test; import "google/protobuf/any.proto";
			message All { int32 an_int = 1; map<string, Inner> inners = 2; google.protobuf.Any any = 3; message Inner { int32 n = 1; } }
			message Second { string s = 1; }`,
			`{"anInt":%d,"inners":{"a":{"n":1}},"any":{"@type":"x/test.Second","s":"a"}}`, `"anInt":%d,`, `{"anInt":"x"}`,
		},
	} {
		s, err := builtIn.compile(c.format, c.schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 8 {
			good, want := fmt.Appendf(nil, c.good, i+1), fmt.Appendf(nil, c.want, i+1)
			all.Go(func() {
				for range 100 {
					payload, err := s.schema.AppendEncoded(nil, bytes.Clone(good), codec.Tagged, nil)
					if err != nil {
						t.Errorf("%s: %v", c.format, err)
						return
					}
					if got, err := s.schema.AppendDecoded(nil, payload, codec.Tagged); err != nil || !bytes.Contains(got, want) {
						t.Errorf("%s: got %s, %v", c.format, got, err)
						return
					}
					if _, err := s.schema.AppendEncoded(nil, []byte(c.bad), codec.Tagged, nil); err == nil {
						t.Errorf("%s: %s was taken", c.format, c.bad)
						return
					}
				}
			})
		}
		all.Wait()
	}
}
