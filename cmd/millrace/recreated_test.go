package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
)

// A topic that is deleted and created again under its name is another one to Kafka, and the
// same to clients: clients continue to write it, and to read it, whether subscribed or
// assigned.
func TestRecreatedTopic(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b, "--set=topics.auto.create=false")
		topic := testkit.CreateTopic(t, b, 1)
		value := 1
		write := func() (int, string) {
			return call(t, "POST", url+"/topics/"+topic, fmt.Sprintf(`{"records":[{"value":%d}]}`, value))
		}
		if status, body := write(); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		readers := map[string]func() (int, string){
			"subscribed": instanceReader(t, url, "subscription", fmt.Sprintf(`{"topics":[%q]}`, topic)),
			"assigned":   instanceReader(t, url, "assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic)),
		}
		const old = `"value":1,`
		for name, read := range readers {
			testkit.Eventually(t, 30*time.Second, "the record to be read", func() bool {
				status, body := read()
				if status != 200 {
					t.Errorf("%s: %d %s", name, status, body)
				}
				return strings.Contains(body, old)
			})
		}
		testkit.RecreateTopic(t, b, topic, 1)
		value = 2
		if status, body := write(); status != 200 || !strings.Contains(body, `"offset":0`) { // the node has sent it again
			t.Errorf("%d %s", status, body)
		}
		if status, body := write(); status != 200 || !strings.Contains(body, `"offset":1`) {
			t.Errorf("%d %s", status, body)
		}
		for name, read := range readers {
			got := ""
			testkit.Eventually(t, 60*time.Second, "the new records to be read", func() bool {
				status, body := read()
				if status != 200 && !strings.Contains(body, "may have been created again") {
					t.Errorf("%s: %d %s", name, status, body)
				}
				if status == 200 {
					got += body
				}
				return strings.Contains(got, `"offset":1`)
			})
			if strings.Contains(got, old) || strings.Count(got, `"value":2,`) != 2 {
				t.Errorf("%s: read %s", name, got)
			}
		}
	})
}

// instanceReader returns how an instance is read that was created for what it is to read.
func instanceReader(t *testing.T, url, of, what string) func() (int, string) {
	t.Helper()
	group := url + "/consumers/" + testkit.Group(t)
	if status, body := call(t, "POST", group, `{"name":"i","format":"json","auto.offset.reset":"earliest","auto.commit.enable":"true"}`); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := call(t, "POST", group+"/instances/i/"+of, what); status != 204 {
		t.Fatalf("%d %s", status, body)
	}
	return func() (int, string) {
		return call(t, "GET", group+"/instances/i/records?timeout=1000", "")
	}
}

// A partition that was just added can be written, and looked up, at once.
func TestAddedPartition(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b, "--set=topics.auto.create=false")
		topic := testkit.CreateTopic(t, b, 1)
		admin := kadm.NewClient(testkit.Client(t, b))
		const record = `{"records":[{"value":1}]}`
		for added := range 3 {
			target := fmt.Sprintf("%s/topics/%s/partitions/%d", url, topic, added)
			if added > 0 {
				if status, body := call(t, "POST", target, record); status != 404 || !strings.Contains(body, "40402") {
					t.Errorf("before it is there: %d %s", status, body)
				}
				grow(t, admin, topic, added+1)
			}
			if status, body := call(t, "POST", target, record); status != 200 || !strings.Contains(body, `"offset":0`) {
				t.Errorf("produce: %d %s", status, body)
			}
			if status, body := call(t, "GET", target, ""); status != 200 {
				t.Errorf("look-up: %d %s", status, body)
			}
		}
		grow(t, admin, topic, 4)
		if status, body := call(t, "GET", url+"/topics/"+topic+"/partitions/3", ""); status != 200 {
			t.Errorf("look-up first: %d %s", status, body)
		}
	})
}

// grow gives the topic so many partitions, and returns when Kafka describes them.
func grow(t *testing.T, admin *kadm.Client, topic string, partitions int) {
	t.Helper()
	if _, err := admin.UpdatePartitions(t.Context(), partitions, topic); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 20*time.Second, "the partition to be described", func() bool {
		topics, err := admin.ListTopics(t.Context(), topic)
		return err == nil && len(topics[topic].Partitions) == partitions
	})
}
