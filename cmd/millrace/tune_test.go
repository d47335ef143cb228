package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// TestTune has the node store real records and finds their compression, from
// the topic and from a file.
func TestTune(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	_, url := serve(t, b)
	topic := testkit.CreateTopic(t, b, 2)
	citations := testkit.ParkingCitations(t)[:400]
	body := `{"records":[{"value":` + string(bytes.Join(citations, []byte(`},{"value":`))) + `}]}`
	if status, answer := call(t, "POST", url+"/topics/"+topic, body); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	dir := t.TempDir()
	events := filepath.Join(dir, "events.ndjson")
	if err := os.WriteFile(events, bytes.Join(citations, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string][]string{
		"topic " + topic: {"--topic=" + topic, "--brokers=" + strings.Join(b.Addrs, ",")},
		"file " + events: {"--file=" + events, "--batch=16384", "--rate=50"},
	} {
		page, figures := filepath.Join(dir, "tune.html"), filepath.Join(dir, "tune.json")
		p := testkit.StartMillrace(t, append([]string{"tune", "--plot=" + page, "--json=" + figures}, from...)...)
		if code := p.WaitExit(t, time.Minute); code != 0 {
			t.Fatalf("%s: exit code %d", name, code)
		}
		for _, want := range []string{name + ": 400 records", "fewer than the sample of 20,000", "zstd", "\n  producer.compression.type=", "written: " + page} {
			if !strings.Contains(p.Output(), want) {
				t.Errorf("%s: it does not say %q:\n%s", name, want, p.Output())
			}
		}
		var report struct {
			Records int
			Advice  struct{ Change json.RawMessage }
		}
		text, err := os.ReadFile(figures)
		if err != nil || json.Unmarshal(text, &report) != nil || report.Records != 400 {
			t.Errorf("%s: the JSON holds %+v, %v", name, report, err)
		}
		if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("</html>")) {
			t.Errorf("%s: the page is not whole: %v", name, err)
		}
	}
}

func TestTuneFailsClearly(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	brokers := "--brokers=" + strings.Join(b.Addrs, ",")
	empty := testkit.CreateTopic(t, b, 1)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--topic=" + empty, brokers}, "cannot measure anything: topic " + empty + " is empty"},
		{[]string{"--topic=missing", brokers}, "cannot look up topic missing"},
		{[]string{"--topic=" + empty}, "bootstrap.servers"},
		{[]string{brokers}, "missing flags"},
		{[]string{"--topic=x", "--file=go.mod"}, "--file"},
		{[]string{"--topic=x", "--sample=0"}, "--sample must be 1 or more"},
		{[]string{"--topic=x", "--rate=-1"}, "must not be negative"},
	} {
		p := testkit.StartMillrace(t, append([]string{"tune"}, c.args...)...)
		if code := p.WaitExit(t, 30*time.Second); code == 0 || !strings.Contains(p.Output(), c.want) {
			t.Errorf("%v: exit code %d, want %q:\n%s", c.args, code, c.want, p.Output())
		}
	}
}
