package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/internal/testkit"
	"millrace/server"
)

// The bounds of lists in queries.
const maxPartitions, maxKeys, maxKey = 5000, 1000, 4 << 10

// oversized is one request with one thing in it that is too large.
type oversized struct {
	name string // of what is too large, as the refusal has it
	body string
}

// TestEveryBodyIsWalked fails for a route with a body that the test before does
// not know.
func TestEveryBodyIsWalked(t *testing.T) {
	t.Parallel()
	for r := range everything().Routes() {
		if (r.Method == "POST" || r.Method == "PUT") && r.Body == nil && r.Action != server.Produce && r.Action != server.Ingest {
			t.Errorf("nothing bounds the members of the body of %s %s", r.Method, r.Path)
		}
	}
}

// sized are bodies with the member, or one of its elements, larger than it may be
// by some.
func sized(m server.Field, by int) (all []oversized) {
	object := func(value string) string { return "{" + quote(name(m)) + ":" + value + "}" }
	text := func(max int) string { return quote(strings.Repeat("1", max+by)) }
	switch {
	case len(m.Of) > 0:
		var sample []string
		for _, of := range m.Of {
			sample = append(sample, quote(of.Name)+":"+`"1"`)
			for _, inner := range sized(of, by) {
				all = append(all, oversized{inner.name, object("[" + inner.body + "]")})
			}
		}
		all = append(all, oversized{m.Name, object(repeated("{"+strings.Join(sample, ",")+"}", m.Max, by))})
	case m.Each > 0:
		all = append(all,
			oversized{"A topic", object("[" + text(m.Each) + "]")},
			oversized{m.Name, object(repeated(`"t"`, m.Max, by))})
	default:
		all = append(all, oversized{name(m), object(text(m.Max))},
			oversized{name(m), object(strings.Replace(text(m.Max), "1", `\u0031`, 1))})
	}
	return all
}

// name is the member's, or one that stands for any.
func name(m server.Field) string {
	if m.Name == "" {
		return "log.level"
	}
	return m.Name
}

// repeated is a list that is longer than max elements by some, of a body at most.
func repeated(element string, max, by int) string {
	n := max + min(by, (1<<20)/len(element))
	return "[" + strings.Repeat(element+",", n-1) + element + "]"
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// TestBoundsOfPaths has a name in each place of each path that is too long.
func TestBoundsOfPaths(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.server.MaxHeaderBytes = 64 << 10 })
	s.do(t, "POST", "/consumers/g", `{"name":"i"}`, plainV2).want(t, 200, "")
	status := map[string]int{"group": 422, "instance": 422, "topic": 400, "partition": 422}
	for route := range everything().Routes() {
		method, path := route.Method, route.Path
		if strings.HasPrefix(path, "/ui") || strings.HasPrefix(path, "/admin") {
			continue // not there without their settings
		}
		for at, want := range status {
			if !strings.Contains(path, "{"+at+"}") {
				continue
			}
			long := strings.Replace(path, "{"+at+"}", strings.Repeat("x", server.MaxName+1), 1)
			long = strings.NewReplacer("{group}", "g", "{instance}", "i", "{topic}", "t", "{partition}", "0", "{cluster_id}", "kfake").Replace(long)
			body := ""
			if strings.HasPrefix(path, "/topics") && method == "POST" {
				body = `{"records":[{"value":1}]}`
			}
			media := jsonV2
			if strings.HasPrefix(path, "/v3/") || strings.HasPrefix(path, "/ingest/") {
				media = jsonBody
			}
			if slices.Contains(route.Query.Known, "offset") {
				long += "?offset=0"
			}
			if r := s.do(t, method, long, body, media, "Accept: */*"); r.status != want {
				t.Errorf("%s %s with a long %s: %d %s", method, path, at, r.status, r.body)
			}
		}
	}
}

// TestBoundsOfQueries has query parameters that are too long, or too many.
func TestBoundsOfQueries(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.server.MaxHeaderBytes = 1 << 20 })
	topic := testkit.CreateTopic(t, s.broker, 1)
	s.do(t, "POST", "/consumers/g", `{"name":"i"}`, plainV2).want(t, 200, "")
	instance, partition := "/consumers/g/instances/i", "/topics/"+topic+"/partitions/0"
	long := func(max int) string { return strings.Repeat("1", max+1) }
	for _, path := range []string{
		instance + "/records?timeout=" + long(server.MaxWord), instance + "/records?max_bytes=" + long(server.MaxWord),
		instance + "/records?headers=" + long(server.MaxWord), instance + "/records?timestamps=" + long(server.MaxWord),
		instance + "/offsets?partition=0&topic=" + long(server.MaxName),
		instance + "/offsets?topic=t" + strings.Repeat("&partition=1", maxPartitions+1),
		instance + "/topics/" + topic + "?timeout=" + long(server.MaxWord),
		instance + "/stream?on_decode_error=" + long(server.MaxWord),
		partition + "/records?offset=" + long(server.MaxWord), partition + "/records?timestamp=" + long(server.MaxWord),
		partition + "/messages?offset=0&count=" + long(server.MaxWord),
		partition + "/stream?from=" + long(server.MaxWord), partition + "/stream?timestamp=" + long(server.MaxWord),
		partition + "/stream?format=" + long(server.MaxWord), partition + "/stream?key=" + long(maxKey),
		partition + "/stream?key_base64=" + long(2*maxKey),
		partition + "/stream?from=0" + strings.Repeat("&key=1", maxKeys+1),
		"/topics/" + topic + "/stream?partition=0" + strings.Repeat(",0", maxPartitions),
		"/topics?max_age=" + long(server.MaxWord), "/topics?wait=" + long(server.MaxName),
	} {
		if r := s.do(t, "GET", path, "", "Accept: */*"); r.status != 422 || len(r.body) > 1<<10 {
			t.Errorf("GET %.100s…: %d %.300s", path, r.status, r.body)
		}
	}
}

// TestBoundOfAPattern has patterns that fit and that compile to too much.
func TestBoundOfAPattern(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	s.do(t, "POST", "/consumers/g", `{"name":"i"}`, plainV2).want(t, 200, "")
	subscribe := func(pattern string) reply {
		return s.do(t, "POST", "/consumers/g/instances/i/subscription", fmt.Sprintf(`{"topic_pattern":%q}`, pattern), plainV2)
	}
	for _, fits := range []string{
		strings.Repeat(".*", 190), strings.Repeat("topic-[0-9]{1,3}|", 200), "[a-z]{1,999}", strings.Repeat("a[a-z]+|", 100) + "b",
		`(?:dev|prod)[.](?:eu|us|asia)-[a-z]+-\d{1,2}[.]telemetry[.].*`,
	} {
		subscribe(fits).want(t, 204, "")
		s.do(t, "DELETE", "/consumers/g/instances/i/subscription", "").want(t, 204, "")
	}
	for _, large := range []string{
		strings.Repeat("[a-z]{0,900}", 341), strings.Repeat("a{1000}", 585), "([a-z]{0,30}){30}|" + strings.Repeat("x{1000}", 5),
		strings.Repeat(".*", 2048), strings.Repeat(".*", 230), "(?:" + strings.Repeat("a*", 230) + ")*!", strings.Repeat("a[a-z]+|", 250) + "b",
	} {
		subscribe(large).want(t, 422, "too large")
	}
}
