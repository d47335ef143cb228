package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
)

// The PyPI package kafka-mcp, a client of v3, makes a topic, changes it, writes to it, reads it by
// v2, looks at its group and deletes it. Kafka has the same.
func TestPythonClientOfV3(t *testing.T) {
	t.Parallel()
	testkit.OnDemand(t, "MILLRACE_TEST_CLIENTS", "the client of v3 was not tried: it has to be downloaded; `make clients` does")
	dir := filepath.Join("testdata", "clients", "python-v3")
	python := testkit.Python(t, filepath.Join(dir, "requirements.txt"))
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b)
		topic, group := testkit.Topic(t), testkit.Group(t)
		acls := map[string]string{"kfake": "acls", "kafka": "no authorizer"}[b.Name]
		client := startTalk(t, exec.CommandContext(t.Context(), python, filepath.Join(dir, "operate.py"), url, topic, group, acls), 2*time.Minute)
		want := []string{
			`{"name": "cluster", "value": true}`,
			fmt.Sprintf(`{"name": "created", "value": ["%s", 2, 1]}`, topic),
			`{"name": "listed", "value": true}`,
			`{"name": "partitions", "value": [0, 1]}`,
			`{"name": "partition", "value": 1}`,
			`{"name": "configs", "value": ["7200000", "65536"]}`,
			`{"name": "produced", "value": [200, 0, 0]}`,
			`{"name": "produced", "value": [200, 1, 0]}`,
			`{"name": "produced", "value": [200, 0, 1]}`,
			`{"name": "consumed", "value": [0, 1, 2]}`,
			`{"name": "group", "value": ["STABLE", true]}`,
			`{"name": "members", "value": 1}`,
			`{"name": "lags", "value": [0, [0, 0]]}`,
			`{"name": "brokers", "value": [true, true]}`,
		}
		if acls == "acls" {
			want = append(want, `{"name": "acls", "value": ["User:alice"]}`, `{"name": "deleted", "value": ["READ"]}`, `{"name": "acls", "value": []}`)
		}
		for _, line := range want {
			client.expect(t, line)
		}
		admin := kadm.NewClient(testkit.Client(t, b))
		topics, err := admin.ListTopics(t.Context(), topic)
		if err != nil || len(topics[topic].Partitions) != 2 {
			t.Errorf("Kafka has %v, %v", topics, err)
		}
		client.next()
		client.expect(t, `{"name": "gone", "value": "API error: 404 -"}`)
		client.end(t)
	})
}
