package main

import (
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

func TestIngestPage(t *testing.T) {
	t.Parallel()
	_, url, _ := dev(t)
	testkit.RunReadme(t, filepath.Join(filepath.Dir(readme(t)), "docs", "ingest.md"), url)
}

// The file of routes is read again on SIGHUP, counts as a whole, and is part of check-config.
func TestIngestRoutesAreReloaded(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	file := filepath.Join(t.TempDir(), "routes.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("routes:\n  a: {topic: " + topic + "}\n")
	p, url := serve(t, b, "--set=ingest.routes.file="+file, "--set=ingest.routes.default=false")
	post := func(route string, want int) {
		t.Helper()
		resp, err := http.Post(url+"/ingest/"+route, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("route %s: %s, want %d", route, resp.Status, want)
		}
	}
	post("a", 200)
	post("b", 404)
	write("routes:\n  b: {topic: " + topic + "}\n")
	p.Signal(t, syscall.SIGHUP)
	p.WaitLine(t, `configuration reloaded.*ingest_routes=1`, time.Minute)
	post("a", 404)
	post("b", 200)
	write("routes:\n  c: {}\n  d: {colour: red}\n")
	p.Signal(t, syscall.SIGHUP)
	p.WaitLine(t, `not reloaded, nothing is changed.*routes\.yaml:3: routes\.d\.colour is not known here`, time.Minute)
	post("b", 200)
	post("c", 404)
	testkit.ReadTopic(t, b, topic, 3)
	out, err := exec.CommandContext(t.Context(), testkit.Binary(t), "check-config", "--set=ingest.routes.file="+file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), file+":3: routes.d.colour is not known here") {
		t.Errorf("check-config: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), testkit.Binary(t), "check-config", "--set=ingest.routes.file=/nowhere/routes.yaml").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "ingest.routes.file: cannot open the routes") {
		t.Errorf("check-config: %v\n%s", err, out)
	}
}
