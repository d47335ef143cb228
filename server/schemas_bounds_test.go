package server_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"millrace/internal/testkit"
)

// inflating is a request of 2 kB whose records are each the default of their schema: a
// text of almost a megabyte.
func inflating(id string, records int) string {
	return fmt.Sprintf(`{"value_schema_id":%s,"records":[{"value":{}}%s]}`, id, strings.Repeat(`,{"value":{}}`, records-1))
}

// The memory of a produce request is bounded by what the server has for that, not by
// what its schema makes of a few bytes; requests that come together share it.
func TestDefaultsDoNotFillMemory(t *testing.T) {
	const buffer = 16 << 20
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)), func(o *stackOptions) { o.batch.BufferBytes = buffer })
	topic := testkit.CreateTopic(t, b, 1)
	schema := `{"type":"record","name":"R","fields":[{"name":"s","type":"string","default":"` + strings.Repeat("x", 900_000) + `"}]}`
	plain := "Content-Type: " + avroV2 + "; avro=plain"
	first := s.do(t, "POST", "/topics/"+topic, `{"value_schema":`+strconv.Quote(schema)+`,"records":[{"value":{}}]}`, plain)
	first.want(t, 200, `"offset":0`)
	_, id, _ := strings.Cut(first.body, `"value_schema_id":`)
	id = strings.TrimSuffix(id, "}")

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.do(t, "POST", "/topics/"+topic, inflating(id, 150), plain).want(t, 413, "records[1].value: with it the request costs more memory or time than one may")
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4*buffer {
		t.Errorf("the request took %d MiB of memory", got>>20)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if r := s.do(t, "POST", "/topics/"+topic, inflating(id, 150), plain); r.status != 413 && r.status != 503 {
					t.Errorf("got %d %.200s", r.status, r.body)
				}
			}
		})
	}
	all.Wait()
	if held := s.producer.Held(); held != 0 {
		t.Errorf("%d bytes are still charged to requests that were refused", held)
	}
	s.do(t, "POST", "/topics/"+topic, inflating(id, 1), plain).want(t, 200, `"offset":1`)
}

// What is charged while records are encoded is given back, whatever becomes of them.
func TestEncodingIsCharged(t *testing.T) {
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)), func(o *stackOptions) { o.batch.BufferBytes = 256 << 10 })
	topic := testkit.CreateTopic(t, b, 1)
	body := func(value string) string { return `{"value_schema":"\"string\"","records":[{"value":` + value + `}]}` }
	avro := "Content-Type: " + avroV2
	s.do(t, "POST", "/topics/"+topic, body(strconv.Quote(strings.Repeat("x", 100<<10))), avro).want(t, 200, `"offset":0`)
	s.do(t, "POST", "/topics/"+topic, body(`5`), avro).want(t, 400, "records[0].value: expected string")
	s.do(t, "POST", "/topics/"+topic, body(strconv.Quote(strings.Repeat("x", 200<<10))), avro).want(t, 413, "")
	if held := s.producer.Held(); held != 0 {
		t.Errorf("%d bytes are still charged", held)
	}
}
