package api_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
)

// example is an operation of v3 and the request that its description gives for it.
type example struct {
	line, body   string
	order        int
	template     string // the line with the names of the parameters
	tag, summary string
}

// examples fills in the paths of all operations of v3 with what a node has.
func (d *openAPI) examples(t *testing.T, values map[string]string) (all []example) {
	t.Helper()
	var fill []string
	for name, value := range values {
		fill = append(fill, "{"+name+"}", value)
	}
	filled := strings.NewReplacer(fill...)
	for _, path := range keys(d.at(d.root, "paths")) {
		if !strings.HasPrefix(path, "/v3/") || strings.HasSuffix(path, "/records") || strings.HasSuffix(path, "/records:batch") {
			continue // streams of records have tests of their own
		}
		for _, method := range keys(d.at(d.root, "paths", path)) {
			op := d.at(d.root, "paths", path, method)
			e := example{line: strings.ToUpper(method) + " " + filled.Replace(path), template: strings.ToUpper(method) + " " + path}
			e.tag, e.summary = d.at(op, "tags", "0").value.(string), d.at(op, "summary").value.(string)
			if strings.Contains(path, "broker") {
				e.line = strings.Replace(e.line, values["name"], "message.max.bytes", 1)
			}
			content := d.at(op, "requestBody", "content", "application/json", "example")
			if content.value != nil {
				text, err := json.Marshal(content.value)
				if err != nil {
					t.Fatal(err)
				}
				e.body = string(text)
			}
			// A topic is created first; what deletes things comes last, the most of it at the end.
			e.order = map[string]int{"GET": 1, "POST": 2, "PUT": 2, "PATCH": 2, "DELETE": 3 + 100 - strings.Count(path, "/")}[strings.ToUpper(method)]
			if strings.HasSuffix(e.line, "POST /v3/clusters/"+values["cluster_id"]+"/topics") {
				e.order = 0
			}
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b example) int { return cmp.Compare(a.order, b.order) })
	return all
}

// Every operation of v3 works with the example that its description has, and answers as that says.
func TestOpenAPIExamples(t *testing.T) {
	t.Parallel()
	s := startV3(t, testkit.Fake(t).Broker)
	c := newContract(t, s.base)
	group := testkit.Group(t)
	values := map[string]string{
		"cluster_id": s.id, "topic": "readings", "partition": "0", "broker_id": fmt.Sprint(s.broker), "name": "retention.ms",
		"group": group, "user": "alice", "transactional_id": "writer",
	}
	all := c.examples(t, values)
	if len(all) < 50 {
		t.Fatalf("there are %d operations", len(all))
	}
	pages := &docPages{pages: map[string][]shown{}}
	for i, e := range all {
		if i == 1 { // the topic exists
			if _, err := s.admin.CreateTopic(t.Context(), 1, 1, nil, "ledger"); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, 20*time.Second, "the node to know of the topic", func() bool {
				return strings.Contains(s.call(t, "GET", fmt.Sprintf("/brokers/%d/partition-replicas", s.broker), "").body, "ledger")
			})
			inTransaction(t, s.stack.broker, "ledger", values["transactional_id"])
			values["consumer_id"] = s.caughtUp(t, group, "readings", 3)
			var offsets kadm.Offsets
			offsets.AddOffset("readings", 0, 1, -1)
			offsets.AddOffset("readings", 1, 0, -1)
			if err := s.admin.CommitAllOffsets(t.Context(), "idle", offsets); err != nil {
				t.Fatal(err)
			}
		}
		e.line = strings.Replace(e.line, "{consumer_id}", values["consumer_id"], 1)
		if i > 0 && (strings.Contains(e.line, "offsets:reset") || strings.HasPrefix(e.line, "DELETE")) {
			e.line = strings.Replace(e.line, group, "idle", 1) // whose members have left
		}
		want := 200
		switch {
		case strings.HasSuffix(e.line, "/0/reassignment") && !strings.HasPrefix(e.line, "PUT"):
			want = 404 // nothing moves
		case strings.HasSuffix(e.line, "transactions:abort"):
			want = 404 // nothing hangs
		case i == 0 || strings.Contains(e.line, "/acls") && strings.HasPrefix(e.line, "POST"):
			want = 201
		case strings.HasPrefix(e.line, "DELETE") && strings.HasSuffix(e.line, "/acls"):
			e.line += "?resource_type=ANY&pattern_type=ANY&operation=ANY&permission=ANY"
		case strings.HasPrefix(e.line, "DELETE") && strings.HasSuffix(e.line, "/alice"):
			e.line += "?mechanism=SCRAM-SHA-256"
			want = 204
		case strings.HasPrefix(e.line, "DELETE"), strings.HasSuffix(e.line, ":alter"), strings.HasSuffix(e.line, ":update"), strings.HasPrefix(e.line, "PUT"):
			want = 204
		}
		media := ""
		if e.body != "" {
			media = "application/json"
		}
		pages.add(e, want, c.exchange(e.line, media, e.body, want))
	}
	pages.known = strings.NewReplacer("http://localhost:8082/v3/clusters/"+s.id+"/", "$C/", s.base, "http://localhost:8082", s.id, "ID", group, "dash", values["consumer_id"], "MEMBER")
	pages.check(t)
}
