package api_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/auth"
	"millrace/internal/testkit"
	"millrace/server"
	"millrace/server/ops"
)

// doors are the callers of a test: a key that may do everything, one that no rule names, and users
// with passwords.
type doors struct {
	settings           auth.Settings
	rootKey, idleKey   string
	writeKey, dashKey  string
	rules, keys, users string // files
}

const testRules = `
rules:
  - who: [key:root]
    allow: [all]
  - who: [role:writers]
    allow: [produce]
    topics: [telemetry-*]
  - who: [key:dash]
    allow: [describe, consume]
    topics: [telemetry-*]
    groups: [dash-*]
  - who: [user:alice, user:bob]
    allow: [describe, produce, consume]
    topics: ["*"]
    groups: ["*"]
  - who: ["*"]
    deny: [describe, produce, consume]
    topics: [secret]
`

// newDoors writes the files of who may do what.
func newDoors(t testing.TB, rules string) *doors {
	t.Helper()
	d := &doors{}
	dir := t.TempDir()
	d.rules, d.keys, d.users = filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "users")
	entries := ""
	for id, to := range map[string]*string{"root": &d.rootKey, "idle": &d.idleKey, "edge": &d.writeKey, "dash": &d.dashKey} {
		var roles []string
		if id == "edge" {
			roles = []string{"writers"}
		}
		secret, entry, err := auth.NewKey(id, roles, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		*to = "X-Api-Key: " + secret
		entries += entry
	}
	// bcrypt of cost 4, as a test waits for it; OBF as Jetty writes it.
	users := "alice: $2a$04$.X10WCscmOo1X4hVidWvV.S0b6/0VuaMEfOcCmMPU84j3glg0/Kh6\nbob: OBF:1v2j1uum1xtv1zej1zer1xtn1uvk1v1v, readers\n"
	for file, text := range map[string]string{d.rules: rules, d.keys: entries, d.users: users} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.settings = auth.Settings{Realm: "test", Passwords: d.users, Keys: d.keys, Rules: d.rules}
	return d
}

func basic(name, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// concrete is a path of a route's template. A file of the dashboard must exist.
func concrete(path string) string {
	return pathParam.ReplaceAllStringFunc(path, func(param string) string {
		switch param {
		case "{partition}":
			return "0"
		case "{file}":
			return "ui.js"
		}
		return "some"
	})
}

// status sends a request and returns its status without waiting for the end of a stream.
func (s *stack) status(t testing.TB, method, path string, headers ...string) (int, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

// Every route says what it does, and is closed to callers without the right to it.
func TestEveryRouteAsksWhoCalls(t *testing.T) {
	t.Parallel()
	d := newDoors(t, testRules)
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
		o.access = d.settings
		o.adminOn, o.ui = true, true
		o.admin = ops.Config{Settings: (&settings{}).show, Change: (&settings{}).change}
		o.consumer.RequestTimeout = 50 * time.Millisecond
	})
	wrong := "X-Api-Key: " + "mrk_" + strings.Repeat("A", 43)
	for rt := range s.server.Routes() {
		path := concrete(rt.Path)
		name := rt.Method + " " + rt.Path
		if rt.Action == auth.Undeclared {
			t.Errorf("%s does not say its Action", name)
			continue
		}
		for _, param := range pathParam.FindAllStringSubmatch(rt.Path, -1) {
			if strings.Contains(rt.Path, "topics/{"+param[1]+"}") && param[1] != "topic" ||
				regexp.MustCompile(`(consumers|consumer-groups)/\{`+param[1]+`\}`).MatchString(rt.Path) && param[1] != "group" && param[1] != "consumer" {
				t.Errorf("%s: the path parameter %s names a topic or group: it must be called topic or group", name, param[1])
			}
		}
		if rt.Resource == server.Topic && !strings.Contains(rt.Path, "{topic}") || rt.Resource == server.Group && !strings.Contains(rt.Path, "{group}") {
			t.Errorf("%s is about a topic or group that its path does not name", name)
		}
		open := rt.Action == auth.Probe
		for _, c := range []struct {
			who, header string
			want        int
		}{{"nobody", "X-None: 1", 401}, {"a wrong key", wrong, 401}, {"a key without a right", d.idleKey, 403}} {
			got, header := s.status(t, rt.Method, path, c.header)
			if open {
				c.want = 200
			}
			if got != c.want {
				t.Errorf("%s by %s: %d, want %d", name, c.who, got, c.want)
			}
			if got == 401 && !strings.Contains(header.Get("WWW-Authenticate"), `Basic realm="test"`) {
				t.Errorf("%s by %s: WWW-Authenticate is %q", name, c.who, header.Get("WWW-Authenticate"))
			}
		}
		if got, _ := s.status(t, rt.Method, path, d.rootKey); got == 401 || got == 403 {
			t.Errorf("%s by the key that may do everything: %d", name, got)
		}
	}
}

