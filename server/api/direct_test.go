package api_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

func TestV1Exchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		testkit.RunExchanges(t, "testdata/v1.txt", s.base, map[string]string{
			"topic": testkit.CreateTopic(t, b, 1), "other": testkit.CreateTopic(t, b, 1), "group": testkit.Group(t),
		})
	})
}

func TestDirectReadExchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 2)
		late := time.Now().UnixMilli()
		early := late - 10_000
		s.do(t, "POST", "/topics/"+topic+"/partitions/0", fmt.Sprintf(
			`{"records":[{"key":"k","value":{"foo":"bar"},"timestamp":%d,"headers":[{"key":"h","value":"dg=="}]},{"value":2,"timestamp":%[1]d},{"value":"three","timestamp":%d}]}`,
			early, late), jsonV2).want(t, 200, "")
		testkit.RunExchanges(t, "testdata/direct.txt", s.base, map[string]string{
			"topic": topic, "early": strconv.FormatInt(early, 10), "late": strconv.FormatInt(late, 10),
		})
	})
}

// Today's Confluent proxy does not know the types of v1 that name no format.
func TestStrictRefusesUnspecificV1(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.rest.Strict = true })
	const body = `{"records":[{"value":"MQ=="}]}`
	for _, media := range []string{"application/json", "application/octet-stream", "application/vnd.kafka+json", "application/vnd.kafka.v1+json"} {
		s.do(t, "POST", "/topics/t", body, "Content-Type: "+media).want(t, 415, `"error_code":415`)
	}
	s.do(t, "POST", "/topics/t", body, "Content-Type: application/vnd.kafka.binary.v1+json").want(t, 200, `"offset":0`)
}

// A record that Kafka refuses for now is retriable, one that it refuses for good is not; v1 has
// codes of its own for both.
func TestV1RecordCodes(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t)
	s := start(t, f.Broker, func(o *stackOptions) { o.producer.DeliveryTimeout = 1500 * time.Millisecond })
	topic := testkit.CreateTopic(t, f.Broker, 2)
	want := func(err *kerr.Error, code int) {
		t.Helper()
		defer f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{1}, Err: err, Count: -1}).Remove()
		s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":"MQ==","partition":0},{"value":"MQ==","partition":1}]}`,
			"Content-Type: application/vnd.kafka.binary.v1+json").want(t, 200, fmt.Sprintf(`{"partition":null,"offset":null,"error_code":%d,`, code))
	}
	want(kerr.MessageTooLarge, 1)
	want(kerr.NotEnoughReplicas, 2)
}

// The error for an offset that retention has deleted names the present range.
func TestDirectReadBelowTheStart(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":0},{"value":1},{"value":2},{"value":3}]}`, jsonV2).want(t, 200, "")
		gone := make(kadm.Offsets)
		gone.Add(kadm.Offset{Topic: topic, At: 2})
		if _, err := kadm.NewClient(testkit.Client(t, b)).DeleteRecords(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		says := fmt.Sprintf(`{"error_code":40404,"message":"Offset 1 is below the start of partition 0 of topic %s, which has the offsets from 2 to before 4."}`, topic)
		path := "/topics/" + topic + "/partitions/0"
		s.do(t, "GET", path+"/records?offset=1", "").want(t, 404, says)
		s.do(t, "GET", path+"/messages?offset=1&count=9", "").want(t, 404, says)
		s.do(t, "GET", path+"/records?offset=2", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, `"value":2,"partition":0,"offset":2}`)
	})
}

// A read past the end waits no longer than its timeout, and only for the first record.
func TestDirectReadPastTheEnd(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		const patience = 20 * time.Second
		s := start(t, b, func(o *stackOptions) { o.consumer.RequestTimeout = patience })
		topic := testkit.CreateTopic(t, b, 1)
		path := "/topics/" + topic + "/partitions/0"
		answered := make(chan reply, 2)
		for _, query := range []string{"/records?offset=1", "/messages?offset=1&count=5"} {
			go func() {
				r, _ := s.try("GET", path+query, "")
				answered <- r
			}()
		}
		began := time.Now()
		s.do(t, "GET", path+"/records?offset=1&timeout=200", "").want(t, 200, "[]")
		if took := time.Since(began); took < 200*time.Millisecond || took > patience/2 {
			t.Errorf("with a timeout of 200 ms it took %v", took)
		}
		s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":0},{"value":1}]}`, jsonV2).want(t, 200, "")
		for range 2 {
			if r := <-answered; r.status != 200 || !strings.Contains(r.body, `"value":"MQ=="`) {
				t.Errorf("a read that waited got %d %s", r.status, r.body)
			}
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("the waiting reads took %v", took)
		}
		short := start(t, b, func(o *stackOptions) { o.consumer.RequestTimeout = 100 * time.Millisecond })
		short.do(t, "GET", path+"/messages?offset=1000", "").want(t, 200, "[]")
	})
}
