package api_test

import (
	"strings"
	"testing"

	"millrace/internal/testkit"
	v3api "millrace/server/v3"
)

func TestV3Batch(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b, func(o *stackOptions) { o.produce = v3api.ProduceSettings{MaxEntries: 10} })
		topic := testkit.CreateTopic(t, b, 1)
		post := func(body string) reply { return s.do(t, "POST", s.v3(topic)+"/records:batch", body, plainJSON) }
		entry := func(id, data string) string { return `{"id":"` + id + `","value":{"type":` + data + `}}` }
		r := post(`{"entries":[` + entry("1", `"JSON","data":1`) + `,` + entry("a_B-9", `"STRING","data":"x"`) + `]}`)
		r.want(t, 207, `{"successes":[{"id":"1","cluster_id":"`).want(t, 207, `"partition_id":0,"offset":0,"timestamp":"2`).
			want(t, 207, `{"id":"a_B-9","cluster_id":"`).want(t, 207, `"value":{"type":"STRING","size":1}}],"failures":[]}`)
		post(`{"entries":[`+entry("1", `"JSON","data":1`)+`,`+entry("2", `"BINARY","data":"@@"`)+`]}`).
			want(t, 207, `{"successes":[{"id":"1",`).want(t, 207, `"value":{"type":"JSON","size":1}}],"failures":[{"id":"2","error_code":400,"message":"Bad Request: `)
		post(`{"entries":[`+entry("1", `"BINARY","data":5`)+`]}`).want(t, 207, `{"successes":[],"failures":[{"id":"1","error_code":400,`)
		post(`{"entries":[{"id":"1","partition_id":9,"value":{"type":"JSON","data":1}},`+entry("2", `"JSON","data":1`)+`]}`).
			want(t, 207, `"failures":[{"id":"1","error_code":40402,`)
		for body, want := range map[string]string{
			`{"entries":[` + entry("1", `"JSON","data":1`) + `,` + entry("1", `"JSON","data":1`) + `]}`: `"message":"Batch entry IDs are not distinct`,
			`{"entries":[]}`:   `"message":"Empty batch."`,
			`{"entries":null}`: `"message":"Empty batch."`,
			`{}`:               `"message":"Empty batch."`,
			``:                 `no body`,
			`null`:             `no body`,
			`{"entries":[` + entry("", `"JSON","data":1`) + `]}`:                                                          `is not a valid id`,
			`{"entries":[` + entry(strings.Repeat("x", 81), `"JSON","data":1`) + `]}`:                                     `is not a valid id`,
			`{"entries":[` + entry("a b", `"JSON","data":1`) + `]}`:                                                       `is not a valid id`,
			`{"entries":[{"value":{"type":"JSON","data":1}}]}`:                                                            `is not a valid id`,
			`{"entries":[` + strings.Repeat(entry("1", `"JSON","data":1`)+",", 10) + entry("2", `"JSON","data":1`) + `]}`: `it may have 10`,
		} {
			post(body).want(t, 422, `{"error_code":42208,`).want(t, 422, want)
		}
		post(`{"entries":[`).want(t, 400, `{"error_code":400,"message":"The body is not valid JSON`)
		post(`{"entries":{}}`).want(t, 400, `{"error_code":400,`)
		post(`{"x":1}`).want(t, 422, `{"error_code":422,`)
		s.do(t, "POST", s.v3(topic)+"/records:batch", `{}`, jsonV2).want(t, 415, ``)
	})
}