// The rules hold for each way to show who one is, by topic and by what is done to it.
func TestRulesHold(t *testing.T) {
	t.Parallel()
	d := newDoors(t, testRules)
	f := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a", "other", "secret"))
	s := start(t, f.Broker, func(o *stackOptions) { o.access = d.settings; o.consumer.RequestTimeout = 50 * time.Millisecond })
	one := `{"records":[{"value":1}]}`
	alice, bob := basic("alice", "wonder"), basic("bob", "password")
	bearer := "Authorization: Bearer " + strings.TrimPrefix(d.writeKey, "X-Api-Key: ")
	for _, c := range []struct {
		method, path, body, who string
		status                  int
		text                    string
	}{
		{"POST", "/topics/telemetry-a", one, d.writeKey, 200, "offsets"},
		{"POST", "/topics/telemetry-a", one, bearer, 200, "offsets"},
		{"POST", "/topics/other", one, d.writeKey, 403, `"error_code":40301`},
		{"GET", "/topics/telemetry-a", "", d.writeKey, 403, "may not describe the topic telemetry-a"},
		{"GET", "/topics/telemetry-none", "", d.writeKey, 403, "may not describe the topic telemetry-none"},
		{"POST", "/topics/other", one, alice, 200, "offsets"},
		{"POST", "/topics/other", one, bob, 200, "offsets"},
		{"POST", "/topics/other", one, basic("bob", "Password"), 401, `"error_code":40101`},
		{"POST", "/topics/other", one, basic("nobody", "password"), 401, "not valid"},
		{"POST", "/topics/other", one, "Authorization: Digest x", 401, "scheme"},
		{"POST", "/topics/other", one, "X-None: 1", 401, "needs credentials"},
		{"POST", "/topics/secret", one, alice, 403, "topic secret"},
		{"POST", "/topics/s%65cret", one, alice, 403, "topic secret"},
		{"GET", "/topics", "", alice, 200, `["other","telemetry-a"]`},
		{"GET", "/topics", "", d.dashKey, 200, `["telemetry-a"]`},
		{"GET", "/topics", "", d.rootKey, 200, `["other","telemetry-a"]`},
		{"GET", "/topics", "", d.writeKey, 403, "topics"},
		{"GET", "/brokers", "", alice, 403, "/brokers"},
		{"GET", "/brokers", "", d.rootKey, 200, "brokers"},
		{"GET", "/topics/telemetry-a/partitions/0/records?offset=0", "", d.writeKey, 403, "consume"},
		{"GET", "/metrics", "", "X-None: 1", 401, ""},
		{"GET", "/healthz", "", "X-None: 1", 200, ""},
	} {
		s.do(t, c.method, c.path, c.body, c.who, jsonV2).want(t, c.status, c.text)
	}
	if log := s.log.String(); !strings.Contains(log, "request refused") || !strings.Contains(log, "caller=key:edge") {
		t.Errorf("refusals are not in the log:\n%s", log)
	}
	wantNoSecrets(t, s.log.String(), d)
}

// wantNoSecrets fails where a text has a key or a password of the test.
func wantNoSecrets(t testing.TB, text string, d *doors) {
	t.Helper()
	for _, secret := range []string{
		strings.TrimPrefix(d.rootKey, "X-Api-Key: "), strings.TrimPrefix(d.writeKey, "X-Api-Key: "), "wonder",
		strings.TrimPrefix(basic("alice", "wonder"), "Authorization: Basic "), ".X10WCscmOo1X4hVidWvV", "1v2j1uum",
	} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret shows: %s…", secret[:5])
		}
	}
}

