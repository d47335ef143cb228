package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// dev starts `millrace dev` on free ports and returns it with its URL and its
// broker's address.
func dev(t *testing.T, args ...string) (p *testkit.Process, url, kafka string) {
	t.Helper()
	args = append([]string{"dev", "--kafka-port=0", "--registry-port=0", "--set=listeners=http://127.0.0.1:0"}, args...)
	p = testkit.StartMillrace(t, args...)
	url = p.WaitLine(t, `REST API\s+(http://\S+)`, 20*time.Second)[1]
	kafka = p.WaitLine(t, `Kafka\s+(\S+)`, 20*time.Second)[1]
	p.WaitLine(t, "Stop with Ctrl-C", 20*time.Second)
	return p, url, kafka
}

// serve starts `millrace serve` in front of b.
func serve(t *testing.T, b testkit.Broker, args ...string) (p *testkit.Process, url string) {
	t.Helper()
	args = append([]string{"serve", "--set=bootstrap.servers=" + strings.Join(b.Addrs, ","), "--set=listeners=http://127.0.0.1:0"}, args...)
	p = testkit.StartMillrace(t, args...)
	return p, p.WaitLine(t, `msg=serving addresses=\[(http://[^\]]+)\]`, 20*time.Second)[1]
}

// atRegistry returns the flags of a node with the real registry, which on a busy machine may take
// longer than the setting's default for its first schemas.
func atRegistry(t *testing.T) []string {
	t.Helper()
	return []string{"--set=schema.registry.url=" + testkit.Registry(t), "--set=schema.registry.request.timeout.ms=60000"}
}

func call(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" && strings.Contains(url, "/consumers/") {
		req.Header.Set("Content-Type", "application/vnd.kafka.v2+json")
	} else if body != "" {
		req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	}
	if strings.Contains(url, "/records") {
		req.Header.Set("Accept", "application/vnd.kafka.json.v2+json")
	}
	resp, text := exchange(t, http.DefaultClient, req)
	return resp.StatusCode, text
}

// exchange sends a request and returns the response with the text of its body.
func exchange(t testing.TB, client *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func readme(t *testing.T) string {
	t.Helper()
	root, err := testkit.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "README.md")
}

func TestReadmeOnDev(t *testing.T) {
	t.Parallel()
	_, url, _ := dev(t)
	testkit.RunReadme(t, readme(t), url)
}

func TestReadmeOnRealKafka(t *testing.T) {
	t.Parallel()
	k := testkit.StartKafka(t, testkit.KafkaOptions{}) // a cluster with no topics yet
	_, url := serve(t, k.Broker, atRegistry(t)...)
	awaitRead(t, url)
	testkit.RunReadme(t, readme(t), url)
}

