package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

func TestConsumerExchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 2)
		s := start(t, b)
		testkit.RunExchanges(t, "testdata/consumers.txt", s.base, map[string]string{
			"topic": topic, "json": testkit.Group(t), "binary": testkit.Group(t),
		})
	})
}

// createConsumer creates an instance of the format json and returns its path.
func createConsumer(t *testing.T, s *stack, more string) string {
	t.Helper()
	path := "/consumers/" + testkit.Group(t)
	s.do(t, "POST", path, `{"name":"i","format":"json","auto.offset.reset":"earliest"`+more+`}`, plainV2).want(t, 200, `"instance_id":"i"`)
	return path + "/instances/i"
}

func TestConsumerBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b)
	i := createConsumer(t, s, "")
	f := func(path, body string, status, code int) {
		t.Helper()
		s.do(t, "POST", path, body, plainV2).want(t, status, fmt.Sprintf(`{"error_code":%d,`, code))
	}
	s.do(t, "POST", i+"/subscription", `{"topics":["t"]}`, "Content-Type: application/json").want(t, 415, "")

	f("/consumers/g", `{`, 400, 400)
	f("/consumers/g", `[]`, 400, 400)
	f("/consumers/g", `{} x`, 400, 400)
	f("/consumers/g", "{\"name\":\"\xff\"}", 400, 400)
	f("/consumers/g", `{"nmae":"x"}`, 422, 422)
	f("/consumers/g", `{"format":"xml"}`, 422, 422)
	f("/consumers/g", `{"format":""}`, 422, 422)
	f("/consumers/g", `{"format":["json"]}`, 422, 422)
	f("/consumers/g", `{"format":"avro"}`, 422, 422)
	f("/consumers/g", `{"name":7}`, 422, 42204)
	f("/consumers/g", `{"auto.offset.reset":"smallest"}`, 422, 42204)
	f("/consumers/g", `{"auto.offset.reset":{}}`, 422, 42204)
	f("/consumers/g", `{"auto.commit.enable":"maybe"}`, 422, 42204)
	f("/consumers/g", `{"auto.commit.enable":"T"}`, 422, 42204)
	f("/consumers/g", `{"auto.commit.enable":"1"}`, 422, 42204)
	f("/consumers/g", `{"auto.commit.enable":0}`, 422, 42204)
	f("/consumers/g", `{"auto.commit.enable":""}`, 422, 42204)
	f("/consumers/g", `{"fetch.min.bytes":""}`, 422, 42204)
	f("/consumers/g", `{"isolation.level":"none"}`, 422, 42204)
	f("/consumers/g", `{"consumer.request.timeout.ms":"soon"}`, 422, 42204)
	f("/consumers/g", `{"consumer.request.timeout.ms":-1}`, 422, 42204)
	f("/consumers/g", `{"fetch.min.bytes":10000001}`, 422, 40001)
	f("/consumers/g", `{"fetch.min.bytes":99999999999999}`, 422, 40001)
	f("/consumers/g", `{"fetch.min.bytes":-2}`, 422, 40001)
	f("/consumers/g", `{"fetch.min.bytes":1.5}`, 422, 42204)

	f(i+"/subscription", ``, 422, 422)
	f(i+"/subscription", `{}`, 422, 422)
	f(i+"/subscription", `{"topics":null}`, 422, 422)
	f(i+"/subscription", `{"topics":"t"}`, 400, 400)
	f(i+"/subscription", `{"topics":[1]}`, 400, 400)
	f(i+"/subscription", `{"topics":[""]}`, 422, 422)
	f(i+"/subscription", `{"topics":[null]}`, 422, 422)
	f(i+"/subscription", `{"topics":["t"],"topic_pattern":"t"}`, 409, 40903)
	f(i+"/subscription", `{"topic_pattern":"("}`, 422, 422)
	f(i+"/subscription", `{"topic_pattern":"\\Qa"}`, 422, 422)   // valid only by itself
	f(i+"/subscription", `{"topic_pattern":"a)(?:b"}`, 422, 422) // valid only as a part
	f(i+"/subscription", `{"Topics":["t"]}`, 422, 422)

	f(i+"/assignments", `{}`, 422, 422)
	f(i+"/assignments", `{"partitions":[{"topic":"t"}]}`, 422, 422)
	f(i+"/assignments", `{"partitions":[{"topic":"t","partition":0,"offset":1}]}`, 422, 422)
	f(i+"/assignments", `{"partitions":[{"topic":"t","partition":"x"}]}`, 400, 400)
	f(i+"/assignments", `{"partitions":[{"topic":"t","partition":3000000000}]}`, 400, 400)
	f(i+"/assignments", `{"partitions":[3]}`, 400, 400)
	f(i+"/assignments", `{"partitions":[{"topic":"`+topic+`","partition":7}]}`, 404, 40402)

	f(i+"/positions", ``, 422, 422)
	f(i+"/positions", `{"offsets":[{"topic":"t","partition":0}]}`, 422, 422)
	f(i+"/positions", `{"timestamps":[{"topic":"t","partition":0}]}`, 422, 422)
	f(i+"/positions", `{"timestamps":[{"topic":"t","partition":0,"timestamp":"yesterday"}]}`, 400, 400)
	f(i+"/positions", `{"offsets":[{"topic":"t","partition":0,"offset":0}]}`, 409, 40903)
	f(i+"/offsets", `{"offsets":[{"topic":"t","partition":0}]}`, 422, 422)
	f(i+"/offsets", `{"offsets":[{"topic":"`+topic+`","partition":0,"offset":9223372036854775807}]}`, 422, 422)
	f(i+"/offsets", `{"offsets":[{"topic":"`+topic+`","partition":7,"offset":0}]}`, 404, 40402)
	f(i+"/offsets", `{"offsets":[{"topic":"no-such","partition":0,"offset":0}]}`, 404, 40401)
	f(i+"/offsets", `{"timestamps":[]}`, 422, 422)
	f(i+"/offsets?async=perhaps", ``, 400, 400)
	f("/consumers/g/instances/none/offsets", ``, 404, 40403)

	s.do(t, "GET", i+"/offsets", "").want(t, 422, "")
	s.do(t, "GET", i+"/offsets?topic=t", "").want(t, 422, "")
	s.do(t, "GET", i+"/offsets?topic=t&partition=x", "").want(t, 400, "")
}

