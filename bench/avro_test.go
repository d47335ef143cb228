//go:build !race

package main

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"millrace/internal/lab"
	"millrace/internal/testkit"
)

// produced is one way to send an event of 19 fields.
type produced struct {
	name        string
	contentType string
	members     string   // before the records
	values      [][]byte // as they stand in the request
	held        bool     // it allocates nothing a record; the libraries of the others do
}

// eventsOf returns the ways, JSON first. The registry has what they name.
func eventsOf(t *testing.T, registry string) []produced {
	t.Helper()
	events, err := loadCitations(t.Context(), registry)
	if err != nil {
		t.Fatal(err)
	}
	raw := testkit.ParkingCitations(t)
	proto := "syntax = \"proto3\"; message Citation {"
	for i, m := range bytes.Split(raw[0][2:], []byte(`,"`)) {
		name, _, _ := bytes.Cut(m, []byte(`"`))
		proto += fmt.Sprintf(" string %s = %d;", name, i+1)
	}
	id, text := fmt.Sprintf(`"value_schema_id":%d,`, events.id), `"value_schema":`+quoted(testkit.CitationSchema)+`,`
	return []produced{
		{"json", v2JSONRecords, "", events.plain, true},
		{"avro, schema id", v2AvroRecords, id, events.tagged, true},
		{"avro, schema text", v2AvroRecords, text, events.tagged, true},
		{"avro=plain, schema text", v2AvroRecords + "; avro=plain", text, events.plain, true},
		{"json, charset", v2JSONRecords + "; charset=utf-8", "", events.plain, true},
		{"jsonschema, schema text", "application/vnd.kafka.jsonschema.v2+json", `"value_schema":"{\"type\":\"object\",\"required\":[\"Ticket\"]}",`, raw, false},
		{"protobuf, schema text", "application/vnd.kafka.protobuf.v2+json", `"value_schema":` + quoted(proto+" }") + `,`, raw, false},
	}
}

// sender sends requests of n records to topic t.
func (p *produced) sender(t testing.TB, addr string, n int) *rawClient {
	t.Helper()
	return newSender(t, addr, rawRequest{"/topics/" + blackholeTopic, p.contentType, requestBodies(p.values, n, "json", p.members)[0], offsetMember, n})
}

// startTyped is the whole node with a schema registry, and what to send to it.
func startTyped(t *testing.T) (*stack, []produced) {
	t.Helper()
	registry := srfake.New()
	t.Cleanup(registry.Close)
	s := startStack(t, startBlackhole(t), "schema.registry.url="+registry.URL(), "schema.registry.check.subject=false")
	return s, eventsOf(t, registry.URL())
}

// A record with a schema costs no allocation more than one of JSON, whichever way the
// schema is named. JSON Schema and Protobuf rest on libraries that allocate: shown.
func TestTypedAllocationBudget(t *testing.T) {
	testkit.Long(t)
	s, ways := startTyped(t)
	for _, w := range ways {
		for _, n := range []int{1, 100} {
			l, each := load{n, 2, 1.25, 0}, 200
			if !w.held {
				// Without its collector the process would grow by gigabytes.
				l, each = load{n, 2, math.Inf(1), 0}, 20
			}
			got, why := produceAllocs(t, s, l, each, func() *rawClient { return w.sender(t, s.addr, n) })
			t.Logf("%-24s %3d records: %6.2f allocations a request, %.2f Kafka requests a request", w.name, n, got.allocs, got.kafkaRequests)
			if w.held && why != "" {
				t.Errorf("%s, %d records: %.2f allocations a request with %.2f Kafka requests:%s", w.name, n, got.allocs, got.kafkaRequests, why)
			}
		}
	}
}

// mostOverJSON is far above the goal (see avroGoal), which the benchmark holds, so that
// no noise reaches it, and far below what one careless walk over a value costs.
const mostOverJSON = 2.5

// An Avro record costs little more processor time than the same event as JSON, in the
// whole node, by id and by text.
func TestAvroProduceOverJSON(t *testing.T) {
	testkit.Long(t)
	const n, requests, rounds = 100, 100, 5
	s, ways := startTyped(t)
	least := map[string]time.Duration{}
	for range rounds {
		for _, w := range ways[:4] {
			client := w.sender(t, s.addr, n)
			sendAll(t, []*rawClient{client}, 10)
			start := lab.ProcessCPU()
			sendAll(t, []*rawClient{client}, requests)
			if took := lab.ProcessCPU() - start; least[w.name] == 0 || took < least[w.name] {
				least[w.name] = took
			}
			_ = client.conn.Close()
		}
	}
	for _, w := range ways[1:4] {
		over := float64(least[w.name]) / float64(least["json"])
		t.Logf("%s: %.0f ns a record, %.2f of JSON's", w.name, float64(least[w.name])/(n*requests), over)
		if over > mostOverJSON {
			t.Errorf("%s costs %.2f times what JSON costs", w.name, over)
		}
	}
}
