package main

import (
	"bufio"
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
		cmd := exec.CommandContext(t.Context(), python, filepath.Join(dir, "consume.py"), url, tokens.URL, topic, testkit.Group(t))
		var stderr bytes.Buffer
		cmd.Stderr, cmd.WaitDelay = &stderr, time.Second
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		lines := bufio.NewScanner(out)
		for _, want := range []string{`["polled", [{"n": 0}, {"n": 1}]]`, `["heartbeat", 200, []]`, `["polled", [{"n": 2}, {"n": 3}]]`} {
			if !lines.Scan() || lines.Text() != want {
				_, _ = io.Copy(io.Discard, out)
				_ = cmd.Wait()
				t.Fatalf("the client printed %q, want %q\n%s", lines.Text(), want, &stderr)
			}
			if in != nil { // the heartbeat is still to come, and finds something
				produceOver(t, url, topic, `{"records":[{"value":{"n":2}},{"value":{"n":3}}]}`)
				fmt.Fprintln(in)
				in = nil
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the client ended with %v\n%s", err, &stderr)
		}
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