// awaitRead waits until a consumer has read a record. A fresh cluster makes the topic of offsets
// for its first group: on a busy machine that takes longer than the README's first read waits.
func awaitRead(t *testing.T, url string) {
	t.Helper()
	instance := url + "/consumers/first/instances/first"
	for path, body := range map[string]string{
		url + "/topics/first":    `{"records":[{"value":1}]}`,
		url + "/consumers/first": `{"name":"first","format":"json","auto.offset.reset":"earliest"}`,
	} {
		if status, text := call(t, "POST", path, body); status != 200 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	if status, text := call(t, "POST", instance+"/subscription", `{"topics":["first"]}`); status != 204 {
		t.Fatalf("%d %s", status, text)
	}
	testkit.Eventually(t, 2*time.Minute, "a record to be read", func() bool {
		status, text := call(t, "GET", instance+"/records?timeout=10000", "")
		return status == 200 && text != "[]"
	})
	if status, text := call(t, "DELETE", instance, ""); status != 204 {
		t.Fatalf("%d %s", status, text)
	}
}

// Dev is ready within 300 ms on an idle machine. The tests of other packages run beside this one,
// and so the fastest of some starts counts, against ten times as much: a defect costs seconds, and
// each time.
func TestDevIsReadyFast(t *testing.T) {
	testkit.Binary(t) // building it does not count
	const most = 3 * time.Second
	fastest := time.Hour
	for range 4 {
		began := time.Now()
		_, url, _ := dev(t)
		for status := 0; status != 200; {
			status, _ = call(t, "GET", url+"/readyz", "")
		}
		took := time.Since(began)
		t.Logf("ready after %v", took)
		if fastest = min(fastest, took); fastest <= most {
			return
		}
	}
	t.Errorf("the fastest of four starts took %v", fastest)
}

func TestDevPartitionsAndData(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p, url, _ := dev(t, "--partitions=3", "--data="+data)
	if status, body := call(t, "POST", url+"/topics/kept/partitions/2", `{"records":[{"value":"before"}]}`); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.WaitExit(t, 15*time.Second); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	_, url, _ = dev(t, "--data="+data)
	base := url + "/consumers/g/instances/i"
	call(t, "POST", url+"/consumers/g", `{"name":"i","format":"json"}`)
	call(t, "POST", base+"/assignments", `{"partitions":[{"topic":"kept","partition":2}]}`)
	call(t, "POST", base+"/positions/beginning", `{"partitions":[{"topic":"kept","partition":2}]}`)
	if status, body := call(t, "GET", base+"/records?timeout=1000", ""); status != 200 || !strings.Contains(body, `"value":"before"`) {
		t.Errorf("after a restart: %d %s", status, body)
	}
}

// The registry of dev mode serves beside the REST API and keeps its schemas over a restart with
// the same data; it takes another port when its own is taken.
func TestDevRegistry(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p, url, _ := dev(t, "--data="+data)
	registry := p.WaitLine(t, `Registry\s+(http://\S+)`, 20*time.Second)[1]
	const request = `{"value_schema":"{\"type\":\"record\",\"name\":\"User\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}","records":[{"value":{"name":"testUser"}}]}`
	resp, err := http.Post(url+"/topics/avrotest", "application/vnd.kafka.avro.v2+json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("%d", resp.StatusCode)
	}
	_, before := call(t, "GET", registry+"/schemas", "")
	if !strings.Contains(before, `"subject":"avrotest-value"`) {
		t.Errorf("the registry has %s", before)
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.WaitExit(t, 15*time.Second); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	p, _, _ = dev(t, "--data="+data, "--registry-port="+port)
	registry = p.WaitLine(t, `Registry\s+(http://\S+)`, 20*time.Second)[1]
	if strings.HasSuffix(registry, ":"+port) {
		t.Errorf("the registry is said to be at %s, which is taken", registry)
	}
	if _, after := call(t, "GET", registry+"/schemas", ""); after != before {
		t.Errorf("after a restart: %s\nbefore: %s", after, before)
	}
}

// SIGTERM while requests run: each of them is answered, and what was answered
// with 200 is in Kafka; a waiting read is answered at once; the exit code is 0.
func TestSigtermDrains(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		p, url := serve(t, b, "--set=shutdown.graceful.ms=20000", "--set=consumer.request.timeout.ms=60000", "--set=producer.linger.ms=300")
		topic := testkit.CreateTopic(t, b, 1)
		group := url + "/consumers/" + testkit.Group(t)
		call(t, "POST", group, `{"name":"i","format":"json"}`)
		call(t, "POST", group+"/instances/i/subscription", `{"topics":["`+testkit.CreateTopic(t, b, 1)+`"]}`) // has no records
		polled := make(chan string, 1)
		go func() {
			status, body := call(t, "GET", group+"/instances/i/records?timeout=60000", "")
			polled <- fmt.Sprint(status, " ", body)
		}()
		testkit.Eventually(t, 20*time.Second, "the assignment", func() bool {
			_, body := call(t, "GET", group+"/instances/i/assignments", "")
			return strings.Contains(body, `"partition":0`)
		})
		const clients = 20
		var wrote atomic.Int32
		statuses := make(chan int, clients)
		for i := range clients {
			go func() {
				trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { wrote.Add(1) }}
				req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "POST", url+"/topics/"+topic,
					strings.NewReader(fmt.Sprintf(`{"records":[{"value":%d}]}`, i)))
				req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
				resp, err := http.DefaultClient.Do(req)
				if err != nil { // its connection was not accepted any more
					statuses <- 0
					return
				}
				resp.Body.Close()
				statuses <- resp.StatusCode
			}()
		}
		testkit.Eventually(t, 10*time.Second, "requests to be in flight", func() bool { return wrote.Load() == clients })
		call(t, "GET", url+"/readyz", "") // the node has had its turn since
		began := time.Now()
		p.Signal(t, syscall.SIGTERM)
		acked := 0
		for range clients {
			switch status := <-statuses; status {
			case 200:
				acked++
			case 0:
			default:
				t.Errorf("a request in flight got %d", status)
			}
		}
		if acked < clients/2 {
			t.Errorf("only %d of %d requests were answered", acked, clients)
		}
		if code := p.WaitExit(t, 20*time.Second); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if took := time.Since(began); took > 8*time.Second { // half of shutdown.graceful.ms is 10 s
			t.Errorf("the drain took %v", took)
		}
		if got := len(testkit.ReadTopic(t, b, topic, acked)); got != acked {
			t.Errorf("%d records in Kafka, %d acknowledged", got, acked)
		}
		if answer := <-polled; answer != "200 []" {
			t.Errorf("the waiting read got %s", answer)
		}
	})
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	p, url := serve(t, b.Broker, "--set=shutdown.graceful.ms=60000")
	// A record that Kafka never acknowledges keeps the drain busy.
	waits := make(chan struct{})
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(waits)
		return nil, nil, true
	})
	go func() {
		resp, err := http.Post(url+"/topics/"+topic, "application/vnd.kafka.json.v2+json", strings.NewReader(`{"records":[{"value":1}]}`))
		if err == nil {
			resp.Body.Close()
		}
	}()
	select {
	case <-waits:
	case <-time.After(20 * time.Second):
		t.Fatal("the record does not get to Kafka")
	}
	p.Signal(t, syscall.SIGTERM)
	p.WaitLine(t, "msg=draining", 10*time.Second)
	p.Signal(t, syscall.SIGTERM)
	if code := p.WaitExit(t, 5*time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// The node starts before its brokers do, logs that, and is ready once they are.
func TestServeStartsWithoutBrokers(t *testing.T) {
	t.Parallel()
	p, url := serve(t, testkit.Broker{Addrs: []string{"127.0.0.1:1"}}, "--set=shutdown.graceful.ms=2000")
	testkit.Eventually(t, 10*time.Second, "readiness to be off", func() bool {
		status, _ := call(t, "GET", url+"/readyz", "")
		return status == 503
	})
	if status, body := call(t, "GET", url+"/healthz", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	testkit.Eventually(t, 10*time.Second, "a produce to be refused", func() bool {
		status, _ := call(t, "POST", url+"/topics/t", `{"records":[{"value":1}]}`)
		return status == 503
	})
	p.Signal(t, syscall.SIGTERM)
	if code := p.WaitExit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestCheckConfigSaysEverythingAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kafka-rest.properties")
	text := "bootstrap.servers=PLAINTEXT://k:9092\nlistners=http://0.0.0.0:8082\nproducer.acks=7\nconsumer.threads=50\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := testkit.StartMillrace(t, "check-config", "--config", file, "--set", "producer.linger.ms=soon")
	if code := p.WaitExit(t, 20*time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{file + ":2", "listeners", file + ":3", "producer.acks", "producer.linger.ms"} {
		if !strings.Contains(p.Output(), want) {
			t.Errorf("it does not say %q:\n%s", want, p.Output())
		}
	}
	good := testkit.StartMillrace(t, "check-config", "--set", "bootstrap.servers=k:9092", "--set", "producer.acks=1")
	if code := good.WaitExit(t, 20*time.Second); code != 0 || !strings.Contains(good.Output(), "producer.acks") {
		t.Errorf("exit code %d:\n%s", code, good.Output())
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := testkit.StartMillrace(t, "version")
	if code := p.WaitExit(t, 20*time.Second); code != 0 || !strings.HasPrefix(p.Output(), "millrace ") {
		t.Errorf("exit code %d: %s", code, p.Output())
	}
}
