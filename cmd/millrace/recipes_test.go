package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// recipes are the configurations of proxies in deploy/, and how to run one on free ports.
var recipes = map[string]struct {
	path []string
	// run returns the configuration to run: the recipe's text with its addresses replaced, in
	// whatever its place in the program's own configuration is.
	run  func(text, dir string) string
	args func(config, dir string) []string
}{
	"nginx": {
		[]string{"nginx", "millrace.conf"},
		func(text, dir string) string {
			return fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s
}
`, dir, text)
		},
		func(config, dir string) []string {
			return []string{"-c", config, "-e", filepath.Join(dir, "error.log")}
		},
	},
	"haproxy": {
		[]string{"haproxy", "haproxy.cfg"},
		func(text, _ string) string { return strings.Replace(text, "maxconn 20000", "maxconn 500", 1) },
		func(config, _ string) []string { return []string{"-db", "-f", config} },
	},
}

// Behind each proxy, set up as in deploy/, clients get a base_uri that they reach, large batches
// pass, streams come as they are written, and an outage of Kafka is told by the node.
func TestRecipesOfProxies(t *testing.T) {
	t.Parallel()
	for program := range recipes {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			testkit.Needs(t, program)
			b := testkit.Fake(t)
			routes := filepath.Join(t.TempDir(), "routes.yaml")
			if err := os.WriteFile(routes, []byte("routes:\n  app: {topic: app, enrich: {address: full}}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, node := serve(t, b.Broker, "--set=request.max.bytes=33554432", "--set=producer.max.request.size=4194304", "--set=ingest.routes.file="+routes, "--set=forwarded.trusted=127.0.0.1")
			front := recipe(t, program, strings.TrimPrefix(node, "http://"))
			baseURIIsReachable(t, front)
			largeBatchesPass(t, front)
			streamsAreNotHeldBack(t, front)
			addressesAreOfClients(t, b.Broker, front)
			b.Close()
			outageIsTold(t, front)
		})
	}
}

// recipe runs a proxy in front of the node, and returns its URL.
func recipe(t *testing.T, program, node string) string {
	t.Helper()
	r, dir := recipes[program], t.TempDir()
	port := unusedPorts(t, 1)[0]
	text := deployed(t, r.path...)
	for old, new := range map[string]string{
		"server 127.0.0.1:8082": "server " + node, "node-1 127.0.0.1:8082": "node-1 " + node,
		"listen 8080": fmt.Sprintf("listen 127.0.0.1:%d", port), "bind :8080": fmt.Sprintf("bind 127.0.0.1:%d", port),
	} {
		text = strings.ReplaceAll(text, old, new)
	}
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte(r.run(text, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.StartProcess(t, exec.Command(program, r.args(config, dir)...))
	front := fmt.Sprintf("http://localhost:%d", port)
	testkit.Eventually(t, 30*time.Second, program, func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(front, "http://"))
		if err != nil {
			return false
		}
		conn.Close()
		status, _ := call(t, "GET", front+"/readyz", "")
		return status == 200
	})
	return front
}

// addressesAreOfClients sends events from another address of this machine than the proxy's, as one
// request of 4 MB, whose client says that it is somebody else.
func addressesAreOfClients(t *testing.T, b testkit.Broker, front string) {
	t.Helper()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := &http.Client{Transport: &http.Transport{DialContext: from.DialContext}}
	defer client.CloseIdleConnections()
	event := `{"n":"` + strings.Repeat("x", 1<<19) + `"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.Replace(front, "localhost", "127.0.0.1", 1)+"/ingest/app", strings.NewReader(strings.Repeat(event+"\n", 8)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("X-Forwarded-For", "203.0.113.9")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != `{"accepted":8,"refused":0}` {
		t.Fatalf("%s %s, %v", resp.Status, text, err)
	}
	for _, r := range testkit.ReadTopic(t, b, "app", 8) {
		if h := r.Headers[0]; h.Key != "millrace.address" || string(h.Value) != "127.0.0.2" {
			t.Fatalf("%s is %s, not the client's address", h.Key, h.Value)
		}
	}
}

func baseURIIsReachable(t *testing.T, front string) {
	t.Helper()
	status, body := call(t, "POST", front+"/consumers/g", `{"name":"i","format":"json"}`)
	if want := `"base_uri":"` + front + `/consumers/g/instances/i"`; status != 200 || !strings.Contains(body, want) {
		t.Errorf("%d %s, want %s", status, body, want)
	}
	if status, body := call(t, "DELETE", front+"/consumers/g/instances/i", ""); status != 204 {
		t.Errorf("the instance cannot be reached by it: %d %s", status, body)
	}
}

// largeBatchesPass sends more than the proxy's own limit of 1 MB, and more than the node's.
func largeBatchesPass(t *testing.T, front string) {
	t.Helper()
	batch := func(megabytes int) string {
		record := `{"value":"` + strings.Repeat("x", 1000) + `"}`
		return `{"records":[` + strings.Repeat(record+",", megabytes*1000) + record + `]}`
	}
	if status, body := call(t, "POST", front+"/topics/large", batch(8)); status != 200 {
		t.Errorf("8 MB: %d %.200s", status, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", front+"/topics/large", io.LimitReader(endless{}, 40<<20))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 40 << 20
	req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil { // the node hangs up before all has come, and so does the proxy
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 413 || !bytes.Contains(text, []byte("request.max.bytes")) {
		t.Errorf("40 MB: %d %.200s %v, want the node's own answer", resp.StatusCode, text, err)
	}
}

// endless is white space without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func streamsAreNotHeldBack(t *testing.T, front string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", front+"/topics/slow/stream?format=json&from=beginning", nil)
	if err != nil {
		t.Fatal(err)
	}
	call(t, "POST", front+"/topics/slow", `{"records":[{"value":"first"}]}`)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read := func(want string) {
		t.Helper()
		var got []byte
		buf := make([]byte, 4096)
		late := time.AfterFunc(30*time.Second, func() { resp.Body.Close() })
		defer late.Stop()
		for !bytes.Contains(got, []byte(want)) {
			n, err := resp.Body.Read(buf)
			if got = append(got, buf[:n]...); err != nil {
				t.Fatalf("the stream ends with %v before %q: %q", err, want, got)
			}
		}
	}
	read(`"first"`)
	call(t, "POST", front+"/topics/slow", `{"records":[{"value":"second"}]}`)
	read(`"second"`)
}

// outageIsTold wants the node's 503, with its reason and Retry-After, for as long as the outage
// lasts: a proxy that took the node out would answer with one of its own.
func outageIsTold(t *testing.T, front string) {
	t.Helper()
	var last string
	var began time.Time // of the answers that tell
	testkit.Eventually(t, 60*time.Second, "the node's 503, again and again", func() bool {
		resp, err := http.Post(front+"/topics/large", "application/vnd.kafka.json.v2+json", strings.NewReader(`{"records":[{"value":1}]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		last = fmt.Sprint(resp.StatusCode, " ", string(text))
		if resp.StatusCode == 503 && bytes.Contains(text, []byte(`"error_code":50303`)) && resp.Header.Get("Retry-After") != "" {
			if began.IsZero() {
				began = time.Now()
			}
		} else if !began.IsZero() {
			t.Fatalf("after the node's own answer came %s", last)
		}
		return !began.IsZero() && time.Since(began) > 5*time.Second // the proxies' checks are 2 s apart
	})
}
