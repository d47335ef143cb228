package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// ran is a command that has ended.
type ran struct {
	code           int
	stdout, stderr string
}

// ranMillrace runs the program to its end.
func ranMillrace(t *testing.T, args ...string) ran {
	t.Helper()
	binary := testkit.Binary(t) // building it does not count
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// A command line that is wrong is answered with one line, which says where its help is.
func TestWrongCommandLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"serve", "--no-such-flag"}, []string{"--no-such-flag", "millrace serve --help"}},
		{[]string{"loadtest", "run", "--duraton=1s", "mixed"}, []string{"--duraton", `--duration`, "millrace loadtest run --help"}},
		{[]string{"dev", "--port=70000"}, []string{"--port must be from 0 to 65535", "millrace dev --help"}},
		{[]string{"key", "new", "--expires=-1h", "edge-1"}, []string{"--expires must not be negative", "millrace key new --help"}},
		{[]string{"dead", "replay", "--spool=.", "--since=-1h"}, []string{"--since must not be negative", "millrace dead replay --help"}},
		{[]string{"dead", "show", "--topic=t", "--limit=-1"}, []string{"--limit must not be negative", "millrace dead show --help"}},
		{[]string{"sevre"}, []string{"sevre", `serve`, "millrace --help"}},
		{[]string{}, []string{"serve", "millrace --help"}},
	} {
		got := ranMillrace(t, c.args...)
		if got.code != 80 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%q ends with %d and prints %q and %q", c.args, got.code, got.stdout, got.stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%q does not name %q: %s", c.args, want, got.stderr)
			}
		}
	}
}

func TestVersionFlag(t *testing.T) {
	t.Parallel()
	if flag, command := ranMillrace(t, "--version"), ranMillrace(t, "version"); flag != command || flag.code != 0 {
		t.Errorf("--version: %+v\nversion: %+v", flag, command)
	}
}

func TestDevPort(t *testing.T) {
	t.Parallel()
	port := strconv.Itoa(unusedPorts(t, 1)[0])
	p := testkit.StartMillrace(t, "dev", "--port="+port, "--kafka-port=0", "--registry-port=0")
	p.WaitLine(t, "Stop with Ctrl-C", 20*time.Second)
	if status, body := call(t, "GET", "http://127.0.0.1:"+port+"/topics", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

// The settings and the pages are in the program, and its messages name no file of the source.
func TestReferenceIsInTheProgram(t *testing.T) {
	t.Parallel()
	all := ranMillrace(t, "settings")
	if lines := strings.Count(all.stdout, "\n"); all.code != 0 || lines < 200 {
		t.Errorf("%d lines, exit code %d: %s", lines, all.code, all.stderr)
	}
	one := ranMillrace(t, "settings", "producer.linger.ms")
	for _, want := range []string{"producer.linger.ms\n", "default   5\n", "KAFKA_REST_PRODUCER_LINGER_MS"} {
		if !strings.Contains(one.stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, one.stdout)
		}
	}
	none := ranMillrace(t, "settings", "no.such.setting")
	if none.code != 1 || !strings.Contains(none.stderr, "`millrace settings` lists all") {
		t.Errorf("%+v", none)
	}
	page := ranMillrace(t, "docs", "access")
	if page.code != 0 || !strings.HasPrefix(page.stdout, "# ") {
		t.Errorf("%+v", page)
	}
	list := ranMillrace(t, "docs")
	if !strings.Contains(list.stdout, "migration ") || !strings.Contains(list.stdout, "Moving from the Confluent REST Proxy") {
		t.Errorf("the pages are\n%s", list.stdout)
	}
	texts := map[string]string{
		"settings": all.stdout, "errors": ranMillrace(t, "check-config", "--set=listners=http://a:1").stderr,
	}
	for _, command := range []string{"", "serve", "dev", "loadtest", "tune", "check-config", "settings", "docs", "healthcheck", "key", "auth", "metrics", "completion"} {
		texts[command+" --help"] = ranMillrace(t, append(strings.Fields(command), "--help")...).stdout
	}
	for name, text := range texts {
		if text == "" || strings.Contains(text, "docs/") {
			t.Errorf("%s names a file of the source, or says nothing:\n%s", name, text)
		}
	}
}

// A container asks its own node, by the settings of the node.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	_, url := serve(t, testkit.Fake(t).Broker)
	at := "--set=listeners=http://0.0.0.0:" + url[strings.LastIndex(url, ":")+1:]
	for _, args := range [][]string{{"--url", url}, {at}, {at, "--ready"}} {
		if got := ranMillrace(t, append([]string{"healthcheck"}, args...)...); got != (ran{}) {
			t.Errorf("%q: %+v", args, got)
		}
	}
	_, alone := serve(t, testkit.Broker{Addrs: []string{"127.0.0.1:1"}})
	if got := ranMillrace(t, "healthcheck", "--url", alone); got != (ran{}) {
		t.Errorf("the process answers, Kafka or not: %+v", got)
	}
	if got := ranMillrace(t, "healthcheck", "--ready", "--url", alone); got.code != 1 || !strings.Contains(got.stderr, "No Kafka broker") {
		t.Errorf("without Kafka it is ready: %+v", got)
	}
	if got := ranMillrace(t, "healthcheck", "--url", "http://127.0.0.1:1"); got.code != 1 || !strings.Contains(got.stderr, "does not answer") {
		t.Errorf("nothing listens there: %+v", got)
	}
}

