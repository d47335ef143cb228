package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// nodeClient installs Confluent's own client of the v1 API from npm, with what
// its examples need, and returns its folder. It takes the network, so the test
// runs only where it is asked for: make clients.
func nodeClient(t *testing.T) string {
	t.Helper()
	testkit.OnDemand(t, "MILLRACE_TEST_CLIENTS", "the npm client was not tried: it has to be downloaded; `make clients` does")
	dir := t.TempDir()
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "kafka-rest@0.0.5", "minimist@1.2.8")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("cannot install the npm package kafka-rest: %v\n%s", err, out)
	}
	return filepath.Join(dir, "node_modules", "kafka-rest")
}

// nodeJS runs a script of the client and returns what it printed.
func nodeJS(t *testing.T, client, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"--no-deprecation"}, args...)...)
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = client, strings.NewReader(input), time.Second
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// The examples that come with the npm package kafka-rest, as its README tells
// to run them, and the calls of its API that they leave out.
func TestNodeClientOfV1(t *testing.T) {
	t.Parallel()
	client := nodeClient(t)
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		const lines = 50
		var input strings.Builder
		for n := range lines {
			fmt.Fprintf(&input, "line %d: Grüße\n", n)
		}
		out := nodeJS(t, client, input.String(), "examples/console_producer.js", "--url", url, "--topic", topic, "--format", "binary")
		if !strings.Contains(out, fmt.Sprintf("Finished sending %d messages", lines)) || strings.Contains(out, "Error") {
			t.Errorf("console_producer.js printed:\n%s", out)
		}
		testkit.ReadTopic(t, b, topic, lines)

		out = nodeJS(t, client, "", "examples/console_consumer.js", "--url", url, "--topic", topic, "--group", testkit.Group(t),
			"--format", "binary", "--from-beginning", "--message-limit", fmt.Sprint(lines))
		if got := len(regexp.MustCompile(`(?m)^line \d+: Grüße$`).FindAllString(out, -1)); got != lines || !strings.Contains(out, "Shutdown cleanly.") {
			t.Errorf("console_consumer.js printed %d lines of %d:\n%s", got, lines, out)
		}

		out = nodeJS(t, client, "", "examples/metadata.js", "--url", url)
		for _, want := range []string{"Listing brokers:\nBroker{id=", "Listing topics:\nTopic{name=", "Getting single topic ", "Getting single partition "} {
			if !strings.Contains(out, want) {
				t.Errorf("metadata.js does not print %q:\n%s", want, out)
			}
		}
		if strings.Contains(out, "Failed") {
			t.Errorf("metadata.js printed:\n%s", out)
		}

		out = nodeJS(t, client, "", "-e", nodeScript, url, topic, testkit.Group(t))
		if want := `{"produced":[0,null],"offsets":[[50,51],[52]],"read":[0,1],"committed":{"topic":"` + topic + `","partition":0},"simple":2}`; strings.TrimSpace(out) != want {
			t.Errorf("the script printed\n%s\nwant\n%s", out, want)
		}
	})
}

// nodeScript does what the client's README shows beside its examples: keys and
// partitions, produce to a partition, a commit, and the simple consumer.
const nodeScript = `
const KafkaRest = require(process.cwd());
const [url, name, group] = process.argv.slice(1);
const kafka = new KafkaRest({url});
const call = (f) => new Promise((ok, fail) => f((err, res) => err ? fail(err) : ok(res)));
(async () => {
  const one = await call((cb) => kafka.topic(name).produce({key: 'key1', value: 'msg1', partition: 0}, {value: 'msg2'}, cb));
  const two = await call((cb) => kafka.topic(name).partition(0).produce('msg3', cb));
  const instance = await call((cb) => kafka.consumer(group).join({format: 'binary', 'auto.offset.reset': 'smallest'}, cb));
  const stream = instance.subscribe(name);
  const msgs = await new Promise((ok, fail) => { stream.once('data', ok); stream.once('error', fail); });
  const committed = await call((cb) => instance.commit(cb));
  await call((cb) => instance.shutdown(cb));
  const simple = await call((cb) => kafka.topic(name).partition(0).messages({offset: 50, count: 2, format: 'binary'}, cb));
  console.log(JSON.stringify({
    produced: [one.offsets[0].partition, one.offsets[0].error_code],
    offsets: [one, two].map((r) => r.offsets.map((o) => o.offset)),
    read: msgs.slice(0, 2).map((m) => m.offset),
    committed: {topic: committed[0].topic, partition: committed[0].partition},
    simple: simple.length,
  }));
})().catch((err) => { console.log(err); process.exit(1); });
`
