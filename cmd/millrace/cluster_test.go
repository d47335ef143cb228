package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// A service of three: one node is asked to go, another is killed, and the
// client of a consumer instance only ever talks to whoever is left.
func TestInstanceSurvivesItsNodes(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 2)
		var nodes []*testkit.Process
		var urls []string
		for n := range 3 {
			p, url := serve(t, b, fmt.Sprintf("--set=id=%s-%d", topic, n), "--set=cluster.enable=true", "--set=cluster.secret=sixteen letters.",
				"--set=cluster.topic=_"+topic, "--set=cluster.heartbeat.interval.ms=1000", "--set=cluster.lease.ms=5000")
			nodes, urls = append(nodes, p), append(urls, url)
		}
		group := "/consumers/" + testkit.Group(t)
		wantStatus(t, 200, "POST", urls[0]+group, `{"name":"i","format":"json","auto.offset.reset":"earliest"}`)
		i := group + "/instances/i"
		wantStatus(t, 204, "POST", urls[1]+i+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic))
		got := map[string]int{}
		read := func(from, want int) {
			t.Helper()
			testkit.Eventually(t, 40*time.Second, fmt.Sprintf("%d records", want), func() bool {
				for _, url := range urls[from:] {
					status, body := call(t, "GET", url+i+"/records?timeout=500", "")
					if status == 503 {
						continue
					}
					var records []struct{ Value json.RawMessage }
					if err := json.Unmarshal([]byte(body), &records); status != 200 || err != nil {
						t.Fatalf("a read was answered %d %s (%v)", status, body, err)
					}
					for _, r := range records {
						got[string(r.Value)]++
					}
				}
				return len(got) >= want
			})
		}
		writeNumbers(t, b, topic, 0, 100)
		read(0, 100)
		nodes[0].Signal(t, syscall.SIGTERM)
		writeNumbers(t, b, topic, 100, 100)
		read(1, 200)
		if code := nodes[0].WaitExit(t, 20*time.Second); code != 0 {
			t.Errorf("the node that was asked to go exited with %d", code)
		}
		nodes[1].Signal(t, syscall.SIGKILL)
		writeNumbers(t, b, topic, 200, 100)
		read(2, 300)
		if !strings.Contains(nodes[2].Output(), "consumer instance adopted") {
			t.Error("the last node has adopted nothing")
		}
		wantStatus(t, 204, "DELETE", urls[2]+i, "")
		repeated := -300
		for _, times := range got {
			repeated += times
		}
		t.Logf("%d records came more than once", repeated)
	})
}

func wantStatus(t *testing.T, want int, method, url, body string) {
	t.Helper()
	if status, answer := call(t, method, url, body); status != want {
		t.Fatalf("%s %s: %d %s, want %d", method, url, status, answer, want)
	}
}

// writeNumbers writes n values from a number on to the partitions 0 and 1.
func writeNumbers(t *testing.T, b testkit.Broker, topic string, from, n int) {
	t.Helper()
	cl := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	var rs []*kgo.Record
	for v := from; v < from+n; v++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: int32(v % 2), Value: fmt.Appendf(nil, "%d", v)})
	}
	if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// A node that is killed costs the other members of a group nothing: who adopts
// its instance takes its place in the group before that notices.
func TestKilledNodeIsNoRebalance(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 2)
		var nodes []*testkit.Process
		var urls []string
		for n := range 3 {
			p, url := serve(t, b, fmt.Sprintf("--set=id=%s-%d", topic, n), "--set=cluster.enable=true", "--set=cluster.secret=sixteen letters.",
				"--set=cluster.topic=_"+topic, "--set=cluster.heartbeat.interval.ms=1000", "--set=cluster.lease.ms=5000")
			nodes, urls = append(nodes, p), append(urls, url)
		}
		group := "/consumers/" + testkit.Group(t)
		for n, name := range []string{"i", "bystander"} {
			wantStatus(t, 200, "POST", urls[n]+group, fmt.Sprintf(`{"name":%q,"format":"json","auto.offset.reset":"earliest"}`, name))
			wantStatus(t, 204, "POST", urls[n]+group+"/instances/"+name+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic))
		}
		i, bystander := group+"/instances/i", group+"/instances/bystander"
		got := map[string]bool{}
		read := func(url string) {
			t.Helper()
			status, body := call(t, "GET", url+"/records?timeout=500", "")
			if status == 503 {
				return
			}
			var records []struct{ Value json.RawMessage }
			if err := json.Unmarshal([]byte(body), &records); status != 200 || err != nil {
				t.Fatalf("a read was answered %d %s (%v)", status, body, err)
			}
			for _, r := range records {
				got[string(r.Value)] = true
			}
		}
		has := func(url string) bool {
			t.Helper()
			_, body := call(t, "GET", url+"/assignments", "")
			return strings.Count(body, `"partition":`) == 1
		}
		testkit.Eventually(t, 60*time.Second, "a partition each", func() bool {
			read(urls[0] + i)
			read(urls[1] + bystander)
			return has(urls[0]+i) && has(urls[1]+bystander)
		})
		before := rebalancesOf(t.Context(), urls[1])
		nodes[0].Signal(t, syscall.SIGKILL)
		writeNumbers(t, b, topic, 0, 100)
		testkit.Eventually(t, 60*time.Second, "all records", func() bool {
			read(urls[2] + i) // which adopts it
			read(urls[1] + bystander)
			return len(got) == 100
		})
		if !strings.Contains(nodes[2].Output(), "consumer instance adopted") {
			t.Error("the third node has adopted nothing")
		}
		if after := rebalancesOf(t.Context(), urls[1]); len(before) == 0 || !maps.Equal(before, after) {
			t.Errorf("the other member was rebalanced: %v, then %v", before, after)
		}
	})
}
