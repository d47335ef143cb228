package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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

// Secrets that are planted in settings, files and requests show nowhere: in no line of the log, no
// response, no metric, no setting and no output of a command.
func TestPlantedSecretsShowNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const password, wrong, saslSecret, registrySecret, nodes = "planted-password", "planted-wrong", "planted-sasl", "planted-registry", "planted-secret-of-nodes"
	settings := []string{
		"--set=authentication.passwords.file=" + file("users", "alice: "+password+"\n"),
		"--set=authorization.rules.file=" + file("rules.yaml", "rules:\n  - {who: [user:alice], allow: [all]}\n"),
		"--set=admin.enable=true", "--set=log.level=debug", "--set=request.log=true",
		"--set=client.sasl.mechanism=PLAIN", `--set=client.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="` + saslSecret + `";`,
		"--set=schema.registry.url=http://u:" + registrySecret + "@127.0.0.1:1", "--set=cluster.secret=" + nodes,
	}
	p, url := serve(t, testkit.Fake(t).Broker, settings...)
	texts := map[string]string{}
	send := func(method, path, body, user, pass string) int {
		req, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(user, pass)
		if user == "" {
			req.Header.Set("Authorization", "Bearer "+pass)
		}
		req.Header.Set("X-Api-Key", "planted-key")
		if body != "" {
			req.Header.Set("Content-Type", "application/vnd.kafka.avro.v2+json")
		}
		resp, text := exchange(t, http.DefaultClient, req)
		texts[method+" "+path+" by "+user] += text + fmt.Sprint(resp.Header)
		return resp.StatusCode
	}
	for _, path := range []string{"/", "/topics", "/brokers", "/metrics", "/admin/config", "/ui", "/ui/ui.js", "/nothing", "/openapi.yaml"} {
		if status := send("GET", path, "", "alice", password); status >= 500 {
			t.Errorf("%s: %d", path, status)
		}
		send("GET", path, "", "alice", wrong)
		send("GET", path, "", "", "planted-token")
	}
	send("PUT", "/admin/config", `{"log.level":"`+"debug"+`"}`, "alice", password)
	send("POST", "/topics/t", `{"value_schema_id":1,"records":[{"value":1}]}`, "alice", password) // the registry is away
	out, errs := &bytes.Buffer{}, &bytes.Buffer{}
	cmd := exec.Command(testkit.Binary(t), append([]string{"check-config", "--set=bootstrap.servers=b:1"}, settings...)...)
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	texts["check-config"] = out.String() + errs.String()
	p.Signal(t, syscall.SIGTERM)
	p.WaitExit(t, 20*time.Second)
	texts["the log"] = p.Output()
	if !strings.Contains(texts["the log"], "request refused") || !strings.Contains(texts["the log"], "msg=audit") {
		t.Error("the log has neither the refusals nor the change")
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("alice:" + password))
	for where, text := range texts {
		for _, secret := range []string{password, wrong, saslSecret, registrySecret, nodes, "planted-key", "planted-token", encoded} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %s", where, secret)
			}
		}
	}
}
