package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/ingest/deadletter"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// Events that a route refuses are shown from its dead-letter topic, and are replayed when the route
// takes them, as they came and with what its rules read of their request.
func TestDead(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic, dead := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	const rules = "key: {query: k, required: true}, headers: {h: {header: X-H}}"
	route := func(limit string) string {
		return routesFile(t, "routes:\n  e: {topic: "+topic+", dead_letter: "+dead+", "+rules+limit+"}\n  f: {topic: "+topic+", dead_letter: "+dead+", limits: {event_bytes: 3}}\n")
	}
	_, narrow := serve(t, b, "--set=ingest.routes.file="+route(", limits: {event_bytes: 10}"))
	ingestEvents(t, narrow+"/ingest/e?k=7", `[[1,2], ["a longer one"], {"n": "a longer one"}]`, "X-H", "there")
	ingestEvents(t, narrow+"/ingest/e?k=8", "raw and long: \xff", "Content-Type", "application/octet-stream")
	ingestEvents(t, narrow+"/ingest/f", `[1000]`)
	run := func(args ...string) (string, error) {
		t.Helper()
		args = append([]string{"dead"}, append(args, "--topic="+dead, "--brokers="+strings.Join(b.Addrs, ","))...)
		out, err := exec.CommandContext(t.Context(), testkit.Binary(t), args...).Output()
		return string(out), err
	}
	show := func(want int, args ...string) (events []deadletter.Event) {
		t.Helper()
		out, err := run(append([]string{"show"}, args...)...)
		for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
			var e deadletter.Event
			if err := d.Decode(&e); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			events = append(events, e)
		}
		if err != nil || len(events) != want {
			t.Fatalf("%v shows %d events, want %d: %v\n%s", args, len(events), want, err, out)
		}
		return events
	}
	all := show(4)
	if e := all[1]; e.Text != `{"n": "a longer one"}` || e.Index != "2" || e.Route != "e" || e.Topic != topic || e.Reason != "body_too_large" || e.Message == "" {
		t.Errorf("the event is %+v", e)
	}
	if e := all[2]; string(e.Bytes) != "raw and long: \xff" {
		t.Errorf("the event is %+v", e)
	}
	show(3, "--route=e")
	show(1, "--route=e", "--limit=1")
	show(0, "--reason=event_misfit")
	show(4, "--reason=body_too_large", "--since=1h")
	show(0, "--since=1ns")

	_, wide := serve(t, b, "--set=ingest.routes.file="+route(""))
	if out, err := run("replay", "--route=e", "--url="+wide); err != nil || !strings.HasSuffix(out, "3 events were posted, 0 of them were refused\n") {
		t.Errorf("%v\n%s", err, out)
	}
	var got []string
	for _, r := range testkit.ReadTopic(t, b, topic, 4) {
		line := string(r.Key) + " " + string(r.Value)
		for _, h := range r.Headers {
			line += " " + h.Key + "=" + string(h.Value)
		}
		got = append(got, line)
	}
	want := []string{`7 [1,2] h=there`, `7 ["a longer one"] h=there`, `7 {"n": "a longer one"} h=there`, "8 raw and long: \xff"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the topic has\n%q, want\n%q", got, want)
	}
	if out, err := run("replay", "--route=f", "--url="+wide); err == nil || !strings.Contains(out, "1 events were posted, 1 of them were refused") {
		t.Errorf("%v\n%s", err, out)
	}
	show(5)
	if out, err := run("replay", "--route=e", "--limit=2", "--url="+wide); err == nil || !strings.HasSuffix(out, "2 events were posted, 0 of them were refused\n") {
		t.Errorf("events are left, and it ends with %v\n%s", err, out)
	}
}

