package api_test

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

// The memory of a produce request is bounded by the node's setting, not by the size that its
// schema expands a few bytes to; concurrent requests share the bound.
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

// Memory that is charged while records are encoded is given back, whatever their result.
func TestEncodingIsCharged(t *testing.T) {
	t.Parallel()
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

// A few bytes in Kafka may be a long text. A response is never longer than its bound, for any
// request; the next response has the rest, and a longer record is returned alone.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	const most, records, symbols = 64 << 10, 200, 40
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)), func(o *stackOptions) { o.consumer.MaxBytes = most })
	topic := testkit.CreateTopic(t, b, 1)
	symbol := strings.Repeat("S", 250)
	value := func(n int) string { return `[` + strings.Repeat(`"`+symbol+`",`, n-1) + `"` + symbol + `"]` }
	body := `{"value_schema":` + strconv.Quote(`{"type":"array","items":{"type":"enum","name":"E","symbols":["`+symbol+`"]}}`) + `,"records":[`
	for i := range records {
		n := symbols
		if i == records/2 {
			n = 1000 // alone: longer than the bound of a response
		}
		body += `{"key":null,"value":` + value(n) + `},`
	}
	avro := "Accept: " + avroV2
	s.do(t, "POST", "/topics/"+topic, strings.TrimSuffix(body, ",")+"]}", "Content-Type: "+avroV2).want(t, 200, `"offset":199`)
	path := "/consumers/" + testkit.Group(t)
	s.do(t, "POST", path, `{"name":"i","format":"avro","auto.offset.reset":"earliest"}`, plainV2).want(t, 200, "")
	path += "/instances/i"
	s.do(t, "POST", path+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
	for name, read := range map[string]func(offset int) reply{
		"instance": func(int) reply { return s.do(t, "GET", path+"/records?timeout=5000", "", avro) },
		"direct": func(offset int) reply {
			return s.do(t, "GET", fmt.Sprintf("/topics/%s/partitions/0/records?offset=%d&timeout=5000", topic, offset), "", avro)
		},
	} {
		for next := 0; next < records; {
			answer := read(next)
			answer.want(t, 200, fmt.Sprintf(`"offset":%d}`, next))
			n := strings.Count(answer.body, `"offset":`)
			if len(answer.body) > most+2 && (n > 1 || next != records/2) {
				t.Fatalf("%s: an answer of %d records from offset %d has %d bytes", name, n, next, len(answer.body))
			}
			next += n
			if want := fmt.Sprintf(`"offset":%d}]`, next-1); !strings.HasSuffix(answer.body, want) {
				t.Fatalf("%s: an answer ends with %q, not %s", name, answer.body[len(answer.body)-50:], want)
			}
		}
	}
	seen := s.follow(t, "/topics/"+topic+"/stream?from=beginning&format=avro")
	for i := range records {
		if e, ok := seen.next(); !ok || len(e.text) < symbols*250 {
			t.Fatalf("the stream ends at %d with %.100q", i, e.text)
		}
	}
}
