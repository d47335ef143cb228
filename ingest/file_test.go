package ingest

import (
	"fmt"
	"strings"
	"testing"
)

// Every fault of a file is found at once, with its line.
func TestRouteFaults(t *testing.T) {
	const text = `routes:
  "a b": {}
  ok: {topic: clicks}
  twice: {}
  twice: {}
  wrong:
    topic: {pointer: /t}
    key: {pointer: user, query: u}
    partition: []
    timestamp: {among: [a]}
    colour: red
    headers:
      h: {header: X-H, required: yes}
      i: {pointer: user}
    limits: {bytes: 0, lines: 3}
    pixel: 1
  open: {topic: {query: topic}}
  fixed: {topic: {fixed: "a/b", among: [a]}}
  merged: {<<: {}, key: *x}
  pages:
    cors: {origins: ["https://a.example/", "*"], credentials: true, methods: [GET]}
  none: {cors: {}}
  acks: {ack: tape, fallback: memory}
  both: {ack: disk, fallback: disk}
  typed: {schema: {format: json, id: 3, version: 2, text: x}, dead_letter: a/b}
  less: {enrich: {address: half, colour: true}, drop: [{is: [a]}, {pointer: /a}], sample: {by: x, keep: 2}}
  none-left: {drop: [], sample: {}}
  hot: {overflow: {topic: a/b, events: 0, by: name, colour: red}}
extra: 1
`
	_, faults := ParseRoutes([]byte(strings.Replace(text, "*x", "''", 1)))
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d: %s", f.Line, f.Problem))
	}
	want := []string{
		`2: the name of the route "a b" is not allowed; allowed: letters, digits, . _ and -`,
		`5: routes.twice is there twice`,
		`7: routes.wrong.topic is the same for all events of a request; allowed: a name, query or header`,
		`8: routes.wrong.key.pointer: a JSON pointer begins with "/", as /user/id does`,
		`8: routes.wrong.key must have one of pointer, query, header and fixed`,
		`9: routes.wrong.partition must be a mapping`,
		`9: routes.wrong.partition must have one of pointer, query, header and fixed`,
		`10: routes.wrong.timestamp must have one of pointer, query, header and fixed`,
		`11: routes.wrong.colour is not known here; allowed: topic, key, partition, timestamp, headers, limits, ack, fallback, cors, pixel, schema, dead_letter, enrich, drop, sample, dedupe, overflow`,
		`13: routes.wrong.headers.h.required must be true or false`,
		`14: routes.wrong.headers.i.pointer: a JSON pointer begins with "/", as /user/id does`,
		`15: routes.wrong.limits.bytes must be a whole number, 1 or more`,
		`15: routes.wrong.limits.lines is not known here; allowed: bytes, events, event_bytes`,
		`16: routes.wrong.pixel must be true or false`,
		`17: routes.open.topic comes from the request, and lists no topics; allowed: among: [NAME, …] beside it`,
		`18: routes.fixed.topic is fixed, and among has no meaning`,
		`19: routes.merged.<< is not known here; allowed: topic, key, partition, timestamp, headers, limits, ack, fallback, cors, pixel, schema, dead_letter, enrich, drop, sample, dedupe, overflow`,
		`19: routes.merged.key must be a text`,
		`21: "https://a.example/" is not an origin; allowed: https://HOST, https://HOST:PORT, https://*.DOMAIN, *`,
		`21: routes.pages.cors.methods is not known here; allowed: origins, headers, credentials`,
		`21: routes.pages.cors.credentials lets every page on the web act with what browsers have stored for this node, since origins has *; allowed: origins by name, or no credentials`,
		`22: routes.none.cors lists no origins`,
		`23: routes.acks.ack is "tape"; allowed: kafka, disk, memory`,
		`23: routes.acks.fallback is "memory"; allowed: disk`,
		`24: routes.both.fallback is for ack: kafka only`,
		`25: routes.typed.schema.format is "json"; allowed: avro, jsonschema, protobuf`,
		`25: routes.typed.schema.text is not known here; allowed: format, subject, id, version`,
		`25: routes.typed.schema has an id and a version; allowed: one of the two`,
		`25: routes.typed.dead_letter is not the name of a topic`,
		`26: routes.less.enrich.address is "half"; allowed: network, full`,
		`26: routes.less.enrich.colour is not known here; allowed: received, sent_at, address, user_agent, request_id, traceparent, caller`,
		`26: a rule of routes.less.drop must have one of pointer, query and header, and is, contains or bots`,
		`26: a rule of routes.less.drop must have one of pointer, query and header, and is, contains or bots`,
		`26: routes.less.sample.by must be a pointer; without it the key of the record decides`,
		`26: routes.less.sample.keep must be a number from 0 to 1`,
		`27: routes.none-left.drop must be a list of 1 to 20 rules`,
		`27: routes.none-left.sample must have keep, a number from 0 to 1`,
		`28: routes.hot.overflow.topic is not the name of a topic`,
		`28: routes.hot.overflow.events must be a whole number, 1 or more`,
		`28: routes.hot.overflow.by is "name"; allowed: key, caller`,
		`28: routes.hot.overflow.colour is not known here; allowed: topic, events, burst, by, keep_key`,
		`29: extra is not known here; allowed: routes`,
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("the faults are\n%s\nwant\n%s", a, b)
	}
	f := func(text, want string) {
		t.Helper()
		if _, faults := ParseRoutes([]byte(text)); len(faults) != 1 || fmt.Sprintf("%d: %s", faults[0].Line, faults[0].Problem) != want {
			t.Errorf("%q: %v, want %s", text, faults, want)
		}
	}
	f("routes: [", "1: did not find expected node content")
	f("a\n---\nb", "0: the file has more than one document")
	f("- a", "1: the file must be a mapping")
	f("routes: {}\na: 1", "2: a is not known here; allowed: routes")
	f("routes: {a: &x {}, b: *x}", "1: routes.b must be a name with a value of its own: aliases and merges are not supported")
	for _, empty := range []string{"", "# nothing", "routes: {}"} {
		if table, faults := ParseRoutes([]byte(empty)); table.Len() != 0 || len(faults) > 0 {
			t.Errorf("%q: %v", empty, faults)
		}
	}
}

func FuzzParseRoutes(f *testing.F) {
	f.Add("routes: {a: {topic: {query: t, among: [x]}, key: {pointer: /a}, headers: {h: v}}}")
	f.Add("routes:\n  a: &x {}\n  b: *x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if table, faults := ParseRoutes([]byte(text)); table == nil && len(faults) == 0 {
			t.Fatalf("%q is neither routes nor faults", text)
		}
	})
}