func TestReadRecordsNegotiation(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	i := createConsumer(t, s, "") + "/records"
	f := func(query, accept string, status, code int) {
		t.Helper()
		var headers []string
		if accept != "" {
			headers = []string{"Accept: " + accept}
		}
		s.do(t, "GET", i+query, "", headers...).want(t, status, fmt.Sprintf(`{"error_code":%d,`, code))
	}
	f("", "", 406, 40601)
	f("", "*/*", 406, 40601)
	f("", "application/vnd.kafka.v2+json", 406, 40601)
	f("", "application/vnd.kafka.binary.v2+json", 406, 40601)
	f("", "application/vnd.kafka.avro.v2+json", 406, 40601)
	f("", "text/html", 406, 406)
	const json = "application/vnd.kafka.json.v2+json"
	f("?timeout=soon", json, 400, 400)
	f("?timeout=", json, 400, 400)
	f("?max_bytes=1e3", json, 400, 400)
	f("?headers=1", json, 400, 400)
	f("?timeout=100&max_bytes=100&headers=true&timestamps=false", json, 409, 40903) // only the subscription is missing
}

func TestAsyncCommit(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b)
	i := createConsumer(t, s, "")
	s.do(t, "POST", i+"/offsets?async=true", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":41}]}`, topic), plainV2).want(t, 200, "[]")
	testkit.Eventually(t, 20*time.Second, "the commit", func() bool {
		return strings.Contains(s.do(t, "GET", i+"/offsets?partition=0&topic="+topic, "").body, `"offset":42`)
	})
}

// TestReadTimeouts: 0 does not wait, a negative one means the instance's.
func TestReadTimeouts(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b)
	took := func(more, query string) time.Duration {
		t.Helper()
		path := createConsumer(t, s, more)
		s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
		began := time.Now()
		s.do(t, "GET", path+"/records"+query, "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, "[]")
		return time.Since(began)
	}
	const long = 5 * time.Second // the node's setting is twice that
	if d := took("", "?timeout=0"); d > long {
		t.Errorf("a read with the timeout 0 took %v", d)
	}
	const short = `,"consumer.request.timeout.ms":200`
	for _, query := range []string{"", "?timeout=-1", "?timeout=60000"} {
		if d := took(short, query); d < 200*time.Millisecond || d > long {
			t.Errorf("%q: a read of an instance whose timeout is 200 ms took %v", query, d)
		}
	}
}

