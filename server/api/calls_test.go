package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// embedded are the formats that media types name.
var embedded = []string{"binary", "json", "avro", "jsonschema", "protobuf"}

// Every call on consumers but a read takes every format's media type, as Content-Type and as
// Accept, and responds with the type that was asked for.
func TestConsumerCallsTakeEveryFormat(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b)
	at := fmt.Sprintf(`[{"topic":%q,"partition":0}]`, topic)
	calls := []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), 204},
		{"GET", "/subscription", "", 200},
		{"DELETE", "/subscription", "", 204},
		{"POST", "/assignments", `{"partitions":` + at + `}`, 204},
		{"GET", "/assignments", "", 200},
		{"POST", "/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":0}]}`, topic), 204},
		{"POST", "/positions/beginning", `{"partitions":` + at + `}`, 204},
		{"POST", "/positions/end", `{"partitions":` + at + `}`, 204},
		{"POST", "/offsets", "", 200},
		{"POST", "/offsets", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":0}]}`, topic), 200},
		{"GET", "/offsets", `{"partitions":` + at + `}`, 200},
		{"DELETE", "", "", 204},
	}
	for _, format := range embedded {
		media := "application/vnd.kafka." + format + ".v2+json"
		headers := []string{"Content-Type: " + media, "Accept: " + media}
		path := "/consumers/" + testkit.Group(t)
		r := s.do(t, "POST", path, `{"name":"i","format":"json"}`, headers...).want(t, 200, `"instance_id":"i"`)
		if got := r.header.Get("Content-Type"); got != media {
			t.Errorf("a consumer was created with %s, answered with %s", media, got)
		}
		for _, c := range calls {
			r := s.do(t, c.method, path+"/instances/i"+c.path, c.body, headers...)
			if r.status != c.status || c.status == 200 && r.header.Get("Content-Type") != media {
				t.Errorf("%s %s with %s: %d %s: %s", c.method, c.path, media, r.status, r.header.Get("Content-Type"), r.body)
			}
		}
	}
}

// The types of v1 that name no version create a consumer of v1, unless Accept asks for v2.
func TestCreateOfUnversionedTypes(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	f := func(content, accept, want string) {
		t.Helper()
		headers := []string{"Content-Type: " + content}
		if accept != "" {
			headers = append(headers, "Accept: "+accept)
		}
		r := s.do(t, "POST", "/consumers/"+testkit.Group(t), `{"format":"binary"}`, headers...).want(t, 200, `"instance_id":`)
		if got := r.header.Get("Content-Type"); got != want {
			t.Errorf("Content-Type %s, Accept %s: answered with %s", content, accept, got)
		}
	}
	const v1, v2 = "application/vnd.kafka.v1+json", "application/vnd.kafka.v2+json"
	for _, content := range []string{"application/json", "application/vnd.kafka+json", "application/octet-stream", "application/vnd.kafka.binary.v1+json"} {
		f(content, "", v1)
		f(content, "*/*", v1)
		f(content, v1, v1)
	}
	f("application/json", v2, v2)
	f("application/json", v2+", */*;q=0.1", v2)
	f("application/json", "application/vnd.kafka.json.v2+json", "application/vnd.kafka.json.v2+json")
	f("application/json", v1+", "+v2+";q=0.5", v1)

	strict := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.rest.Strict = true })
	strict.do(t, "POST", "/consumers/g", `{}`, "Content-Type: application/json", "Accept: "+v2).want(t, 415, "")
	strict.do(t, "POST", "/consumers/g", `{}`, "Content-Type: "+v2, "Accept: application/json").want(t, 406, "")
	strict.do(t, "POST", "/consumers/g", `{}`, "Content-Type: "+v2, "Accept: application/json;q=0.5, "+v2+";q=0.1").want(t, 200, "")
}

// A body of null is no body: what needs one refuses it, what does not goes on without.
func TestNullBodies(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b)
	s.do(t, "POST", "/topics/"+topic, `null`, jsonV2).want(t, 422, `"error_code":422`)
	s.do(t, "POST", "/topics/"+topic, ` null `, binaryV2).want(t, 422, `"error_code":422`)
	i := createConsumer(t, s, "")
	for _, path := range []string{"/subscription", "/assignments", "/positions", "/positions/beginning", "/positions/end"} {
		s.do(t, "POST", i+path, ` null`, plainV2).want(t, 422, `"error_code":422`)
	}
	s.do(t, "GET", i+"/offsets", `null`, plainV2).want(t, 422, `"error_code":422`)
	s.do(t, "POST", "/consumers/"+testkit.Group(t), `null`, plainV2).want(t, 200, `"instance_id":`)
	s.do(t, "POST", i+"/offsets", `null`, plainV2).want(t, 200, `[]`)
	s.do(t, "POST", i+"/offsets", `{"offsets":null}`, plainV2).want(t, 422, `"error_code":422`)
	s.do(t, "POST", i+"/offsets", `{}`, plainV2).want(t, 422, `"error_code":422`)
}

// Kafka's own topics are not listed, and can be looked up.
func TestInternalTopicsAreNotListed(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		s := start(t, b)
		i := createConsumer(t, s, "")
		s.do(t, "POST", i+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
		s.do(t, "POST", i+"/offsets", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":0}]}`, topic), plainV2).want(t, 200, "[]") // so that __consumer_offsets exists
		r := s.do(t, "GET", "/topics?max_age=0", "").want(t, 200, topic)
		for _, name := range []string{"__consumer_offsets", "__transaction_state"} {
			if strings.Contains(r.body, name) {
				t.Errorf("%s is listed: %s", name, r.body)
			}
		}
	})
}

// A topic may be assigned before it exists. It is read from its beginning, whatever the reset
// policy says: what comes after the assignment is not lost.
func TestAssignedBeforeItExists(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic, there := testkit.Group(t), testkit.CreateTopic(t, b, 1)
		path := "/consumers/" + testkit.Group(t)
		s.do(t, "POST", path, `{"name":"i","format":"json","auto.offset.reset":"latest"}`, plainV2).want(t, 200, "")
		path += "/instances/i"
		s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0},{"topic":%q,"partition":0}]}`, topic, there), plainV2).want(t, 204, "")
		s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":7}]}`, there), plainV2).want(t, 404, `"error_code":40402`)
		read := func() reply {
			return s.do(t, "GET", path+"/records?timeout=200", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, "")
		}
		if r := read(); r.body != "[]" {
			t.Errorf("read of a topic that does not exist: %s", r.body)
		}
		s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":"first"}]}`, jsonV2).want(t, 200, `"offset":0`)
		testkit.Eventually(t, 30*time.Second, "the first record of the topic", func() bool { return strings.Contains(read().body, `"first"`) })
	})
}

// Strict mode keeps the kinds of subscriptions apart, as Java's consumer does.
func TestStrictSubscriptions(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topics, pattern := `{"topics":["t"]}`, `{"topic_pattern":"t.*"}`
	for _, strict := range []bool{false, true} {
		s := start(t, b, func(o *stackOptions) { o.rest.Strict = strict })
		for _, order := range [][]string{{topics, pattern}, {pattern, topics}} {
			i := createConsumer(t, s, "") + "/subscription"
			s.do(t, "POST", i, order[0], plainV2).want(t, 204, "")
			s.do(t, "POST", i, order[0], plainV2).want(t, 204, "")
			if strict {
				s.do(t, "POST", i, order[1], plainV2).want(t, 409, `"error_code":40903`)
				s.do(t, "DELETE", i, "").want(t, 204, "")
			}
			s.do(t, "POST", i, order[1], plainV2).want(t, 204, "")
		}
	}
}