// It asks an HTTPS listener that wants a certificate with that of the node.
func TestHealthcheckOverTLS(t *testing.T) {
	t.Parallel()
	certificate, key := untrusted(t)
	secured := []string{
		"--set=ssl.keystore.type=PEM", "--set=ssl.keystore.certificate.chain=" + strings.ReplaceAll(certificate, `\n`, "\n"),
		"--set=ssl.keystore.key=" + strings.ReplaceAll(key, `\n`, "\n"), "--set=ssl.truststore.type=PEM",
		"--set=ssl.truststore.certificates=" + strings.ReplaceAll(certificate, `\n`, "\n"), "--set=ssl.client.authentication=REQUIRED",
	}
	p := testkit.StartMillrace(t, append([]string{"serve", "--set=bootstrap.servers=" + testkit.Fake(t).Addrs[0], "--set=listeners=https://127.0.0.1:0"}, secured...)...)
	port := p.WaitLine(t, `addresses=\[https://127\.0\.0\.1:(\d+)\]`, 20*time.Second)[1]
	if got := ranMillrace(t, append([]string{"healthcheck", "--set=listeners=https://127.0.0.1:" + port}, secured...)...); got != (ran{}) {
		t.Errorf("%+v", got)
	}
}

// check-config tries what the settings name, and says of each address what it found.
func TestCheckConfigConnects(t *testing.T) {
	t.Parallel()
	p, _, kafka := dev(t)
	registry := p.WaitLine(t, `Registry\s+(http://\S+)`, 20*time.Second)[1]
	good := ranMillrace(t, "check-config", "--connect", "--set=bootstrap.servers="+kafka, "--set=schema.registry.url="+registry)
	for _, want := range []string{
		"producer.linger.ms", "Kafka for metadata, " + kafka + ": a broker of cluster ", " of 1 brokers; no TLS, no login\n",
		"Schema registry " + registry + ": takes AVRO, ",
	} {
		if !strings.Contains(good.stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, good.stdout)
		}
	}
	if good.code != 0 || strings.Contains(good.stdout, "for producing") {
		t.Errorf("exit code %d: %s\n%s", good.code, good.stderr, good.stdout)
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	address := strings.TrimPrefix(web.URL, "http://")
	bad := ranMillrace(t, "check-config", "--connect", "--set=bootstrap.servers="+kafka+","+address+",127.0.0.1:1", "--set=schema.registry.url="+web.URL)
	for _, want := range []string{
		"Kafka for metadata, " + kafka + ": a broker",
		"Kafka for metadata, " + address + ": FAILED: this is a web server, and no Kafka broker\n",
		"Kafka for metadata, 127.0.0.1:1: FAILED: No Kafka broker can be reached: connections are refused.",
		"Schema registry " + web.URL + ": FAILED: The response at schema.registry.url is not that of a schema registry.",
	} {
		if !strings.Contains(bad.stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, bad.stdout)
		}
	}
	if bad.code != 1 || !strings.Contains(bad.stderr, "3 of 4 addresses cannot be used") {
		t.Errorf("exit code %d: %s", bad.code, bad.stderr)
	}
}

// It logs in as the settings say, each client with its own credentials.
func TestCheckConfigLogsIn(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "alice", "right"))
	jaas := func(password string) string {
		return `org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="` + password + `";`
	}
	args := []string{
		"check-config", "--connect", "--set=bootstrap.servers=" + b.Addrs[0], "--set=client.security.protocol=SASL_PLAINTEXT",
		"--set=client.sasl.mechanism=PLAIN", "--set=client.sasl.jaas.config=" + jaas("right"),
	}
	good := ranMillrace(t, args...)
	if good.code != 0 || !strings.Contains(good.stdout, "; no TLS, SASL PLAIN\n") {
		t.Errorf("%d: %s\n%s", good.code, good.stderr, good.stdout)
	}
	bad := ranMillrace(t, append(args, "--set=producer.sasl.jaas.config="+jaas("wrong"))...)
	for _, want := range []string{
		"Kafka for metadata, " + b.Addrs[0] + ": a broker", "Kafka for producing, " + b.Addrs[0] + ": FAILED: ",
	} {
		if !strings.Contains(bad.stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, bad.stdout)
		}
	}
	if bad.code != 1 || strings.Contains(bad.stdout+bad.stderr, "wrong") {
		t.Errorf("%d: %s\n%s", bad.code, bad.stderr, bad.stdout)
	}
}

