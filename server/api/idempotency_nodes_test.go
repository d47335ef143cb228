package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// tryKey posts a request with a key, again while another node does not answer in time, as on a busy
// machine.
func (s *stack) tryKey(path, body string, headers ...string) (reply, error) {
	for until := time.Now().Add(time.Minute); ; {
		r, err := s.try("POST", path, body, headers...)
		if err != nil || r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "50322") || time.Now().After(until) {
			return r, err
		}
	}
}

// post is tryKey where there must be an answer.
func (s *stack) post(t *testing.T, path, body string, headers ...string) reply {
	t.Helper()
	r, err := s.tryKey(path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A request with a key is carried out once by all nodes of a service, whichever of them get it, one
// that has joined since among them, and when the node that had it is gone.
func TestKeysAreOfAllNodes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 3)
	topic := testkit.CreateTopic(t, b, 1)
	written := int64(0)
	for n, call := range []struct {
		path, body, contentType string
		status                  int
	}{
		{"/topics/" + topic, `{"records":[{"value":1}]}`, jsonV2, 200},
		{all[0].v3(topic) + "/records", `{"value":{"type":"JSON","data":1}}`, jsonBody, 200},
		{"/ingest/" + topic, "{\"n\":1}\nbad\n", "Content-Type: application/x-ndjson", 207},
		{"/ingest/" + topic, `{"n":1}`, "Content-Type: text/plain", 204},
	} {
		key := fmt.Sprint("Idempotency-Key: ", n)
		first := all[n%3].post(t, call.path, call.body, call.contentType, key).want(t, call.status, "")
		written++
		for _, s := range all {
			s.post(t, call.path, call.body, call.contentType, key).replayed(t, first)
			s.post(t, call.path, call.body+" ", call.contentType, key).want(t, 422, `{"error_code":42210,`)
		}
	}
	post := func(s *stack, key string) reply { return s.post(t, "/ingest/"+topic, `{"n":1}`, jsonBody, key) }
	first := post(all[0], keyA).want(t, 200, "")
	if first.header.Get("Idempotency-Scope") != "" {
		t.Error("the key counts on one node only")
	}
	joined := start(t, b, asNode("node-0"))
	testkit.Eventually(t, 20*time.Second, "the new node", func() bool { return joined.node.Stats().Nodes == 4 })
	post(joined, keyA).replayed(t, first)
	all[0].drain(t)
	for _, s := range all[1:] {
		post(s, keyA).replayed(t, first)
	}
	if got := logEnd(t, b, topic); got != written+1 {
		t.Errorf("the topic has %d records, want %d", got, written+1)
	}
}

// Of requests with one key that come to several nodes at once, one is carried out. The others are
// told to ask again, and then get its answer.
func TestOneOfManyNodesCarriesOut(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 3)
	topic := testkit.CreateTopic(t, b, 1)
	const rounds = 50
	for round := range rounds {
		key := fmt.Sprint("Idempotency-Key: ", round)
		answers := make([]reply, 2*len(all))
		var asked sync.WaitGroup
		for i := range answers {
			asked.Go(func() {
				r, err := all[i%len(all)].tryKey("/ingest/"+topic, `{"n":1}`, jsonBody, key)
				if err != nil {
					t.Error(err)
				}
				answers[i] = r
			})
		}
		asked.Wait()
		fresh := 0
		for _, r := range answers {
			switch {
			case r.status == http.StatusOK && r.header.Get("Idempotent-Replayed") == "":
				fresh++
			case r.status != http.StatusOK:
				r.want(t, 409, `{"error_code":40904,`)
			}
		}
		for _, s := range all {
			if s.post(t, "/ingest/"+topic, `{"n":1}`, jsonBody, key).want(t, 200, "").header.Get("Idempotent-Replayed") == "" {
				fresh++ // those that had asked at once have all been told to come again
			}
		}
		if fresh != 1 {
			t.Fatalf("round %d: %d requests were carried out", round, fresh)
		}
	}
	if got := logEnd(t, b, topic); got != rounds {
		t.Errorf("the topic has %d records, want %d", got, rounds)
	}
}

