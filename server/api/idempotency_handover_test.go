package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

func (s *stack) isReady(t *testing.T) bool { return s.do(t, "GET", "/readyz", "").status == 200 }

// Nodes that restart one after the other, each when the one before is ready, forget no key.
func TestKeysOutliveARollingRestart(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 3)
	topic := testkit.CreateTopic(t, b, 1)
	path := "/ingest/" + topic
	const keys = 30
	key := func(n int) string { return fmt.Sprint("Idempotency-Key: ", n) }
	body := func(n int) string { return fmt.Sprintf("{\"n\":%d}\nbad\n", n) }
	const lines = "Content-Type: application/x-ndjson"
	var first [keys]reply
	for n := range first {
		first[n] = all[n%3].post(t, path, body(n), lines, key(n)).want(t, 207, "")
	}
	for i := range all {
		all[i].drain(t)
		all[i] = start(t, b, asNode(fmt.Sprintf("node-%c", 'a'+i)))
		testkit.Eventually(t, 30*time.Second, "the node to be ready", func() bool { return all[i].isReady(t) })
	}
	for n := range first {
		for _, s := range all {
			s.post(t, path, body(n), lines, key(n)).replayed(t, first[n])
		}
		all[n%3].post(t, path, body(n+1), lines, key(n)).want(t, 422, `{"error_code":42210,`)
	}
	if got := logEnd(t, b, topic); got != keys {
		t.Errorf("the topic has %d records, want %d", got, keys)
	}
}

// A node that has joined knows of a request that was being carried out before. It does not carry it
// out again when the node that had it is dead.
func TestJoinedNodeKnowsWhoCarriesOut(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	all := nodes(t, f.Broker, 2)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	path := "/ingest/" + topic
	all[0].post(t, path, `{"n":0}`, jsonBody).want(t, 200, "")
	release, lost := carryOut(t, f, all[0], topic)
	all[1].drain(t)
	joined := start(t, f.Broker, asNode("node-c"))
	testkit.Eventually(t, 30*time.Second, "the new node to be ready", func() bool { return joined.isReady(t) })
	joined.post(t, path, `{"n":1}`, jsonBody, keyA).want(t, 409, `{"error_code":40904,`)
	all[0].cut(t)
	testkit.Eventually(t, 20*time.Second, "the new node to know of the death", func() bool { return joined.node.Stats().Nodes == 1 })
	joined.post(t, path, `{"n":1}`, jsonBody, keyA).want(t, 504, `{"error_code":50401,`)
	release()
	<-lost
	if got := logEnd(t, f.Broker, topic); got != 2 {
		t.Errorf("the topic has %d records, want 2", got)
	}
}

// A node is not ready before it has heard the others, as long as they live.
func TestNodeIsReadyWithTheKeysOfTheOthers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	way := newLossy(t)
	first := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = way.before })
	topic := testkit.CreateTopic(t, b, 1)
	testkit.Eventually(t, 30*time.Second, "the first node to be ready", func() bool { return first.isReady(t) })
	answer := first.post(t, "/ingest/"+topic, `{"n":1}`, jsonBody, keyA).want(t, 200, "")
	way.drop.Store(true)
	second := start(t, b, asNode("node-b"))
	seeEachOther(t, first, second)
	for _, query := range []string{"", "?exclude=kafka"} {
		second.do(t, "GET", "/readyz"+query, "").want(t, 503, `{"error_code":50322,`)
	}
	way.drop.Store(false)
	testkit.Eventually(t, 30*time.Second, "the second node to be ready", func() bool { return second.isReady(t) })
	first.drain(t)
	second.post(t, "/ingest/"+topic, `{"n":1}`, jsonBody, keyA).replayed(t, answer)
}

// The memories of a node are for the other nodes of its service alone.
func TestStrangersLearnNoKeys(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	topic := testkit.CreateTopic(t, b, 1)
	all[0].post(t, "/ingest/"+topic, `{"n":1}`, jsonBody, keyA).want(t, 200, "")
	asks := fmt.Sprintf(`{"by":%q,"behind":0}`, all[1].node.Run())
	for _, path := range []string{"/internal/keys", "/internal/keys/all"} {
		for _, s := range all {
			for _, r := range []reply{
				s.do(t, "POST", path, asks, jsonBody).want(t, 404, ""),
				s.do(t, "POST", path, asks, jsonBody, "X-Millrace-Proof: 1").want(t, 403, ""),
			} {
				if strings.Contains(r.body, "memories") || strings.Contains(r.body, "answer") {
					t.Errorf("%s tells a stranger %s", path, r.body)
				}
			}
		}
	}
}