// A broker whose advertised address cannot be reached is found out, though bootstrapping works.
func TestCheckConfigTriesAdvertisedListeners(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	b.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		resp := r.ResponseKind().(*kmsg.MetadataResponse)
		resp.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 7, Host: "127.0.0.1", Port: 1}}
		return resp, nil, true
	})
	got := ranMillrace(t, "check-config", "--connect", "--set=bootstrap.servers="+b.Addrs[0])
	for _, want := range []string{"a broker of cluster without id of 1 brokers", "broker 7 at 127.0.0.1:1, its advertised.listeners: FAILED: ", "advertised.listeners"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, got.stdout)
		}
	}
	if got.code != 1 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

// A load test of a web server, or of nothing, is over before it began.
func TestLoadtestOfNoProxy(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	for _, args := range [][]string{{"mixed"}, {"--check", "--brokers=127.0.0.1:1", "--duration=1m"}} {
		got := ranMillrace(t, append([]string{"loadtest", "--out=" + t.TempDir(), "--url=" + web.URL}, args...)...)
		if got.code != 1 || !strings.Contains(got.stderr, web.URL+" is no Kafka REST proxy: it answers GET /topics with 404") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// Records come from standard input, and compressed, too.
func TestTuneReadsPipesAndGzip(t *testing.T) {
	t.Parallel()
	var plain, packed bytes.Buffer
	for n := range 300 {
		fmt.Fprintf(&plain, `{"sensor":"a%d","celsius":21.5}`+"\n", n)
	}
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(plain.Bytes()); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "events.ndjson.gz")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from  string
		input []byte
		want  string
	}{
		{"-", plain.Bytes(), "standard input: 300 records"},
		{"-", packed.Bytes(), "standard input: 300 records"},
		{file, nil, "file " + file + ": 300 records"},
	} {
		cmd := exec.CommandContext(t.Context(), testkit.Binary(t), "tune", "--file="+c.from, "--batch=8192")
		cmd.Stdin = bytes.NewReader(c.input)
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte(c.want)) {
			t.Errorf("--file=%s: %v, want %q:\n%s", c.from, err, c.want, out)
		}
	}
	broken := ranMillrace(t, "tune", "--file="+filepath.Join(filepath.Dir(file), "none"))
	if broken.code == 0 {
		t.Error("a file that is not there is read")
	}
}

// kafkaAttempts matches the counters of connections to Kafka, those that failed and the others.
var kafkaAttempts = regexp.MustCompile(`(?m)^millrace_kafka_connect(?:s|_errors)_total\{.*\} ([0-9.e+]+)$`)

// Without Kafka the log has a line for each change of state, however long that lasts, and says what
// listens in its place. Requests that fail have lines of their own, a second apart.
func TestLogWithoutKafka(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	for _, c := range []struct {
		address, want string
		tries         float64 // the web server keeps each connection for long
	}{
		{"127.0.0.1:1", "connections are refused", 10},
		{strings.TrimPrefix(web.URL, "http://"), "is a web server, and no Kafka broker", 1},
	} {
		p, url := serve(t, testkit.Broker{Addrs: []string{c.address}})
		testkit.Eventually(t, 30*time.Second, "requests to be refused", func() bool {
			status, _ := call(t, "POST", url+"/topics/t", `{"records":[{"value":1}]}`)
			return status == 503
		})
		p.WaitLine(t, "no Kafka broker answers", 30*time.Second)
		testkit.Eventually(t, 60*time.Second, "the clients to have tried often", func() bool {
			_, text := call(t, "GET", url+"/metrics", "")
			tried := 0.0
			for _, m := range kafkaAttempts.FindAllStringSubmatch(text, -1) {
				n, _ := strconv.ParseFloat(m[1], 64) // digits, by the pattern
				tried += n
			}
			return tried >= c.tries
		})
		lines := 0
		for line := range strings.Lines(p.Output()) {
			if strings.Contains(line, "level=WARN") && !strings.Contains(line, "request failed") || strings.Contains(line, "level=ERROR") {
				lines++
			}
		}
		if !strings.Contains(p.Output(), c.want) || lines > 2 {
			t.Errorf("%d lines, want one or two with %q:\n%s", lines, c.want, p.Output())
		}
	}
}
