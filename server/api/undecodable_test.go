package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// mixedTopic has the values 0, one that is no JSON, and 1.
func mixedTopic(t *testing.T, b testkit.Broker) string {
	t.Helper()
	topic := testkit.CreateTopic(t, b, 1)
	for _, value := range []string{"0", "\xff", "1"} {
		if err := testkit.Client(t, b).ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return topic
}

// readValues reads until there are n values, which it returns.
func (s *stack) readValues(t *testing.T, url, accept string, n int) string {
	t.Helper()
	var all []string
	for len(all) < n && !t.Failed() {
		body := s.doMoved(t, "GET", url, "", "Accept: "+accept).want(t, 200, "").body
		var records []struct{ Value, Format any }
		if err := json.Unmarshal([]byte(body), &records); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		for _, r := range records {
			text := fmt.Sprint(r.Value)
			if r.Format != nil {
				text += fmt.Sprintf("(%v)", r.Format)
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

// An instance treats records that are not in its format as it was configured at its creation.
func TestInstanceWithUndecodableRecords(t *testing.T) {
	t.Parallel()
	const accept = "application/vnd.kafka.json.v2+json"
	b := testkit.Fake(t).Broker
	topic := mixedTopic(t, b)
	s := start(t, b)
	f := func(how string) (v2, v1 string) {
		t.Helper()
		more := ""
		if how != "" {
			more = `,"on.decode.error":"` + how + `"`
		}
		path := createConsumer(t, s, more)
		s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
		return path + "/records", createConsumer(t, s, more) + "/topics/" + topic
	}
	for how, want := range map[string]string{"skip": "0 1", "Base64": "0 /w==(binary) 1"} {
		v2, v1 := f(how)
		n := len(strings.Fields(want))
		if got := s.readValues(t, v2, accept, n); got != want {
			t.Errorf("%s, v2: %s, want %s", how, got, want)
		}
		if got := s.readValues(t, v1, "application/vnd.kafka.json.v1+json", n); got != want {
			t.Errorf("%s, v1: %s, want %s", how, got, want)
		}
	}
	if n := s.consumers.Stats().Skipped; n != 2 {
		t.Errorf("%d records are counted as skipped", n)
	}
	for _, how := range []string{"", "fail"} {
		v2, v1 := f(how)
		s.readValues(t, v2, accept, 1)
		s.do(t, "GET", v2, "", "Accept: "+accept).want(t, 408, `"error_code":40801`)
		s.readValues(t, v1, "application/vnd.kafka.json.v1+json", 1)
		s.do(t, "GET", v1, "", "Accept: application/vnd.kafka.json.v1+json").want(t, 408, `"error_code":40801`)
	}
	// The instance's stream does the same, unless its query differs.
	v2, _ := f("skip")
	s.follow(t, strings.TrimSuffix(v2, "/records")+"/stream", sse).want(0, 1)
	v2, _ = f("skip")
	s.follow(t, strings.TrimSuffix(v2, "/records")+"/stream?on_decode_error=base64", sse).want(0, `"/w=="`, 1)
	s.do(t, "POST", "/consumers/g", `{"on.decode.error":"cry"}`, plainV2).want(t, 422, `"error_code":42204`)
	s.do(t, "POST", "/consumers/g", `{"on.decode.error":1}`, plainV2).want(t, 422, `"error_code":42204`)
}

// A read whose records are all skipped continues to wait.
func TestReadThatSkipsAllItHas(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b)
	path := createConsumer(t, s, `,"on.decode.error":"skip"`)
	s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	answer := make(chan reply, 1)
	go func() {
		r, err := s.try("GET", path+"/records", "", "Accept: application/vnd.kafka.json.v2+json")
		if err != nil {
			t.Error(err)
		}
		answer <- r
	}()
	for _, value := range []string{"\xff", "{", "7"} {
		if err := testkit.Client(t, b).ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	(<-answer).want(t, 200, `"value":7,`)
}

func TestUndecodableOutlivesItsNode(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := mixedTopic(t, b)
	all := nodes(t, b, 2)
	path := createConsumer(t, all[0], `,"on.decode.error":"base64"`)
	all[0].do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	all[0].drain(t)
	if got := all[1].readValues(t, path+"/records", "application/vnd.kafka.json.v2+json", 3); got != "0 /w==(binary) 1" {
		t.Errorf("after its adoption the instance reads %s", got)
	}
}
