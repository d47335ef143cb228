package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// meeting is the topic of the nodes of [asNode].
const meeting = "_millrace-test"

// No request reaches the topic in which the nodes meet: neither by its name, in
// whatever spelling, nor by the names of its partitions.
func TestTopicOfTheNodesIsReserved(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := nodes(t, b, 1)[0]
	before := logEnd(t, b, meeting)
	const records, recordsV1 = `{"records":[{"key":["instance","g","i"],"value":{}}]}`, `{"records":[{"value":"AA=="}]}`
	const binaryV1 = "Content-Type: application/vnd.kafka.binary.v1+json"
	for _, name := range []string{meeting, strings.ReplaceAll(meeting, "_", "%5F"), "%5f%6d" + strings.TrimPrefix(meeting, "_m")} {
		topic, partition := "/topics/"+name, "/topics/"+name+"/partitions/0"
		for _, c := range []struct{ method, path, body, media string }{
			{"POST", topic, records, jsonV2},
			{"POST", topic, recordsV1, binaryV2},
			{"POST", topic, recordsV1, binaryV1},
			{"POST", partition, records, jsonV2},
			{"POST", partition, recordsV1, binaryV1},
			{"GET", topic, "", ""},
			{"GET", topic + "?wait=x,10s", "", ""},
			{"GET", topic + "/partitions", "", ""},
			{"GET", partition, "", ""},
			{"GET", partition + "/offsets", "", ""},
			{"GET", partition + "/records?offset=0", "", "Accept: application/vnd.kafka.binary.v2+json"},
			{"GET", partition + "/records?timestamp=0", "", "Accept: application/vnd.kafka.binary.v2+json"},
			{"GET", partition + "/messages?offset=0", "", "Accept: application/vnd.kafka.binary.v1+json"},
			{"GET", topic + "/stream?from=beginning&format=binary", "", ""},
			{"GET", partition + "/stream?from=0&format=binary", "", "Accept: text/event-stream"},
		} {
			headers := []string{"X-Nothing: 0"}
			if c.media != "" {
				headers[0] = c.media
			}
			if r := s.do(t, c.method, c.path, c.body, headers...); r.status != http.StatusForbidden || !strings.Contains(r.body, "40301") {
				t.Errorf("%s %s with %q was answered %d %s", c.method, c.path, c.media, r.status, r.body)
			}
		}
	}
	for _, path := range []string{"/topics", "/topics?max_age=0"} {
		if r := s.do(t, "GET", path, "").want(t, 200, ""); strings.Contains(r.body, meeting) {
			t.Errorf("%s lists it: %s", path, r.body)
		}
	}
	s.do(t, "GET", "/metrics", "").want(t, 200, "")
	if after := readBack(t, b, meeting, before); strings.Contains(after, `["instance","g","i"]`) {
		t.Errorf("a record of a client came into the topic: %s", after)
	}
}

// Nor does a consumer instance.
func TestNoInstanceReadsTheTopicOfTheNodes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := nodes(t, b, 1)[0]
	topic := testkit.CreateTopic(t, b, 1)
	offsets := fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":0}]}`, meeting)
	both := fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0},{"topic":%q,"partition":0}]}`, topic, meeting)
	only := fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, meeting)
	i := createConsumer(t, s, "")
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/subscription", fmt.Sprintf(`{"topics":[%q]}`, meeting)},
		{"POST", "/subscription", fmt.Sprintf(`{"topics":[%q,%q]}`, topic, meeting)},
		{"POST", "/assignments", both},
		{"POST", "/positions", offsets},
		{"POST", "/positions", fmt.Sprintf(`{"timestamps":[{"topic":%q,"partition":0,"timestamp":"2026-01-31T12:00:00Z"}]}`, meeting)},
		{"POST", "/positions/beginning", only},
		{"POST", "/positions/end", only},
		{"POST", "/offsets", offsets},
		{"POST", "/offsets?async=true", offsets},
		{"GET", "/offsets?partition=0&topic=" + meeting, ""},
		{"GET", "/offsets", only},
		{"GET", "/topics/" + meeting, ""},
		{"GET", "/topics/%5F" + meeting[1:], ""},
	} {
		headers := []string{plainV2}
		if strings.HasPrefix(c.path, "/topics") {
			headers = []string{"Accept: application/vnd.kafka.json.v1+json"}
		}
		if r := s.do(t, c.method, i+c.path, c.body, headers...); r.status != http.StatusForbidden || !strings.Contains(r.body, "40301") {
			t.Errorf("%s %s %s was answered %d %s", c.method, c.path, c.body, r.status, r.body)
		}
	}
	for _, protocol := range []string{"classic", "consumer"} {
		t.Run("pattern "+protocol, func(t *testing.T) {
			s := start(t, b, asNode("node-"+protocol), func(o *stackOptions) { o.fetch.GroupProtocol = protocol })
			i := createConsumer(t, s, "")
			s.do(t, "POST", i+"/subscription", `{"topic_pattern":".*"}`, plainV2).want(t, 204, "")
			produceNumbers(t, b, testkit.CreateTopic(t, b, 2), 0, 10)
			got := tally{}
			var all strings.Builder
			testkit.Eventually(t, 30*time.Second, "the records of other topics", func() bool {
				r := got.readFrom(t, s, i)
				all.WriteString(r.body)
				return len(got) == 10
			})
			r := s.do(t, "GET", i+"/subscription", "").want(t, 200, topic)
			if text := all.String() + r.body + s.do(t, "GET", i+"/assignments", "").body; strings.Contains(text, meeting) {
				t.Errorf("a pattern of all topics matches it: %s", text)
			}
		})
	}
}

// A node on its own keeps from it as well, where the nodes are others.
func TestReservedTopicOfOthers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	nodes(t, b, 1)
	alone := start(t, b, func(o *stackOptions) { o.reserved = meeting })
	alone.do(t, "POST", "/topics/"+meeting, `{"records":[{"value":1}]}`, jsonV2).want(t, 403, "40301")
	alone.do(t, "GET", "/topics/"+meeting+"/partitions/0/records?offset=0", "", "Accept: application/vnd.kafka.binary.v2+json").want(t, 403, "40301")
}

// logEnd is the end of partition 0 of a topic.
func logEnd(t *testing.T, b testkit.Broker, topic string) int64 {
	t.Helper()
	ends, err := kadm.NewClient(testkit.Client(t, b)).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	return end.Offset
}

// readBack is the text of the records of partition 0 from an offset on.
func readBack(t *testing.T, b testkit.Broker, topic string, from int64) string {
	t.Helper()
	end := logEnd(t, b, topic)
	cl := testkit.Client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(from)}}))
	var text strings.Builder
	for at := from; at < end; {
		cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			at = r.Offset + 1
			fmt.Fprintf(&text, "%s=%s\n", r.Key, r.Value)
		})
	}
	return text.String()
}
