package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// A key is made, put into the file, and tested against the rules from the command line; the key
// itself is in no output but the one that shows it.
func TestKeysAndRulesByCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys, rules := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "rules.yaml")
	run := func(args ...string) (stdout, stderr string, err error) {
		var out, errs bytes.Buffer
		cmd := exec.Command(testkit.Binary(t), args...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		err = cmd.Run()
		return out.String(), errs.String(), err
	}
	entry, shown, err := run("key", "new", "edge-1", "--roles", "writers", "--expires", "24h")
	if err != nil || !strings.Contains(shown, "mrk_") || strings.Contains(entry, "mrk_") || !strings.Contains(entry, "id: edge-1") {
		t.Fatalf("%v\n%s\n%s", err, entry, shown)
	}
	if err := os.WriteFile(keys, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "rules:\n  - who: [role:writers]\n    allow: [produce]\n    topics: [t*]\n  - who: [\"*\"]\n    deny: [all]\n    topics: [t-secret]\n  - who: [role:writers]\n    allow: [ingest]\n    topics: [web, app, leak, hot, t-secret, t1]\n"
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	routes := filepath.Join(dir, "routes.yaml")
	text = "routes:\n  web: {topic: t1}\n  leak: {topic: t-secret}\n  app: {topic: {query: to, among: [t1, t-secret]}}\n  hot: {topic: t1, overflow: {topic: t-secret, events: 10}}\n"
	if err := os.WriteFile(routes, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := []string{"--set", "bootstrap.servers=none:1", "--set", "authentication.keys.file=" + keys, "--set", "authorization.rules.file=" + rules, "--set", "ingest.routes.file=" + routes}
	for _, c := range []struct {
		who, method, path string
		allowed           bool
		want              string
	}{
		{"key:edge-1", "POST", "/topics/t1", true, "line 2: allow produce to role:writers on topics t*"},
		{"key:edge-1", "post", "/topics/t-secret/partitions/0", false, "line 5: deny all"},
		{"key:edge-1", "GET", "/topics/t1", false, "no rule allows describe to key:edge-1 (roles [writers])"},
		{"key:edge-1", "POST", "/ingest/web", true, "events go to the topic t1: allowed, no rule denies it"},
		{"key:edge-1", "POST", "/ingest/t1", true, "events go to the topic t1"},
		{"key:edge-1", "POST", "/ingest/leak", false, "events go to the topic t-secret: denied, by the rule in line 5: deny all"},
		{"key:edge-1", "POST", "/ingest/app", true, "events may go to the topic t-secret: denied"},
		{"key:edge-1", "POST", "/ingest/hot", false, "events over the rate go to the topic t-secret: denied"},
		{"key:edge-1", "GET", "/ingest/other/pixel.gif", false, "no rule allows ingest"},
		{"anonymous", "GET", "/healthz", true, "open to everyone"},
		{"anonymous", "GET", "/topics", false, ""},
		{"key:none", "GET", "/topics", false, "there is nobody"},
		{"key:edge-1", "GET", "/nothing", false, "no route serves"},
	} {
		args := append([]string{"auth", "test", "--as", c.who}, settings...)
		stdout, stderr, err := run(append(args, c.method, c.path)...)
		if (err == nil) != c.allowed || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%s %s %s: %v\n%s%s", c.who, c.method, c.path, err, stdout, stderr)
		}
	}
}
