package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/internal/testkit"
)

// The topic of the audit gets each refusal and each change, with who and from where, and no secret.
// No request reads it, writes it, or learns that it exists.
func TestAuditTopic(t *testing.T) {
	t.Parallel()
	topic, audit := testkit.Topic(t), testkit.Topic(t)+"-audit"
	fake := testkit.Fake(t, kfake.ClusterID("fake"), kfake.SeedTopics(1, topic, audit))
	k := &two{properties: func(string) []string { return []string{"bootstrap.servers=" + fake.Addrs[0]} }}
	root, first := newKey(t, "root")
	weak, second := newKey(t, "weak")
	_, url := k.start(t, "", "audit.topic="+audit, "authentication.keys.file="+writeFile(t, "keys.yaml", first+second),
		"authorization.rules.file="+writeFile(t, "rules.yaml", "rules: [{who: [key:root], allow: [all]}]"))
	by := func(header string) asker { return asker{t: t, url: url, headers: []string{header}} }
	const refusals = 5 // more than the log shows of one kind in a second
	for range refusals {
		by(weak).want("POST", "/topics/"+topic, `{"records":[{"value":"planted-value"}]}`, 403, "40301")
	}
	by(root).want("PUT", "/v3/clusters/fake/topics/"+topic+"/configs/retention.ms", `{"value":"60000"}`, 204, "")
	by(root).want("POST", "/topics/"+audit, `{"records":[{"value":1}]}`, 403, "")
	by(root).want("GET", "/topics/"+audit+"/partitions/0/records?offset=0", "", 403, "")
	if list := by(root).want("GET", "/topics", "", 200, topic); strings.Contains(list, audit) {
		t.Errorf("the topic of the audit is listed: %s", list)
	}
	var refused, changed int
	for _, r := range testkit.ReadTopic(t, fake.Broker, audit, refusals+1) {
		var line struct {
			Time                          time.Time
			Msg, Caller, Address          string
			Action, Method, Path, Err, ID string
			Done                          bool
		}
		if err := json.Unmarshal(r.Value, &line); err != nil || line.Time.IsZero() || line.Address != "127.0.0.1" {
			t.Errorf("%s: %v", r.Value, err)
		}
		switch {
		case line.Msg == "request refused" && line.Caller == "key:weak" && line.Action == "produce" && line.Path == "/topics/"+topic && line.Err != "":
			refused++
		case line.Msg == "audit" && line.Caller == "key:root" && line.Method == "PUT" && line.Done:
			changed++
		}
		for _, secret := range []string{"planted-value", strings.TrimPrefix(root, "X-Api-Key: "), strings.TrimPrefix(weak, "X-Api-Key: ")} {
			if strings.Contains(string(r.Value), secret) {
				t.Errorf("the audit shows a secret: %s", r.Value)
			}
		}
	}
	if refused != refusals || changed != 1 {
		t.Errorf("the audit has %d refusals and %d changes, want %d and 1", refused, changed, refusals)
	}
	by(root).want("GET", "/metrics", "", 200, fmt.Sprintf("millrace_audit_records_total %d", refusals+1))
}
