package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"millrace/auth"
	"millrace/internal/testkit"
)

// writeFile writes a file of the test, and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newKey makes an API key, and returns the header that shows it and its entry for the file.
func newKey(t *testing.T, id string) (header, entry string) {
	t.Helper()
	secret, entry, err := auth.NewKey(id, nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return "X-Api-Key: " + secret, entry
}

// Keys use Kafka by the logins that a file has for them, no more at a time than are allowed, and no
// longer than they are used. A key without a login can do nothing, though the node could.
func TestLoginsOfAFile(t *testing.T) {
	t.Parallel()
	k := fakeTwo(t)
	forAlice, first := newKey(t, "edge-1")
	forBob, second := newKey(t, "edge-2")
	forNobody, third := newKey(t, "other")
	logins := "logins:\n"
	for key, user := range map[string]string{"edge-1": "alice", "edge-2": "bob"} {
		logins += fmt.Sprintf("  - {who: ['key:%s'], mechanism: SCRAM-SHA-512, username: %s, password: %s}\n", key, user, passwords[user])
	}
	p, url := k.start(t, "node", "authentication.keys.file="+writeFile(t, "keys.yaml", first+second+third),
		"authentication.kafka.logins.file="+writeFile(t, "logins.yaml", logins),
		"authentication.kafka.clients.max=1", "authentication.kafka.clients.idle.ms=200")
	by := func(header string) asker { return asker{t: t, url: url, headers: []string{header}} }
	by(forNobody).want("GET", "/topics", "", 403, "no credentials for Kafka")
	by(forNobody).want("POST", "/topics/"+k.topics["alice"], `{"records":[{"value":1}]}`, 403, "no credentials for Kafka")
	by(forNobody).want("POST", "/consumers/"+k.groups["alice"], `{"name":"n"}`, 403, "no credentials for Kafka")
	k.canOnly(by(forAlice), "alice", "bob")
	k.canOnly(by(forBob), "bob", "alice") // takes the place of the other login, which is not in use

	ctx := t.Context() // a stream uses its login for as long as it goes on
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/topics/"+k.topics["alice"]+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	name, value, _ := strings.Cut(forAlice, ": ")
	req.Header.Set(name, value)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	by(forBob).want("GET", "/topics", "", 429, "42912")
	by(forNobody).want("GET", "/metrics", "", 200, "millrace_kafka_logins 1")
	resp.Body.Close()
	testkit.Eventually(t, 20*time.Second, "the idle login to be closed", func() bool {
		_, text := by(forNobody).ask("GET", "/metrics", "")
		return strings.Contains(text, "millrace_kafka_logins 0")
	})
	by(forBob).want("GET", "/topics", "", 200, k.topics["bob"])
	texts := p.Output() + by(forNobody).want("GET", "/metrics", "", 200, "")
	for _, secret := range passwords {
		if strings.Contains(texts, secret) {
			t.Errorf("the log or the metrics show %s", secret)
		}
	}
}

// An instance that uses Kafka with the rights of its owner is served by any node of a service, and
// moves to another one with the next request of its owner: not with that of anybody else. Its login
// is in no topic.
func TestInstancesOfCallersMoveWithTheirOwner(t *testing.T) {
	t.Parallel()
	k := fakeTwo(t)
	authority, err := testkit.NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*testkit.Process
	var urls []string
	for n := range 2 {
		args := []string{
			"serve", "--set=listeners=https://127.0.0.1:0", "--set=host.name=127.0.0.1", "--set=id=n" + fmt.Sprint(n),
			"--set=cluster.enable=true", "--set=cluster.secret=sixteen letters.", "--set=cluster.heartbeat.interval.ms=1000", "--set=cluster.lease.ms=5000",
			"--set=ssl.keystore.type=PEM", "--set=ssl.keystore.location=" + authority.KeyFile,
			"--set=ssl.truststore.type=PEM", "--set=ssl.truststore.location=" + authority.File, "--set=authentication.kafka.passwords=SCRAM-SHA-512",
		}
		for _, line := range k.properties("node") {
			args = append(args, "--set="+line)
		}
		p := testkit.StartMillrace(t, args...)
		nodes, urls = append(nodes, p), append(urls, p.WaitLine(t, `msg=serving addresses=\[(https://[^\]]+)\]`, 20*time.Second)[1])
	}
	client := trusting(t, authority)
	at := func(node int, user string) asker {
		a := as(t, urls[node], user, passwords[user])
		a.client = client
		return a
	}
	at(0, "alice").want("POST", "/topics/"+k.topics["alice"], `{"records":[{"value":"one"}]}`, 200, "")
	group := "/consumers/" + k.groups["alice"]
	at(0, "alice").want("POST", group, `{"name":"i","format":"json","auto.offset.reset":"earliest"}`, 200, "")
	i := group + "/instances/i"
	at(1, "alice").want("POST", i+"/subscription", `{"topics":["`+k.topics["alice"]+`"]}`, 204, "") // by the other node
	reads := func(node int, value string) {
		t.Helper()
		testkit.Eventually(t, time.Minute, value, func() bool {
			status, text := at(node, "alice").ask("GET", i+"/records?timeout=500", "")
			return status == 200 && strings.Contains(text, value)
		})
	}
	reads(1, "one")
	at(1, "alice").want("POST", i+"/offsets", "", 200, "")
	at(1, "bob").want("GET", i+"/assignments", "", 404, "40403")

	nodes[0].Signal(t, syscall.SIGKILL)
	at(1, "alice").want("POST", "/topics/"+k.topics["alice"], `{"records":[{"value":"two"}]}`, 200, "")
	testkit.Eventually(t, time.Minute, "the death of the other node", func() bool {
		status, _ := at(1, "bob").ask("GET", i+"/assignments", "")
		return status == 404
	})
	if strings.Contains(nodes[1].Output(), "consumer instance adopted") {
		t.Error("the instance was adopted by a request that was not of its owner")
	}
	reads(1, "two")
	nodes[1].WaitLine(t, "consumer instance adopted", 5*time.Second)
	for _, secret := range passwords {
		if strings.Contains(nodes[0].Output()+nodes[1].Output(), secret) {
			t.Errorf("a log shows %s", secret)
		}
	}
	k.topicOfTheNodes(t, func(text string) {
		for _, secret := range passwords {
			if strings.Contains(text, secret) {
				t.Errorf("the topic of the nodes shows %s", secret)
			}
		}
	})
}

// topicOfTheNodes calls look with each record of the topic of the nodes, at least until one is the
// definition of an instance that uses Kafka with the rights of its owner.
func (k *two) topicOfTheNodes(t *testing.T, look func(text string)) {
	t.Helper()
	client := k.client(t, "node", kgo.ConsumeTopics("_millrace-cluster"))
	for found := false; !found; {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			look(string(r.Value))
			found = found || strings.Contains(string(r.Value), "delegated")
		})
	}
}

