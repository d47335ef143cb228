package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// configured starts `millrace serve` in front of b with a properties file, and
// returns a function that rewrites the file and sends SIGHUP.
func configured(t *testing.T, b testkit.Broker, lines ...string) (p *testkit.Process, url string, rewrite func(lines ...string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kafka-rest.properties")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(lines...)
	p, url = serve(t, b, "--config="+file, "--set=admin.enable=true")
	return p, url, func(lines ...string) {
		t.Helper()
		write(lines...)
		p.Signal(t, syscall.SIGHUP)
	}
}

// setting is what GET /admin/config says about one.
type setting struct {
	Name, Value, Origin string
	Runtime             bool
}

func settingOf(t *testing.T, url, name string) setting {
	t.Helper()
	var answer struct{ Settings []setting }
	status, body := call(t, "GET", url+"/admin/config", "")
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Fatalf("GET /admin/config: %d %s: %v", status, body, err)
	}
	i := slices.IndexFunc(answer.Settings, func(s setting) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("%s is not in %s", name, body)
	}
	return answer.Settings[i]
}

// writer produces numbered records to its partition, one request after the
// other, until it is stopped.
type writer struct {
	partition, id int
	acked         atomic.Int64
	failure       string
}

func (w *writer) run(url string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		body := fmt.Sprintf(`{"records":[{"value":{"writer":%d,"n":%d,"text":"%s"}}]}`, w.id, n, strings.Repeat("to be compressed, ", 30))
		resp, err := http.Post(url, "application/vnd.kafka.json.v2+json", strings.NewReader(body))
		if err != nil {
			w.failure = err.Error()
			return
		}
		var answer struct {
			Offsets []struct {
				Error *string
			}
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || len(answer.Offsets) != 1 || answer.Offsets[0].Error != nil {
			w.failure = fmt.Sprintf("%d %+v %v", resp.StatusCode, answer, err)
			return
		}
		w.acked.Add(1)
	}
}

// Clients produce all the time while the codec goes through all there are, by
// PUT and by SIGHUP in turn. No record is lost, doubled or out of order, and
// in every partition the batches change their codec just as told.
func TestCompressionChangesUnderLoad(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url, rewrite := configured(t, b)
		const partitions, perPartition = 3, 2
		topic := testkit.CreateTopic(t, b, partitions)
		stop := make(chan struct{})
		ended := make(chan struct{})
		writers := make([]*writer, partitions*perPartition)
		for id := range writers {
			w := &writer{partition: id % partitions, id: id}
			writers[id] = w
			go func() {
				w.run(fmt.Sprintf("%s/topics/%s/partitions/%d", url, topic, w.partition), stop)
				ended <- struct{}{}
			}()
		}
		// progress waits until each writer has had more requests answered that
		// it began after the call.
		progress := func(with string) {
			t.Helper()
			for _, w := range writers {
				before := w.acked.Load()
				testkit.Eventually(t, 30*time.Second, fmt.Sprintf("writer %d to go on with %s", w.id, with), func() bool { return w.acked.Load() >= before+5 })
			}
		}
		progress("none")
		sequence := []string{"none"}
		for i, codec := range []string{"gzip", "snappy", "lz4", "zstd", "none", "zstd", "lz4", "snappy", "gzip", "none"} {
			if i%2 == 0 {
				change := fmt.Sprintf(`{"producer.compression.type":%q,"producer.compression.zstd.level":%d}`, codec, i+1)
				if status, body := call(t, "PUT", url+"/admin/config", change); status != 200 || !strings.Contains(body, fmt.Sprintf(`"value":%q`, codec)) {
					t.Fatalf("PUT %s: %d %s", change, status, body)
				}
			} else {
				rewrite("producer.compression.type="+codec, fmt.Sprintf("producer.compression.gzip.level=%d", i%9+1))
				testkit.Eventually(t, 10*time.Second, codec+" to be read from the file", func() bool {
					s := settingOf(t, url, "producer.compression.type")
					return s.Value == codec && strings.Contains(s.Origin, "kafka-rest.properties:1")
				})
			}
			sequence = append(sequence, codec)
			progress(codec)
		}
		close(stop)
		total := 0
		for range writers {
			<-ended
		}
		for _, w := range writers {
			if w.failure != "" {
				t.Errorf("writer %d: %s", w.id, w.failure)
			}
			total += int(w.acked.Load())
		}

		next := make([]int, len(writers))
		codecs := make([][]string, partitions) // of each partition, as they follow one another
		for _, r := range testkit.ReadTopic(t, b, topic, total) {
			var value struct{ Writer, N int }
			if err := json.Unmarshal(r.Value, &value); err != nil {
				t.Fatalf("partition %d, offset %d: %v: %s", r.Partition, r.Offset, err, r.Value)
			}
			if value.N != next[value.Writer] || writers[value.Writer].partition != int(r.Partition) {
				t.Fatalf("partition %d, offset %d: record %d of writer %d, want %d", r.Partition, r.Offset, value.N, value.Writer, next[value.Writer])
			}
			next[value.Writer]++
			is := &codecs[r.Partition]
			if codec := testkit.RecordCodec(r); len(*is) == 0 || (*is)[len(*is)-1] != codec {
				*is = append(*is, codec)
			}
		}
		for partition, is := range codecs {
			if !slices.Equal(is, sequence) {
				t.Errorf("partition %d has the codecs %v, want %v", partition, is, sequence)
			}
		}
		t.Logf("%d records over %d changes", total, len(sequence)-1)
	})
}