// holdProduce holds the next Produce request for a topic until release is called; began tells that
// it has come.
func holdProduce(t *testing.T, f *testkit.FakeKafka, topic string) (began <-chan struct{}, release func()) {
	t.Helper()
	found, err := kadm.NewClient(testkit.Client(t, f.Broker)).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	id := found[topic].ID
	arrived, held := make(chan struct{}), make(chan struct{})
	arrive := sync.OnceFunc(func() { close(arrived) })
	f.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		if r.(*kmsg.ProduceRequest).Topics[0].TopicID != [16]byte(id) {
			f.KeepControl()
			return nil, nil, false
		}
		arrive()
		f.SleepControl(func() { <-held })
		return nil, nil, false
	})
	return arrived, func() { close(held) }
}

// carryOut has a node begin to carry out a request with keyA, whose produce is held until release
// is called. ended is closed when the request has ended.
func carryOut(t *testing.T, f *testkit.FakeKafka, s *stack, topic string) (release func(), ended <-chan struct{}) {
	t.Helper()
	began, release := holdProduce(t, f, topic)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = s.tryKey("/ingest/"+topic, `{"n":1}`, jsonBody, keyA)
	}()
	<-began
	return release, over
}

// While a node carries a request out no other does. If it dies meanwhile, its records may be
// written or not, and the others answer 504. A request that it has withdrawn before is carried out.
func TestNodeDiesWithAKey(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	all := nodes(t, f.Broker, 3)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	path := "/ingest/" + topic
	all[0].post(t, "/topics/"+topic, `{"records":[{"valu":1}]}`, jsonV2, keyB).want(t, 422, "")

	release, lost := carryOut(t, f, all[0], topic)
	for _, s := range all[1:] {
		s.post(t, path, `{"n":1}`, jsonBody, keyA).want(t, 409, `{"error_code":40904,`)
		s.post(t, path, `{"n":2}`, jsonBody, keyA).want(t, 422, `{"error_code":42210,`)
	}
	all[0].cut(t)
	testkit.Eventually(t, 20*time.Second, "the others to know of the death", func() bool {
		return all[1].node.Stats().Nodes == 2 && all[2].node.Stats().Nodes == 2
	})
	for range 2 {
		for _, s := range all[1:] {
			s.post(t, path, `{"n":1}`, jsonBody, keyA).want(t, 504, `{"error_code":50401,`)
		}
	}
	release()
	<-lost
	all[1].post(t, "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2, keyB).want(t, 200, "")
	if got := logEnd(t, f.Broker, topic); got != 2 {
		t.Errorf("the topic has %d records, want 2", got)
	}
}

// A node that cannot ask one that lives writes nothing. One that is cut off from the others says
// that the key counts on it alone, as does one that has a node beside it that takes no keys.
func TestKeysWithoutTheOtherNodes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	way := newLossy(t)
	first := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = way.before })
	second := start(t, b, asNode("node-b"))
	topic := testkit.CreateTopic(t, b, 1)
	post := func(s *stack, key string) reply { return s.do(t, "POST", "/ingest/"+topic, `{"n":1}`, jsonBody, key) }
	seeEachOther(t, first, second)
	way.drop.Store(true)
	if r := post(second, keyA).want(t, 503, `{"error_code":50322,`); r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	way.drop.Store(false)
	testkit.Eventually(t, 20*time.Second, "the way to be open", func() bool { return post(second, keyA).status == 200 })
	if got := logEnd(t, b, topic); got != 1 {
		t.Errorf("the topic has %d records, want 1", got)
	}
	scope := func(s *stack, key string) string {
		return s.post(t, "/ingest/"+topic, `{"n":1}`, jsonBody, key).want(t, 200, "").header.Get("Idempotency-Scope")
	}
	third := start(t, b, asNode("node-c"), func(o *stackOptions) { o.node.Keys = false })
	testkit.Eventually(t, 20*time.Second, "the third node", func() bool { return first.node.Stats().Nodes == 3 })
	if got := scope(first, "Idempotency-Key: beside one without keys"); got != "node" {
		t.Errorf("the scope is %q", got)
	}
	third.drain(t)
	testkit.Eventually(t, 20*time.Second, "the end of the third node", func() bool { return first.node.Stats().Nodes == 2 })
	if got := scope(first, "Idempotency-Key: of both"); got != "" {
		t.Errorf("the scope is %q", got)
	}
	second.cut(t)
	if got := scope(second, "Idempotency-Key: of one that is cut off"); got != "node" {
		t.Errorf("the scope is %q", got)
	}
}
