package api_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// Every number in a body of v1 and v2 that the Confluent proxy has may stand in quotes, with blanks
// around it, as its reader takes them; a text that is no number is refused.
func TestNumbersInQuotes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)))
	topic := testkit.CreateTopic(t, b, 2)
	s.do(t, "POST", "/topics/"+topic, `{"key_schema":"\"int\"","value_schema":"\"int\"","records":[{"key":1,"value":1,"partition":0}]}`,
		"Content-Type: "+avroV2).want(t, 200, `"value_schema_id":1`)
	path := "/consumers/" + testkit.Group(t)
	at := path + "/instances/i"
	s.do(t, "POST", path, `{"name":"i"}`, plainV2).want(t, 200, "")
	s.do(t, "POST", at+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	for _, c := range []struct {
		method, path, body, media string
		status                    int
	}{
		{"POST", "/topics/" + topic, `{"key_schema_id":@,"records":[{"key":1}]}`, avroV2, 200},
		{"POST", "/topics/" + topic, `{"value_schema_id":@,"records":[{"value":1}]}`, avroV2, 200},
		{"POST", "/topics/" + topic, `{"records":[{"value":"MQ==","partition":@}]}`, "application/vnd.kafka.binary.v2+json", 200},
		{"POST", "/topics/" + topic, `{"records":[{"value":"MQ==","partition":@}]}`, "application/vnd.kafka.binary.v1+json", 200},
		{"POST", "/topics", `{"records":[{"topic":"` + topic + `","value":"MQ==","partition":@}]}`, "application/vnd.kafka.binary.v2+json", 200},
		{"POST", path, `{"fetch.min.bytes":@}`, "application/vnd.kafka.v2+json", 200},
		{"POST", path, `{"consumer.request.timeout.ms":@}`, "application/vnd.kafka.v2+json", 200},
		{"POST", path + "2", `{"fetch.min.bytes":@}`, "application/vnd.kafka.v1+json", 200},
		{"POST", at + "/assignments", `{"partitions":[{"topic":"` + topic + `","partition":@}]}`, "application/vnd.kafka.v2+json", 204},
		{"POST", at + "/positions", `{"offsets":[{"topic":"` + topic + `","partition":@,"offset":@}]}`, "application/vnd.kafka.v2+json", 204},
		{"POST", at + "/positions", `{"timestamps":[{"topic":"` + topic + `","partition":@,"timestamp":"2026-01-02T03:04:05Z"}]}`, "application/vnd.kafka.v2+json", 204},
		{"POST", at + "/positions/beginning", `{"partitions":[{"topic":"` + topic + `","partition":@}]}`, "application/vnd.kafka.v2+json", 204},
		{"POST", at + "/positions/end", `{"partitions":[{"topic":"` + topic + `","partition":@}]}`, "application/vnd.kafka.v2+json", 204},
		{"POST", at + "/offsets", `{"offsets":[{"topic":"` + topic + `","partition":@,"offset":@}]}`, "application/vnd.kafka.v2+json", 200},
		{"GET", at + "/offsets", `{"partitions":[{"topic":"` + topic + `","partition":@}]}`, "application/vnd.kafka.v2+json", 200},
	} {
		for _, number := range []string{`1`, `"1"`, `" 1 "`} {
			s.do(t, c.method, c.path, strings.ReplaceAll(c.body, "@", number), "Content-Type: "+c.media).want(t, c.status, "")
		}
		for _, none := range []string{`"one"`, `"1.5"`, `""`, `true`} {
			if got := s.do(t, c.method, c.path, strings.ReplaceAll(c.body, "@", none), "Content-Type: "+c.media); got.status != 400 && got.status != 422 {
				t.Errorf("%s %s %s of %s: %d %s", c.method, c.path, c.body, none, got.status, got.body)
			}
		}
	}
}