// TestClientsMistakesAreNotLogged: the client gets an error, and the operator's log does not.
func TestClientsMistakesAreNotLogged(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s := start(t, b.Broker)
	i := createConsumer(t, s, "")
	s.do(t, "POST", i+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
	testkit.Eventually(t, 20*time.Second, "the assignment", func() bool {
		return strings.Contains(s.do(t, "GET", i+"/assignments", "").body, `"partition":0`)
	})
	s.do(t, "POST", i+"/offsets", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":7,"offset":0}]}`, topic), plainV2).want(t, 404, `"error_code":40402`)

	defer b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Err: kerr.GroupAuthorizationFailed, Count: -1}).Remove()
	i = createConsumer(t, s, "")
	s.do(t, "POST", i+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
	s.do(t, "GET", i+"/records", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 403, `"error_code":40301`)
	if log := s.log.String(); strings.Contains(log, "level=") {
		t.Errorf("the log is\n%s", log)
	}
}

func TestBaseURI(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	f := func(want, advertised, host string) {
		t.Helper()
		s := start(t, b, func(o *stackOptions) { o.server.Advertised, o.server.HostName = advertised, host })
		want = strings.ReplaceAll(want, "PORT", s.addr[strings.LastIndexByte(s.addr, ':')+1:])
		s.do(t, "POST", "/consumers/g", `{"name":"i"}`, plainV2, "X-Forwarded-Host: ignored").want(t, 200, `"base_uri":"`+want+`/consumers/g/instances/i"`)
	}
	f("https://api.example/kafka", "https://api.example/kafka/", "host")
	f("http://host.example:PORT", "", "host.example")
	f("http://[2001:db8::1]:PORT", "", "2001:db8::1")
}

func TestBaseURIOfAForwardedRequest(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	f := func(want string, headers ...string) {
		t.Helper()
		headers = append(headers, plainV2)
		s.do(t, "POST", "/consumers/"+testkit.Group(t), ``, headers...).want(t, 200, `"base_uri":"`+want+`/consumers/`)
	}
	f(s.base)
	f("https://"+s.addr, "X-Forwarded-Proto: HTTPS")
	f("https://kafka.example:8443", "X-Forwarded-Proto: https, http", "X-Forwarded-Host: kafka.example:8443, inner")
	f("http://[2001:db8::1]:80", "X-Forwarded-Host: [2001:db8::1]:80")
	f(s.base, "X-Forwarded-Proto: javascript")
	f(s.base, "X-Forwarded-Proto: http://evil.example/?")
	for _, host := range []string{"evil.example/path", "user@evil.example", "evil.example?", "evil example", `evil\example`, "evil#", "%2F", "<b>", "é"} {
		f(s.base, "X-Forwarded-Host: "+host)
	}
}

// HEAD responds as GET would, but consumes no records.
func TestHeadOfRecordsTakesNone(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":0},{"value":1}]}`, jsonV2).want(t, 200, "offset")
	instance := s.consumer(t, `{"format":"json","auto.offset.reset":"earliest"}`)
	s.do(t, "POST", instance+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
	const accept = "Accept: application/vnd.kafka.json.v2+json"
	s.do(t, "GET", instance+"/records?max_bytes=1", "", accept).want(t, 200, `"offset":0`)
	s.do(t, "HEAD", instance+"/records?max_bytes=1", "", accept).want(t, 200, "")
	s.do(t, "HEAD", instance+"/records", "", "Accept: text/plain").want(t, 406, "")
	s.do(t, "GET", instance+"/records?max_bytes=1", "", accept).want(t, 200, `"offset":1`)
}

// A v1 read with max_bytes=1 keeps an instance alive and consumes no record.
func TestKeepAliveOfV1(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":10},{"value":11}]}`, jsonV2).want(t, 200, "offset")
	i := createConsumer(t, s, "")
	const accept = "Accept: application/vnd.kafka.json.v1+json"
	for range 3 {
		if r := s.do(t, "GET", i+"/topics/"+topic+"?max_bytes=1", "", accept).want(t, 200, ""); r.body != "[]" {
			t.Fatalf("a read that keeps alive is answered %s", r.body)
		}
	}
	s.do(t, "GET", i+"/topics/unheard-of?max_bytes=1", "", accept).want(t, 409, `"error_code":40901`)
	s.do(t, "GET", i+"/topics/"+topic+"?max_bytes=2", "", accept).want(t, 200, `"value":10,`)
	s.do(t, "GET", i+"/topics/"+topic+"?max_bytes=1", "", accept).want(t, 200, "[]")
	s.do(t, "POST", i+"/offsets", "", "Content-Type: application/vnd.kafka.v1+json").want(t, 200, `"consumed":0,"committed":0`)
}
