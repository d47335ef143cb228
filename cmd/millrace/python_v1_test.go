package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// The PyPI package kafka-rest-client, a client of v1, runs the example of its documentation.
// While the example works on what it has read, the client sends heartbeats: reads with
// max_bytes=1 whose answers it throws away. Records that came meanwhile must not be lost with
// those responses.
func TestPythonClientOfV1(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "clients", "python-v1")
	python := testkit.Python(t, filepath.Join(dir, "requirements.txt"))
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"token","token_type":"bearer","expires_in":3600}`)
	}))
	defer tokens.Close()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		produceOver(t, url, topic, `{"records":[{"value":{"n":0}},{"value":{"n":1}}]}`)
		client := startTalk(t, exec.CommandContext(t.Context(), python, filepath.Join(dir, "consume.py"), url, tokens.URL, topic, testkit.Group(t)), time.Minute)
		client.expect(t, `["polled", [{"n": 0}, {"n": 1}]]`)
		produceOver(t, url, topic, `{"records":[{"value":{"n":2}},{"value":{"n":3}}]}`) // the heartbeat is still to come, and finds something
		client.next()
		client.expect(t, `["heartbeat", 200, []]`)
		client.expect(t, `["polled", [{"n": 2}, {"n": 3}]]`)
		client.end(t)
	})
}

// produceOver writes records in JSON by way of the node.
func produceOver(t *testing.T, url, topic, body string) {
	t.Helper()
	resp, err := http.Post(url+"/topics/"+topic, "application/vnd.kafka.json.v2+json", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, text)
	}
}