// Events that Kafka refuses when the spool sends them, and whose route has no dead-letter topic,
// are shown from the spool's folder while the node runs, and written when Kafka takes them.
func TestDeadFolder(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic, dir := testkit.Topic(t), t.TempDir()
	_, url := serve(t, b, "--set=ingest.spool.dir="+dir, "--set=topics.auto.create=false",
		"--set=ingest.routes.file="+routesFile(t, "routes:\n  e: {topic: "+topic+", key: {pointer: /k}, headers: {h: {header: X-H}}, ack: disk}\n  f: {topic: "+topic+", ack: disk}\n"))
	ingestEvents(t, url+"/ingest/e", `[{"k":"a"}, {"k":"b"}]`, "X-H", "there")
	ingestEvents(t, url+"/ingest/f", "raw: \xff", "Content-Type", "application/octet-stream")
	testkit.Eventually(t, time.Minute, "events that Kafka refuses", func() bool {
		_, text := call(t, "GET", url+"/metrics", "")
		return strings.Contains(text, "\nmillrace_ingest_dead_events_total 3\n")
	})
	run := func(wantErr bool, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), testkit.Binary(t), append([]string{"dead"}, args...)...).CombinedOutput()
		if (err != nil) != wantErr {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	shown := strings.Split(strings.TrimSpace(run(false, "show", "--spool="+dir)), "\n")
	if len(shown) != 3 || !strings.Contains(shown[0], `"route":"e","topic":"`+topic+`","key":"a","event":"{\"k\":\"a\"}"}`) || !strings.Contains(shown[2], `"event_base64":`) {
		t.Errorf("it shows %q", shown)
	}
	const more = "there are more events than --limit"
	if out := run(false, "show", "--spool="+dir, "--route=e", "--limit=1"); strings.Count(out, "\n") != 2 || !strings.Contains(out, more) {
		t.Errorf("it shows %s", out)
	}
	if out := run(false, "show", "--spool="+dir, "--limit=3"); strings.Contains(out, more) {
		t.Errorf("it shows %s", out)
	}
	run(true, "show")
	run(true, "replay", "--topic="+topic)
	if _, err := kadm.NewClient(testkit.Client(t, b)).CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	run(true, "replay", "--spool="+dir, "--reason=event_misfit", "--brokers="+strings.Join(b.Addrs, ","))
	if out := run(false, "replay", "--spool="+dir, "--brokers="+strings.Join(b.Addrs, ",")); !strings.HasSuffix(out, "3 events were written, 0 of them were refused\n") {
		t.Error(out)
	}
	got := testkit.ReadTopic(t, b, topic, 3)
	if r := got[1]; string(r.Key) != "b" || string(r.Value) != `{"k":"b"}` || len(r.Headers) != 1 || string(r.Headers[0].Value) != "there" {
		t.Errorf("the record is %q %q %v", r.Key, r.Value, r.Headers)
	}
	if r := got[2]; string(r.Value) != "raw: \xff" {
		t.Errorf("the record is %q", r.Value)
	}
	// An operator that deletes the folder after it has to know of the records that are left.
	if out := run(true, "replay", "--spool="+dir, "--limit=2", "--brokers="+strings.Join(b.Addrs, ",")); !strings.Contains(out, more) {
		t.Error(out)
	}
}

// Events that Kafka refuses when the spool sends them, and that are in the dead-letter topic of
// their route, are replayed as the records that the route has made of them.
func TestDeadOfTheSpool(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic, dead := testkit.Topic(t), testkit.CreateTopic(t, b, 1)
	_, url := serve(t, b, "--set=ingest.spool.dir="+t.TempDir(), "--set=topics.auto.create=false", "--set=ingest.routes.file="+routesFile(t,
		"routes:\n  e: {topic: "+topic+", key: {query: k}, partition: {pointer: /p}, headers: {h: {header: X-H}}, ack: disk, dead_letter: "+dead+"}\n"))
	ingestEvents(t, url+"/ingest/e?k=7", `[{"p":0,"n":1},{"p":1,"n":2},{"n":3}]`, "X-H", "there")
	testkit.Eventually(t, time.Minute, "events that Kafka refuses", func() bool {
		_, text := call(t, "GET", url+"/metrics", "")
		return strings.Contains(text, "\nmillrace_ingest_dead_letter_events_total 3\n")
	})
	if _, err := kadm.NewClient(testkit.Client(t, b)).CreateTopic(t.Context(), 2, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), testkit.Binary(t), "dead", "replay", "--topic="+dead, "--url="+url, "--brokers="+strings.Join(b.Addrs, ",")).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "3 events were posted, 0 of them were refused\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	byKey := kafka.KeyPartition([]byte("7"), 2)
	for _, r := range testkit.ReadTopic(t, b, topic, 3) {
		want := map[string]int32{`{"p":0,"n":1}`: 0, `{"p":1,"n":2}`: 1, `{"n":3}`: byKey}[string(r.Value)]
		if string(r.Key) != "7" || len(r.Headers) != 1 || string(r.Headers[0].Value) != "there" || r.Partition != want {
			t.Errorf("%s is in partition %d, want %d, with the key %q and %v", r.Value, r.Partition, want, r.Key, r.Headers)
		}
	}
}
