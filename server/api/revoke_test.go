package api_test

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/auth"
	"millrace/internal/testkit"
)

// reload writes files, and has the node read them again.
func (s *stack) reload(t testing.TB, files map[string]string) {
	t.Helper()
	for file, text := range files {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if changed, err := s.access.Reload(); !changed || err != nil {
		t.Fatalf("the files were not read again: %v, %v", changed, err)
	}
}

// wantEnd fails unless the stream ends soon.
func (f *follower) wantEnd(what string) {
	f.t.Helper()
	end := time.AfterFunc(20*time.Second, f.cancel)
	for {
		if _, ok := f.next(); !ok {
			break
		}
	}
	if !end.Stop() {
		f.t.Errorf("%s goes on", what)
	}
}

// A stream ends when its caller may no longer have it: of a topic, of a consumer instance, and the
// v3 stream that produces. Streams whose callers still may go on.
func TestStreamsEndWithTheRight(t *testing.T) {
	t.Parallel()
	d := newDoors(t, testRules)
	s := startV3(t, testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a", "telemetry-b")).Broker, func(o *stackOptions) { o.access = d.settings })
	instance := "/consumers/dash-1/instances/i"
	const v2 = "Content-Type: application/vnd.kafka.v2+json"
	s.do(t, "POST", "/consumers/dash-1", `{"name":"i","format":"json","auto.offset.reset":"earliest"}`, v2, d.dashKey).want(t, 200, "")
	s.do(t, "POST", instance+"/subscription", `{"topics":["telemetry-b"]}`, v2, d.dashKey).want(t, 204, "")
	ofTopic := s.follow(t, "/topics/telemetry-a/stream", d.dashKey)
	ofInstance := s.follow(t, instance+"/stream", d.dashKey)
	ofPassword := s.follow(t, "/topics/telemetry-a/stream", basic("bob", "password"))
	stays := s.follow(t, "/topics/telemetry-a/stream", basic("alice", "wonder"))
	writer := s.stream(t, s.cluster+"/topics/telemetry-a/records", d.writeKey)
	writer.send(value(1))
	writer.want(ok200)

	s.reload(t, map[string]string{d.rules: strings.Replace(testRules, "telemetry-*", "telemetry-b", 1)}) // of the writers
	if rest, err := io.ReadAll(writer.results); err != nil {
		t.Errorf("the stream of v3 goes on for a caller that may no longer produce: %q, %v", rest, err)
	}
	s.reload(t, map[string]string{d.rules: strings.ReplaceAll(testRules, "telemetry-*", "telemetry-b")})
	ofTopic.wantEnd("the stream of a topic that its caller may no longer read")
	s.do(t, "POST", "/topics/telemetry-b", `{"records":[{"value":1}]}`, jsonV2, d.rootKey).want(t, 200, "")
	if e, ok := ofInstance.next(); !ok || string(e.Value) != "1" {
		t.Fatal("the stream of an instance has ended, whose topic its caller may read")
	}
	s.reload(t, map[string]string{d.rules: strings.ReplaceAll(testRules, "telemetry-*", "telemetry-a")})
	ofInstance.wantEnd("the stream of an instance with a topic that its caller may no longer read")

	users, err := os.ReadFile(d.users)
	if err != nil {
		t.Fatal(err)
	}
	s.reload(t, map[string]string{d.users: strings.Replace(string(users), "bob: OBF:1v2j1uum1xtv1zej1zer1xtn1uvk1v1v", "bob: other", 1)})
	ofPassword.wantEnd("the stream of a caller whose password is another one by now")
	s.do(t, "POST", "/topics/telemetry-a", `{"records":[{"value":2}]}`, jsonV2, d.rootKey).want(t, 200, "")
	for {
		e, ok := stays.next()
		if !ok {
			t.Fatal("the stream of a caller with the right to it has ended")
		}
		if string(e.Value) == "2" {
			break
		}
	}
}

// A stream of changes tells of no topic that its caller may no longer see. It ends where the caller
// sees other topics than those it was told of, and goes on where it sees the same.
func TestChangesEndWithTheRight(t *testing.T) {
	t.Parallel()
	d := newDoors(t, "rules: [{who: [key:dash], allow: [describe], topics: ['*']}]")
	b := testkit.Fake(t, kfake.SeedTopics(1, "a-1", "b-1"))
	s := start(t, b.Broker, func(o *stackOptions) { o.access = d.settings })
	events := s.changes(t, d.dashKey)
	events.want(t, "start")
	s.reload(t, map[string]string{d.rules: "rules: [{who: [key:dash], allow: [describe], topics: ['a-*', 'b-*']}]"})
	createElsewhere(t, b.Broker, "b-2")
	if data := events.want(t, "topics"); data != `{"created":["b-2"],"deleted":[],"changed":[]}` {
		t.Errorf("a caller that sees the same by other rules is told %s", data)
	}
	s.reload(t, map[string]string{d.rules: "rules: [{who: [key:dash], allow: [describe], topics: ['a-*']}]"})
	createElsewhere(t, b.Broker, "b-3")
	for events.lines.Scan() {
		if line := events.lines.Text(); strings.Contains(line, "b-3") {
			t.Fatalf("a caller is told of a topic that it may no longer see: %s", line)
		}
	}
	if err := events.lines.Err(); err != nil {
		t.Errorf("the stream has no end in order: %v", err)
	}
}

// A stream ends with the credential that opened it: a key that has an end, and one that is taken
// out of the file.
func TestStreamsEndWithTheirKey(t *testing.T) {
	t.Parallel()
	d := newDoors(t, testRules)
	// The file has whole seconds, as YAML writes a time.
	short, entry, err := auth.NewKey("root", nil, time.Now().Add(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(d.keys)
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(entry, "id: root", "id: dash2", 1)
	if err := os.WriteFile(d.keys, append(keys, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.rules, []byte(strings.ReplaceAll(testRules, "[key:dash]", "[key:dash, key:dash2]")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, testkit.Fake(t, kfake.SeedTopics(1, "telemetry-a")).Broker, func(o *stackOptions) { o.access = d.settings })
	ends := s.follow(t, "/topics/telemetry-a/stream", "X-Api-Key: "+short)
	taken := s.follow(t, "/topics/telemetry-a/stream", d.dashKey)
	ends.wantEnd("the stream of a key that has ended")
	s.do(t, "GET", "/topics/telemetry-a", "", "X-Api-Key: "+short).want(t, 401, "")
	s.reload(t, map[string]string{d.keys: strings.ReplaceAll(string(keys), "id: dash", "id: somebody")})
	taken.wantEnd("the stream of a key that is no longer that of its caller")
}
