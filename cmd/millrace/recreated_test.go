package main

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
)

// A topic that is deleted and created again under its name is another one to
// Kafka, and the same to clients: they go on to write it.
func TestRecreatedTopic(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b, "--set=topics.auto.create=false")
		topic := testkit.CreateTopic(t, b, 1)
		write := func() (int, string) {
			return call(t, "POST", url+"/topics/"+topic, `{"records":[{"value":1}]}`)
		}
		if status, body := write(); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		admin := kadm.NewClient(testkit.Client(t, b))
		if _, err := admin.DeleteTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, 20*time.Second, "the topic to be created again", func() bool {
			_, err := admin.CreateTopic(t.Context(), 1, 1, nil, topic)
			return err == nil
		})
		// The first may be lost to the old topic, and says that it should come again.
		testkit.Eventually(t, 30*time.Second, "a record to be written", func() bool {
			status, body := write()
			if status != 200 && !strings.Contains(body, "50003") && !strings.Contains(body, "40401") {
				t.Errorf("%d %s", status, body)
			}
			return status == 200
		})
		if status, body := write(); status != 200 || !strings.Contains(body, `"offset":1`) {
			t.Errorf("%d %s", status, body)
		}
	})
}
