package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"millrace/internal/testkit"
	"millrace/loadtest"
)

// runLoadtest runs the built program and returns what it printed and its exit
// code.
func runLoadtest(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(testkit.Binary(t), append([]string{"loadtest"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// TestLoadtestDev is the real thing, short: the program loads itself.
func TestLoadtestDev(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "short.yaml")
	write := func(p99 string) {
		text := `
warmup: 300ms
duration: 1s
partitions: 2
flows:
  - {do: produce, records: 10, keys: 20, rate: 100, expect: {p99: ` + p99 + `, errors: 0%}}
  - {name: binary, do: produce, topic: other, format: binary, records: 3, rate: 50, expect: {errors: 0%}}
  - {do: metadata, paths: [/topics, /topics/loadtest/partitions], rate: 100, expect: {errors: 0%}}
  - {do: consume, instances: 1, expect: {errors: 0%}}
`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("30s")
	out, code := runLoadtest(t, "--dev", "--out", dir, file)
	if code != 0 || !strings.Contains(out, "PASSED") || !strings.Contains(out, "1495 acknowledged records: 0 lost, 0 doubled, 0 reordered") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	results, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	r, err := loadtest.ReadResult(results[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Flows[3].Records; got < 900 || r.Process == nil || r.Process.PeakRSS == 0 {
		t.Errorf("the consumer got %d of about 1000 records; process %+v", got, r.Process)
	}
	if _, err := os.Stat(strings.TrimSuffix(results[0], "json") + "html"); err != nil {
		t.Error(err)
	}

	write("1us")
	out, code = runLoadtest(t, "--dev", "--out", dir, "--compare", results[0], file)
	if code != loadtestFailed || !strings.Contains(out, "FAILED: produce: p99") {
		t.Errorf("a missed threshold must end with %d, not %d:\n%s", loadtestFailed, code, out)
	}
}

// between stands in front of a node: answer may answer a request itself, and
// change alters what consumers are given.
func between(t *testing.T, url string, answer func(http.ResponseWriter, *http.Request) bool, change func([]byte) []byte) string {
	t.Helper()
	target, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(resp *http.Response) error {
		if !strings.HasSuffix(resp.Request.URL.Path, "/records") {
			return nil
		}
		body, err := io.ReadAll(resp.Body)
		body = change(body)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return err
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestLoadtestPlantedLoss has a real node, and in front of it a proxy that takes a
// record on its way in, or on its way out: either ends with the exit code for
// that, and is named.
func TestLoadtestPlantedLoss(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	b := testkit.Fake(t)
	s, url := serve(t, b.Broker)
	defer s.Signal(t, os.Interrupt)
	dir := t.TempDir()
	file := filepath.Join(dir, "lossy.yaml")
	text := `
warmup: 0s
duration: 500ms
timeout: 10s
flows:
  - {do: produce, records: 10, rate: 40, expect: {errors: 0%}}
  - {do: consume, expect: {errors: 0%}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	forward := func(http.ResponseWriter, *http.Request) bool { return false }
	same := func(body []byte) []byte { return body }
	var produced atomic.Int32
	swallow := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/topics/") || produced.Add(1) != 5 {
			return false
		}
		slot := `{"partition":0,"offset":0,"error_code":null,"error":null}`
		fmt.Fprintf(w, `{"offsets":[%s],"key_schema_id":null,"value_schema_id":null}`, strings.TrimSuffix(strings.Repeat(slot+",", 10), ","))
		return true
	}
	var once sync.Once
	withhold := func(body []byte) []byte {
		var records []json.RawMessage
		if json.Unmarshal(body, &records) == nil && len(records) > 1 {
			once.Do(func() { body, _ = json.Marshal(records[1:]) })
		}
		return body
	}
	for _, c := range []struct {
		what   string
		answer func(http.ResponseWriter, *http.Request) bool
		change func([]byte) []byte
		code   int
		wants  []string
	}{
		{"nothing", forward, same, 0, []string{"200 acknowledged records: 0 lost", "200 records: 0 repeated, 0 reordered, 0 misplaced, 0 never delivered", "PASSED"}},
		{"on the way in", swallow, same, loadtestFailed, []string{"200 acknowledged records: 10 lost", "FAILED: records lost"}},
		{"on the way out", forward, withhold, loadtestFailed, []string{
			"200 acknowledged records: 0 lost", "1 never delivered", "one was not delivered: partition 0, offset", "FAILED: consume: records never delivered",
		}},
	} {
		out, code := runLoadtest(t, "--url", between(t, url, c.answer, c.change), "--brokers", b.Addrs[0], "--out", dir, file)
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.what, code, c.code)
		}
		for _, want := range c.wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in:\n%s", c.what, want, out)
			}
		}
	}
}

// Avro, of generated events and of one's own with a schema whose text JSON has
// to escape, is read back as what was sent.
func TestLoadtestAvro(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mine.ndjson": `{"at":{"long":1},"kind":"A"}` + "\n" + `{"at":null,"kind":"B"}`,
		"mine.avsc": "{\"type\":\"record\",\"name\":\"Mine\",\"doc\":\"a <b> & \x7f\",\n\t\"fields\":[{\"name\":\"_lt\",\"type\":\"string\"}," +
			`{"name":"at","type":["null","long"]},{"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"]}}]}`,
		"avro.yaml": `
warmup: 300ms
duration: 1s
flows:
  - {name: generated, do: produce, topic: generated, format: avro, records: 10, keys: 5, rate: 50, expect: {errors: 0%}}
  - {name: mine, do: produce, topic: mine, format: avro, records: 3, payload: {file: mine.ndjson, schema: mine.avsc}, rate: 20, expect: {errors: 0%}}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, code := runLoadtest(t, "--dev", "--out", dir, filepath.Join(dir, "avro.yaml"))
	if code != 0 || !strings.Contains(out, "728 acknowledged records: 0 lost, 0 doubled, 0 reordered") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestLoadtestCannotRun(t *testing.T) {
	t.Parallel()
	f := func(want string, args ...string) {
		t.Helper()
		if out, code := runLoadtest(t, args...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("%v: exit code %d, want 1 and %q in:\n%s", args, code, want, out)
		}
	}
	f("cannot reach the proxy", "--url=http://127.0.0.1:1", "produce-1x64")
	f("neither a file nor one of avro, consume", "no-such-scenario")
	f("it must be http://HOST:PORT", "--url=localhost:8082", "produce-1x64")
	f("it must be written Name: value", "--header=secret", "produce-1x64")
	if out, code := runLoadtest(t, "list"); code != 0 || !strings.Contains(out, "produce-1000x16") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if out, code := runLoadtest(t, "targets", "produce-1x64", "--count=3"); code != 0 || strings.Count(out, `"method":"POST"`) != 3 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}
