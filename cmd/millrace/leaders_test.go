package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// A leader that moved is seen by pollers as soon as a record goes to it or
// comes from it, long before the view would grow old.
func TestMovedLeaderIsSeen(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "t"))
	_, url := serve(t, b.Broker, "--set=metadata.max.age.ms=3600000")
	leader := func() int32 {
		t.Helper()
		_, body := call(t, "GET", url+"/topics/t", "")
		var topic struct{ Partitions []struct{ Leader int32 } }
		if err := json.Unmarshal([]byte(body), &topic); err != nil || len(topic.Partitions) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		return topic.Partitions[0].Leader
	}
	write := func() {
		t.Helper()
		if status, body := call(t, "POST", url+"/topics/t", `{"records":[{"value":1}]}`); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	get := func(path string) string {
		t.Helper()
		req, err := http.NewRequest("GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/vnd.kafka.json.v2+json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var text strings.Builder
		if _, err := io.Copy(&text, resp.Body); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	other := testkit.Client(t, b.Broker)
	elsewhere := func() { // a record that this node did not write
		t.Helper()
		if err := other.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("1")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	write()
	get("/topics/t/partitions/0/records?offset=0")
	call(t, "POST", url+"/consumers/g", `{"name":"i","format":"json","auto.offset.reset":"earliest"}`)
	call(t, "POST", url+"/consumers/g/instances/i/assignments", `{"partitions":[{"topic":"t","partition":0}]}`)
	call(t, "GET", url+"/consumers/g/instances/i/records", "")

	for what, use := range map[string]func(){
		"produce":     write,
		"direct read": func() { get("/topics/t/partitions/0/records?offset=0") },
		// At the end of the log no record tells who leads it.
		"direct read of nothing": func() { get("/topics/t/partitions/0/records?offset=1000000&timeout=0") },
		"consumer": func() {
			elsewhere()
			testkit.Eventually(t, 30*time.Second, "the record to be read", func() bool {
				return strings.Contains(get("/consumers/g/instances/i/records?timeout=1000"), `"topic"`)
			})
		},
	} {
		was := leader()
		next := (was + 1) % 3
		if err := b.MoveTopicPartition("t", 0, next); err != nil {
			t.Fatal(err)
		}
		if now := leader(); now != was {
			t.Fatalf("%s: the view is renewed without a reason", what)
		}
		used := time.Now()
		use()
		began := time.Now()
		testkit.Eventually(t, 10*time.Second, "the new leader to show after a "+what, func() bool { return leader() == next })
		t.Logf("%s took %v, the leader showed %v later", what, began.Sub(used), time.Since(began))
	}
}
