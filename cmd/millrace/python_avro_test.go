package main

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// PyPI's kafka-rest, a client of v1 that writes Avro, sends schemas as texts and then by the ids
// that it was answered. It asks for a library of Avro that is for Python 2 alone; it is installed
// without that, and testdata has what the one of today needs in its place.
func TestPythonClientOfAvro(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_CLIENTS", "the client that writes Avro was not tried: it has to be downloaded; `make clients` does")
	t.Parallel()
	dir := filepath.Join("testdata", "clients", "python-avro")
	python := testkit.Python(t, filepath.Join(dir, "requirements.txt"))
	library := t.TempDir()
	install := exec.CommandContext(t.Context(), python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", library, "kafka-rest==0.0.12")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("cannot install kafka-rest: %v\n%s", err, out)
	}
	_, base, _ := dev(t, "--partitions=1")
	node, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	topic := testkit.Topic(t)
	cmd := exec.CommandContext(t.Context(), python, filepath.Join(dir, "produce.py"), "http://"+node.Hostname(), node.Port(), topic)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+library)
	client := startTalk(t, cmd, 2*time.Minute)
	client.expect(t, `["written", 2, 0]`)
	client.next()
	client.expect(t, `["ids", true, true]`)
	client.expect(t, `["written", 4, 0]`)
	client.next()
	client.end(t)
	seen := map[string]any{}
	for _, got := range (pythonClient{rest: base}).consume(t, topic, "avro", 4) {
		event := got.(map[string]any)
		seen[event["n"].(json.Number).String()] = event["note"]
	}
	odd := map[string]any{"string": "odd"}
	if want := map[string]any{"0": nil, "1": odd, "2": nil, "3": odd}; !reflect.DeepEqual(seen, want) {
		t.Errorf("read %v", seen)
	}
}