// client returns a client that has logged in to a Kafka of this process.
func (k *two) client(t *testing.T, user string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	login := kgo.SASL(scram.Auth{User: user, Pass: passwords[user]}.AsSha512Mechanism())
	return testkit.Client(t, testkit.Broker{Addrs: []string{k.addr}}, append(opts, login)...)
}

// Records of different callers are in no batch together, though they are written at the same time
// to the same partition: each caller has a producer of its own.
func TestCallersShareNoBatch(t *testing.T) {
	t.Parallel()
	k := fakeTwo(t)
	_, url := k.start(t, "node", "authentication.kafka.passwords=SCRAM-SHA-512", "producer.linger.ms=20")
	const each = 30
	var writers sync.WaitGroup
	for n := range 2 * each {
		user := []string{"alice", "bob"}[n%2]
		a := as(t, url, user, passwords[user])
		writers.Go(func() { a.want("POST", "/topics/"+k.shared, `{"records":[{"value":"`+user+`"}]}`, 200, "") })
	}
	writers.Wait()
	client := k.client(t, "node", kgo.ConsumeTopics(k.shared))
	writer := map[int64]string{} // by the id of the producer
	for n := 0; n < 2*each; {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			if was := writer[r.ProducerID]; was != "" && was != string(r.Value) {
				t.Errorf("the producer %d has written for %s and for %s", r.ProducerID, was, r.Value)
			}
			writer[r.ProducerID] = string(r.Value)
		})
	}
	if len(writer) != 2 {
		t.Errorf("%d producers have written, want 2: %v", len(writer), writer)
	}
}

// An event is known again whatever the login that has written it, and when that was closed since.
func TestCallersShareTheDoublesOfARoute(t *testing.T) {
	t.Parallel()
	k := fakeTwo(t)
	routes := routesFile(t, "routes: {e: {topic: "+k.shared+", dedupe: {id: {pointer: /id}}}}\n")
	_, url := k.start(t, "node", "authentication.kafka.passwords=SCRAM-SHA-512", "authentication.kafka.clients.max=1", "ingest.routes.file="+routes)
	alice, bob := as(t, url, "alice", passwords["alice"]), as(t, url, "bob", passwords["bob"])
	event := func(id int) string { return fmt.Sprintf(`{"id":%d}`, id) }
	alice.want("POST", "/ingest/e", event(1), 200, `{"accepted":1,"refused":0}`)
	bob.want("POST", "/ingest/e", event(2), 200, `{"accepted":1,"refused":0}`) // takes the place of the other login
	bob.want("POST", "/ingest/e", event(1), 200, `"dropped":1`)
	alice.want("POST", "/ingest/e", event(1), 200, `"dropped":1`)
}