// An instance is its maker's: for others it is not there, though they may use the group.
func TestInstancesBelongToTheirMaker(t *testing.T) {
	t.Parallel()
	d := newDoors(t, testRules)
	f := testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a", "secret"))
	s := start(t, f.Broker, func(o *stackOptions) { o.access = d.settings; o.consumer.RequestTimeout = 2 * time.Second })
	alice, bob := basic("alice", "wonder"), basic("bob", "password")
	s.do(t, "POST", "/consumers/g", `{"name":"i","format":"json","auto.offset.reset":"earliest"}`, alice, plainV2).want(t, 200, `"instance_id":"i"`)
	const base = "/consumers/g/instances/i"
	for _, c := range [][3]string{
		{"GET", "/subscription", ""},
		{"POST", "/subscription", `{"topics":["telemetry-a"]}`},
		{"DELETE", "/subscription", ""},
		{"POST", "/assignments", `{"partitions":[{"topic":"telemetry-a","partition":0}]}`},
		{"GET", "/assignments", ""},
		{"POST", "/positions", `{"offsets":[{"topic":"telemetry-a","partition":0,"offset":0}]}`},
		{"POST", "/positions/beginning", `{"partitions":[{"topic":"telemetry-a","partition":0}]}`},
		{"POST", "/positions/end", `{"partitions":[{"topic":"telemetry-a","partition":0}]}`},
		{"POST", "/offsets", ""},
		{"GET", "/offsets?topic=telemetry-a&partition=0", ""},
		{"GET", "/records", ""},
		{"GET", "/stream", ""},
		{"GET", "/topics/telemetry-a", ""},
		{"DELETE", "", ""},
	} {
		headers := []string{bob}
		if c[2] != "" {
			headers = append(headers, plainV2)
		}
		got := s.do(t, c[0], base+c[1], c[2], headers...)
		none := s.do(t, c[0], "/consumers/g/instances/none"+c[1], c[2], headers...)
		if got.status != 404 || got.body != none.body {
			t.Errorf("%s %s by another: %d %s, and of an instance that is not there: %s", c[0], c[1], got.status, got.body, none.body)
		}
	}
	s.do(t, "POST", base+"/subscription", `{"topics":["secret"]}`, alice, plainV2).want(t, 403, "topic secret")
	s.do(t, "POST", base+"/subscription", `{"topic_pattern":".*"}`, alice, plainV2).want(t, 403, "topic_pattern")
	s.do(t, "POST", base+"/assignments", `{"partitions":[{"topic":"secret","partition":0}]}`, alice, plainV2).want(t, 403, "topic secret")
	s.do(t, "POST", base+"/subscription", `{"topics":["telemetry-a"]}`, alice, plainV2).want(t, 204, "")
	s.do(t, "POST", "/topics/telemetry-a", `{"records":[{"value":"hello"}]}`, alice, jsonV2).want(t, 200, "offsets")
	read := func() reply {
		return s.do(t, "GET", base+"/records", "", alice, "Accept: application/vnd.kafka.json.v2+json")
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		r := read()
		if strings.Contains(r.body, "hello") {
			break
		}
		if r.status != 200 || time.Now().After(deadline) {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	// A right that is taken away ends the reads of what was subscribed before.
	rules := strings.Replace(testRules, "topics: [secret]", "topics: [secret, telemetry-a]", 1)
	if err := os.WriteFile(d.rules, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := s.access.Reload(); err != nil || !changed {
		t.Fatal(changed, err)
	}
	read().want(t, 403, "telemetry-a")
}

// Without rules about callers, what runs the node is for its own machine.
func TestAdminIsForThisMachineWithoutRules(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
		o.adminOn = true
		o.admin = ops.Config{Settings: (&settings{values: map[string]string{"a": "1"}}).show, Change: (&settings{}).change}
	})
	s.do(t, "GET", "/admin/config", "").want(t, 200, `"a"`)
	for _, h := range []string{"X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9", "Via: 1.1 proxy", "X-Real-Ip: 203.0.113.9"} {
		s.do(t, "GET", "/admin/config", "", h).want(t, 403, "own machine")
	}
	s.do(t, "GET", "/topics", "", "X-Forwarded-For: 203.0.113.9").want(t, 200, "[")
}
