package api_test

import (
	"strings"
	"testing"

	"millrace/batch"
	"millrace/internal/testkit"
)

func TestRecordsOfSeveralTopics(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b, func(o *stackOptions) { o.create = false })
		one, two := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 2)
		record := func(topic, more string) string { return `{"topic":"` + topic + `",` + more + `}` }
		post := func(records ...string) reply {
			return s.do(t, "POST", "/topics", `{"records":[`+strings.Join(records, ",")+`]}`, jsonV2)
		}
		at := func(topic, place string) string {
			return `{"topic":"` + topic + `",` + place + `,"error_code":null,"error":null}`
		}
		post(record(two, `"partition":1,"value":"a","headers":[{"key":"h","value":"eA=="}]`), record(one, `"value":{"b": 1}`),
			record(two, `"partition":1,"value":"c","key":"k"`), record(one, `"value":4`)).
			want(t, 200, `{"offsets":[`+at(two, `"partition":1,"offset":0`)+`,`+at(one, `"partition":0,"offset":0`)+`,`+
				at(two, `"partition":1,"offset":1`)+`,`+at(one, `"partition":0,"offset":1`)+`],"key_schema_id":null,"value_schema_id":null}`)
		got := testkit.ReadTopic(t, b, two, 2)
		if string(got[0].Value) != `"a"` || len(got[0].Headers) != 1 || string(got[0].Headers[0].Value) != "x" || string(got[1].Key) != `"k"` || string(got[1].Value) != `"c"` {
			t.Errorf("%s has %v", two, got)
		}
		if got := testkit.ReadTopic(t, b, one, 2); string(got[0].Value) != `{"b":1}` || string(got[1].Value) != "4" {
			t.Errorf("%s has %v", one, got)
		}
		post(record("no-such-topic", `"value":1`), record(one, `"value":5`), record(one, `"partition":7,"value":6`)).
			want(t, 200, `{"offsets":[{"topic":"no-such-topic","partition":null,"offset":null,"error_code":40401,"error":"`).
			want(t, 200, at(one, `"partition":0,"offset":2`)).
			want(t, 200, `{"topic":"`+one+`","partition":null,"offset":null,"error_code":40402,"error":"Topic `+one+` has no partition 7`)
		post(record("no-such-topic", `"value":1`), record("nor-this", `"value":1`)).want(t, 404, `"error_code":40401`)
		post(`{"value":1}`).want(t, 422, `{"error_code":422,"message":"records[0].topic: each record must name its topic"}`)
		post(`{"topic":5,"value":1}`).want(t, 400, `records[0].topic: must be a string`)
		s.do(t, "POST", "/topics/"+one, `{"records":[{"topic":"x","value":1}]}`, jsonV2).want(t, 422, `unrecognized field \"topic\"`)
		s.do(t, "POST", "/topics", `{"records":[]}`, jsonV2).want(t, 422, ``)
		s.do(t, "POST", "/topics", `{"records":[]}`, "Content-Type: application/vnd.kafka.json.v1+json").want(t, 415, ``)
		s.do(t, "POST", "/topics", `{"records":[{"topic":"`+one+`","value":"eA"}]}`, binaryV2).want(t, 200, at(one, `"partition":0,"offset":3`))
	})
}

// Each topic has its own subjects.
func TestSchemasOfSeveralTopics(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)))
	one, two := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	s.do(t, "POST", "/topics", `{"value_schema":"\"string\"","records":[{"topic":"`+one+`","value":"a"},{"topic":"`+two+`","value":"b"}]}`, "Content-Type: "+avroV2).
		want(t, 200, `],"key_schema_id":null,"value_schema_id":1}`)
	if got := testkit.ReadTopic(t, b, two, 1); string(got[0].Value) != "\x00\x00\x00\x00\x01\x02b" {
		t.Errorf("%q", got[0].Value)
	}
}

// All topics of a request are admitted, or none is.
func TestRecordsOfSeveralTopicsAreAdmittedTogether(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, func(o *stackOptions) {
		o.batch = batch.Settings{BufferBytes: 64 << 10, Timeout: o.batch.Timeout, Linger: o.batch.Linger, BatchBytes: o.batch.BatchBytes}
	})
	one, two := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	many := func(topic string) string { return strings.Repeat(`{"topic":"`+topic+`"},`, 150) } // 48 KB of memory
	s.do(t, "POST", "/topics", `{"records":[`+many(one)+many(two)+`{"topic":"`+two+`"}]}`, jsonV2).want(t, 503, `"error_code":50301`)
	s.do(t, "POST", "/topics", `{"records":[`+many(one)+`{"topic":"`+two+`"}]}`, jsonV2).
		want(t, 200, `{"offsets":[{"topic":"`+one+`","partition":0,"offset":0,`)
	if held := s.producer.Held(); held != 0 {
		t.Errorf("%d bytes are still admitted", held)
	}
}
