package rest

import (
	"fmt"
	"testing"

	"millrace/codec"
)

// A Content-Type is parsed the same whether it is cached or not, and the cache is bounded.
func TestContents(t *testing.T) {
	var c contents
	for round := range 2 {
		for header, want := range map[string]content{
			"application/vnd.kafka.avro.v2+json; avro=plain":           {"application/vnd.kafka.avro.v2+json", mediaType{v2, codec.Avro, true}, true, "plain"},
			"Application/Vnd.Kafka.JSON.V1+json;charset=utf-8":         {"application/vnd.kafka.json.v1+json", mediaType{v1, codec.JSON, true}, true, ""},
			"application/vnd.kafka.avro.v2+json; AVRO=\"tagged\"; x=1": {"application/vnd.kafka.avro.v2+json", mediaType{v2, codec.Avro, true}, true, "tagged"},
			"application/vnd.kafka.v2+json":                            {"application/vnd.kafka.v2+json", mediaType{version: v2}, true, ""},
			"text/plain":                                               {"text/plain", mediaType{}, false, ""},
		} {
			got, err := c.parse([]byte(header))
			if err != nil || *got != want {
				t.Errorf("round %d, %s: got %+v, %v", round, header, got, err)
			}
		}
		if got, err := c.parse([]byte("no media type; =")); err == nil {
			t.Errorf("got %+v", got)
		}
	}
	if n := len(*c.known.Load()); n != 5 {
		t.Errorf("%d are remembered", n)
	}
	for i := range 10 * maxContents {
		if got, err := c.parse(fmt.Appendf(nil, "text/x%d", i)); err != nil || got.name != fmt.Sprintf("text/x%d", i) {
			t.Fatalf("got %+v, %v", got, err)
		}
		if n := len(*c.known.Load()); n > maxContents {
			t.Fatalf("%d are remembered", n)
		}
	}
}
