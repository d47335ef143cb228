package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"millrace/internal/testkit"
)

// TestCallsWaitForTheJoin makes the calls that need a membership at once after a
// subscription, which is answered before the group has admitted the instance.
func TestCallsWaitForTheJoin(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"classic", "consumer"} {
		t.Run(protocol, func(t *testing.T) {
			testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) { callBeforeTheJoin(t, b, protocol) })
		})
	}
}

func callBeforeTheJoin(t *testing.T, b testkit.Broker, protocol string) {
	s := start(t, b, func(o *stackOptions) { o.fetch.GroupProtocol = protocol })
	topic := testkit.CreateTopic(t, b, 1)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":10},{"value":11},{"value":12}]}`, jsonV2).want(t, 200, "")
	where := fmt.Sprintf(`{"topic":%q,"partition":0`, topic)
	for name, call := range map[string]struct{ method, path, body, then string }{
		"commit":    {"POST", "/offsets", `{"offsets":[` + where + `,"offset":1}]}`, `"offset":2`},
		"position":  {"POST", "/positions", `{"offsets":[` + where + `,"offset":1}]}`, `"value":11,"partition":0,"offset":1`},
		"time":      {"POST", "/positions", `{"timestamps":[` + where + `,"timestamp":"2000-01-01"}]}`, `"value":10,`},
		"beginning": {"POST", "/positions/beginning", `{"partitions":[` + where + `}]}`, `"value":10,`},
		"all":       {"POST", "/positions/beginning", `{"partitions":[]}`, `"value":10,`},
	} {
		t.Run(name, func(t *testing.T) {
			group := testkit.Group(t)
			s.do(t, "POST", "/consumers/"+group, `{"name":"i","format":"json","auto.offset.reset":"latest"}`, plainV2).want(t, 200, "")
			path := instancePath(group, "i")
			s.do(t, "POST", path+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
			if r := s.do(t, call.method, path+call.path, call.body, plainV2); r.status >= 300 {
				t.Fatalf("%s before the join: %d %s", name, r.status, r.body)
			}
			if name == "commit" {
				s.do(t, "GET", path+"/offsets?topic="+topic+"&partition=0", "").want(t, 200, call.then)
			} else {
				s.do(t, "GET", path+"/records", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, call.then)
			}
			s.do(t, "DELETE", path, "").want(t, 204, "")
		})
	}
}

// TestCallsThatNoJoinHelps makes them where a membership would not help.
func TestCallsThatNoJoinHelps(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic, group := testkit.CreateTopic(t, b, 1), testkit.Group(t)
		path := instancePath(group, "i")
		s.do(t, "POST", "/consumers/"+group, `{"name":"i"}`, plainV2).want(t, 200, "")
		s.do(t, "POST", path+"/subscription", `{"topics":["`+topic+`-none"]}`, plainV2).want(t, 204, "")
		s.do(t, "POST", path+"/offsets", `{"offsets":[{"topic":"`+topic+`-none","partition":0,"offset":1}]}`, plainV2).want(t, 404, "40401")
		s.do(t, "POST", path+"/offsets", `{"offsets":[{"topic":"`+topic+`","partition":7,"offset":1}]}`, plainV2).want(t, 404, "40402")
		s.do(t, "POST", path+"/positions", `{"offsets":[{"topic":"`+topic+`","partition":0,"offset":1}]}`, plainV2).want(t, http.StatusConflict, "40903")
		s.do(t, "POST", path+"/positions/end", `{"partitions":[]}`, plainV2).want(t, 204, "")

		// A member of the group keeps others from committing for it.
		s.do(t, "POST", "/consumers/"+group, `{"name":"member"}`, plainV2).want(t, 200, "")
		s.do(t, "POST", instancePath(group, "member")+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
		commit := `{"offsets":[{"topic":"` + topic + `","partition":0,"offset":1}]}`
		s.do(t, "POST", instancePath(group, "member")+"/offsets", commit, plainV2).want(t, 200, "[]")
		s.do(t, "POST", "/consumers/"+group, `{"name":"other"}`, plainV2).want(t, 200, "")
		s.do(t, "POST", instancePath(group, "other")+"/offsets", commit, plainV2).want(t, http.StatusConflict, "has members")
	})
}