// A configuration with a fault changes nothing; one without takes over what it
// can and names the rest.
func TestReloadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	p, url, rewrite := configured(t, testkit.Fake(t).Broker, "producer.compression.type=gzip", "producer.linger.ms=1")

	rewrite("producer.compression.type=zstd", "producer.linger.ms=soon", "listners=x")
	p.WaitLine(t, `level=ERROR msg="configuration not reloaded, nothing is changed" fault=".*properties:2: producer.linger.ms: .*soon`, 10*time.Second)
	p.WaitLine(t, `level=ERROR msg="configuration not reloaded, nothing is changed" fault=".*properties:3: listners: `, 10*time.Second)
	if s := settingOf(t, url, "producer.compression.type"); s.Value != "gzip" || !s.Runtime {
		t.Errorf("after a fault: %+v", s)
	}

	rewrite("producer.compression.type=zstd", "producer.linger.ms=2", "log.level=debug", "request.log=true", "ssl.key.password=hunter2")
	p.WaitLine(t, `msg="configuration reloaded" changed=log.level,request.log,producer.compression.type`, 10*time.Second)
	p.WaitLine(t, `msg="changed settings that need a restart" settings=ssl.key.password,producer.linger.ms`, 10*time.Second)
	if s := settingOf(t, url, "producer.linger.ms"); s.Value != "1" || s.Runtime {
		t.Errorf("a setting that needs a restart: %+v", s)
	}
	p.WaitLine(t, `msg=request .*path=/admin/config`, 10*time.Second) // request.log holds

	for body, want := range map[string]string{
		`{"producer.linger.ms":5}`:                                                "cannot change at run time",
		`{"producer.compresion.type":"lz4"}`:                                      "the nearest is producer.compression.type",
		`{"producer.compression.type":"lz4","producer.compression.lz4.level":99}`: "99 is out of range",
	} {
		if status, answer := call(t, "PUT", url+"/admin/config", body); status != 422 || !strings.Contains(answer, want) || !strings.Contains(answer, "Nothing is changed") {
			t.Errorf("PUT %s: %d %s", body, status, answer)
		}
	}
	if s := settingOf(t, url, "producer.compression.type"); s.Value != "zstd" {
		t.Errorf("after refused changes: %+v", s)
	}
	if status, answer := call(t, "PUT", url+"/admin/config", `{"compression.type":"lz4","request.log":false}`); status != 200 {
		t.Errorf("%d %s", status, answer)
	}
	if s := settingOf(t, url, "producer.compression.type"); s.Value != "lz4" || s.Origin != "changed at run time" {
		t.Errorf("after a change: %+v", s)
	}
	if strings.Contains(p.Output(), "hunter2") {
		t.Error("a secret is logged")
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.WaitExit(t, 15*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestDevServesAdmin(t *testing.T) {
	t.Parallel()
	_, url, _ := dev(t)
	if s := settingOf(t, url, "admin.enable"); s.Value != "true" || s.Origin != "preset" {
		t.Errorf("got %+v", s)
	}
}

// A drain does not wait for a reload, whose files may be where nothing answers.
func TestSignalDuringReload(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kafka-rest.properties")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := serve(t, testkit.Fake(t).Broker, "--config="+file)
	if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)); err != nil {
		t.Fatal(err)
	}
	p.Signal(t, syscall.SIGHUP)
	held, err := os.OpenFile(file, os.O_WRONLY, 0) // returns once the reload reads the file
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	p.Signal(t, syscall.SIGTERM)
	if code := p.WaitExit(t, 10*time.Second); code != 0 {
		t.Errorf("it exited with %d", code)
	}
}
