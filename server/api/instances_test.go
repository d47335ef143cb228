package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// Records of uncommitted transactions are returned where the instance's setting asks for them, or
// the node's.
func TestIsolationLevel(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 1)
		tx := testkit.Client(t, b, kgo.TransactionalID(topic), kgo.DefaultProduceTopic(topic))
		for n, commit := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
			if err := tx.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := tx.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(n))).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := tx.EndTransaction(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
		}
		s := start(t, b)
		for level, want := range map[string]string{"read_uncommitted": "0 1 2", "read_committed": "1", "": "0 1 2"} {
			more := ""
			if level != "" {
				more = fmt.Sprintf(`,"isolation.level":%q`, level)
			}
			path := createConsumer(t, s, more)
			s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
			if got := s.readValues(t, path+"/records?timeout=1000", "application/vnd.kafka.json.v2+json", (len(want)+1)/2); got != want {
				t.Errorf("%s reads %s, want %s", level, got, want)
			}
			s.do(t, "GET", path+"/records?timeout=100", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, "[]")
		}
	})
}

// The two limits of instances have distinct errors, which name the limit, and admit a new
// instance after one was deleted.
func TestInstanceLimits(t *testing.T) {
	t.Parallel()
	for _, limit := range []struct {
		all, each int
		code      int
		says      string
	}{
		{all: 2, each: 0, code: 42901, says: "This node holds 2 consumer instances, as many as it is allowed to (consumer.instances.max)."},
		{all: 5, each: 2, code: 42904, says: "The address 127.0.0.1 has 2 consumer instances on this node, as many as one address is allowed to (consumer.instances.max.per.client)."},
	} {
		s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
			o.consumer.MaxInstances, o.consumer.MaxPerClient = limit.all, limit.each
		})
		first := createConsumer(t, s, "")
		createConsumer(t, s, "")
		r := s.do(t, "POST", "/consumers/g", "", plainV2).want(t, 429, fmt.Sprintf(`{"error_code":%d,"message":"%s`, limit.code, limit.says))
		if r.header.Get("Retry-After") == "" {
			t.Error("the refusal does not say when to come again")
		}
		s.do(t, "DELETE", first, "").want(t, 204, "")
		s.do(t, "POST", "/consumers/g", "", plainV2).want(t, 200, "instance_id")
	}
}

// An instance expires when it was not used for the time of the setting, to the second, and not
// while a longer read waits.
func TestExpiryToTheSecond(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, func(o *stackOptions) { o.consumer.InstanceTimeout = idle })
	path := createConsumer(t, s, "")
	s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	const read = 3500 * time.Millisecond
	began := time.Now()
	s.do(t, "GET", path+"/records?timeout=3500", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, "[]")
	answered := time.Now()
	testkit.Eventually(t, 20*time.Second, "the instance to expire", func() bool { return s.consumers.Count() == 0 })
	// The last use is the end of the read, later than its timeout and earlier than its response. A
	// busy machine gets six seconds more.
	if least, most := time.Since(began)-read, time.Since(answered); least < idle || most > idle+6*time.Second {
		t.Errorf("an instance with a timeout of %v expired after %v to %v", idle, most, least)
	}
	s.do(t, "GET", path+"/records", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 404, `"error_code":40403`)
}

// A seek past the record that the error names continues, as the message advises.
func TestSeekPastAnUndecodableRecord(t *testing.T) {
	t.Parallel()
	const accept = "Accept: application/vnd.kafka.json.v2+json"
	b := testkit.Fake(t).Broker
	topic := mixedTopic(t, b)
	s := start(t, b)
	path := createConsumer(t, s, "")
	s.do(t, "POST", path+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
	s.do(t, "GET", path+"/records", "", accept).want(t, 200, `"value":0,`)
	for range 2 {
		s.do(t, "GET", path+"/records", "", accept).want(t, 408, `{"error_code":40801,`).want(t, 408, "offset 1 ")
	}
	s.do(t, "POST", path+"/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":2}]}`, topic), plainV2).want(t, 204, "")
	s.do(t, "GET", path+"/records", "", accept).want(t, 200, `"value":1,`)
}
