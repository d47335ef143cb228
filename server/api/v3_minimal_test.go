package api_test

import (
	"strings"
	"testing"

	"millrace/internal/testkit"
	v3api "millrace/server/v3"
)

// With return=minimal the answers to records of v3 have those alone that are not in Kafka.
func TestV3Minimal(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, func(o *stackOptions) { o.produce = v3api.ProduceSettings{MaxEntries: 10} })
	topic := testkit.CreateTopic(t, b, 1)
	const minimal, good, bad = "Prefer: return=minimal", `{"value":{"type":"JSON","data":1}}`, `{"value":{"type":"BINARY","data":"@@"}}`
	if r := s.do(t, "POST", s.v3(topic)+"/records", good+good+good, plainJSON, minimal); r.status != 200 || r.body != "" {
		t.Errorf("%d %q", r.status, r.body)
	}
	r := s.do(t, "POST", s.v3(topic)+"/records", good+bad+good, plainJSON, minimal)
	if r.want(t, 200, `{"error_code":400,`); strings.Count(r.body, "error_code") != 1 {
		t.Errorf("the answer is %q", r.body)
	}
	entry := func(id, of string) string { return `{"id":"` + id + `",` + of[1:] }
	if r := s.do(t, "POST", s.v3(topic)+"/records:batch", `{"entries":[`+entry("1", good)+`]}`, plainJSON, minimal); r.status != 204 || r.body != "" {
		t.Errorf("%d %q", r.status, r.body)
	}
	s.do(t, "POST", s.v3(topic)+"/records:batch", `{"entries":[`+entry("1", good)+`,`+entry("2", bad)+`]}`, plainJSON, minimal).want(t, 207, `"failures":[{"id":"2","error_code":400`)
	testkit.ReadTopic(t, b, topic, 3+2+1+1)
}
