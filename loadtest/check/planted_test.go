package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// planted is a fault of a proxy, and the anomalies that it is.
type planted struct {
	name  string
	seed  uint64
	wants []Anomaly
	// plant returns what the proxy does with each request.
	plant func() func(x *exchange)
	// change alters the traffic. May be nil.
	change func(o *Options)
}

// once does wrong with the first request of a kind after skip of them that when accepts. All
// else is forwarded.
func once(skip int, when func(x *exchange) bool, wrong func(x *exchange)) func() func(x *exchange) {
	return func() func(x *exchange) {
		n := 0
		return func(x *exchange) {
			if when(x) {
				if n++; n == skip+1 {
					wrong(x)
				}
			}
			finish(x)
		}
	}
}

// finish does what a good proxy does.
func finish(x *exchange) {
	if x.isProduce() && !x.hung && x.status == 0 {
		x.withRule()
	} else if !x.hung {
		x.forward()
	}
}

func produces(n int) func(x *exchange) bool {
	return func(x *exchange) bool {
		return x.isProduce() && len(x.records()) >= n && !slices.ContainsFunc(x.records(), bad)
	}
}

func pages(x *exchange) bool { return x.isRead() && len(x.page()) > 1 }

func commits(x *exchange) bool { return x.isCommit() }

func noGroups(o *Options) { o.Groups = []int{} }

// faults of the way in.
var faultsOfWriting = []planted{
	{"acknowledged before Kafka has it, then dropped", 1, []Anomaly{LostWrite}, once(5, produces(1), func(x *exchange) {
		var slots []slot
		for i := range x.records() {
			slots = append(slots, okSlot(0, int64(1000+i)))
		}
		x.setSlots(slots)
	}), noGroups},
	{"one slot of a request dropped", 2, []Anomaly{LostWrite}, once(5, produces(2), func(x *exchange) {
		records := x.records()
		x.setRecords(records[:len(records)-1])
		x.forward()
		slots := x.slots()
		x.setSlots(append(slots, okSlot(*slots[0].Partition, *slots[0].Offset+int64(len(slots)))))
	}), noGroups},
	{"offsets swapped between slots", 3, []Anomaly{InconsistentOffsets}, once(5, produces(2), func(x *exchange) {
		x.forward()
		slots := x.slots()
		slots[0], slots[1] = slots[1], slots[0]
		x.setSlots(slots)
	}), noGroups},
	{"sent to Kafka again after an answer", 4, []Anomaly{Duplicate}, once(5, produces(1), func(x *exchange) {
		x.ask(x.r.Method, x.r.URL.RequestURI(), x.body)
		x.forward()
	}), noGroups},
	{"sent to Kafka twice, answered 504", 5, []Anomaly{Duplicate}, once(5, produces(1), func(x *exchange) {
		x.ask(x.r.Method, x.r.URL.RequestURI(), x.body)
		x.forward()
		x.reply(504, `{"error_code":50401,"message":"planted"}`)
	}), noGroups},
	{"stored, answered 503", 6, []Anomaly{AbortedRead}, once(5, produces(1), func(x *exchange) {
		x.forward()
		x.reply(503, `{"error_code":50303,"message":"planted"}`)
	}), noGroups},
	{"stored, refused in its slot", 7, []Anomaly{AbortedRead}, once(0, func(x *exchange) bool {
		return x.isProduce() && slices.ContainsFunc(x.records(), bad)
	}, func(x *exchange) {
		records := x.records()
		for _, r := range records {
			delete(r, "timestamp")
		}
		refused := x.records()
		x.setRecords(records)
		x.forward()
		slots := x.slots()
		for i, r := range refused {
			if bad(r) {
				slots[i] = refusedSlot()
			}
		}
		x.setSlots(slots)
	}), func(o *Options) { o.Groups, o.Bad = []int{}, .1 }},
	{"the next client's request fails for a bad record", 8, []Anomaly{StrangerRefused}, func() func(x *exchange) {
		infected, done := false, false
		return func(x *exchange) {
			switch {
			case !x.isProduce():
			case slices.ContainsFunc(x.records(), bad):
				infected = true
			case infected && !done:
				done = true
				x.setSlots(slices.Repeat([]slot{refusedSlot()}, len(x.records())))
			}
			finish(x)
		}
	}, func(o *Options) { o.Groups, o.Bad = []int{}, .1 }},
	{"a request fails whole for one bad record", 9, []Anomaly{NeighbourRefused}, once(0, func(x *exchange) bool {
		return x.isProduce() && len(x.records()) > 1 && slices.ContainsFunc(x.records(), bad) &&
			!slices.ContainsFunc(x.records()[1:], func(r map[string]any) bool { return bad(r) == bad(x.records()[0]) })
	}, func(x *exchange) {
		x.setSlots(slices.Repeat([]slot{refusedSlot()}, len(x.records())))
	}), func(o *Options) { o.Groups, o.Bad, o.MaxRecords = []int{}, .3, 2 }},
	{"records of a request in reverse order", 10, []Anomaly{NonmonotonicSend}, once(5, produces(2), func(x *exchange) {
		records := x.records()
		slices.Reverse(records)
		x.setRecords(records)
		x.forward()
		slots := x.slots()
		slices.Reverse(slots)
		x.setSlots(slots)
	}), func(o *Options) { o.Groups, o.Partitions = []int{}, 1 }},
	{"acknowledged, and written after the client's next request", 11, []Anomaly{InconsistentOffsets, NonmonotonicSend}, func() func(x *exchange) {
		var client string
		var late *exchange
		n := 0
		return func(x *exchange) {
			if x.isProduce() {
				switch n++; {
				case n == 5:
					late, client = &exchange{t: x.t, node: x.node, r: x.r, body: x.body}, x.r.RemoteAddr
					x.setSlots(slices.Repeat([]slot{okSlot(0, 4)}, len(x.records())))
				case client == x.r.RemoteAddr && late != nil:
					x.forward()
					late.forward()
					late = nil
				}
			}
			finish(x)
		}
	}, func(o *Options) { o.Groups, o.Partitions = []int{}, 1 }},
	{"another partition than asked for", 12, []Anomaly{WrongPartition}, once(0, func(x *exchange) bool {
		return produces(1)(x) && x.records()[0]["partition"] != nil
	}, func(x *exchange) {
		records := x.records()
		records[0]["partition"] = 1 - records[0]["partition"].(float64)
		x.setRecords(records)
	}), noGroups},
	{"a record of its own", 13, []Anomaly{NeverSent}, once(5, produces(1), func(x *exchange) {
		extra, _ := json.Marshal(map[string]any{"records": []any{map[string]any{"value": "AAAA"}}})
		x.ask(x.r.Method, x.r.URL.RequestURI(), extra)
	}), noGroups}, // in binary it is no JSON, which those who read JSON would not get past
	{"a value changed on its way in", 14, []Anomaly{LostWrite, NeverSent}, once(5, produces(1), func(x *exchange) {
		records := x.records()
		records[0]["value"] = "AAAA"
		x.setRecords(records)
	}), noGroups},
	{"no answer", 15, []Anomaly{NoAnswer}, once(5, produces(1), func(x *exchange) {
		x.forward()
		x.hung = true
	}), func(o *Options) { o.Groups, o.Timeout = []int{}, 500*time.Millisecond }},
	{"an answer with a slot too few", 16, []Anomaly{MalformedAnswer}, once(5, produces(2), func(x *exchange) {
		x.forward()
		x.setSlots(x.slots()[1:])
	}), noGroups},
}

// faults of the way out.
var faultsOfReading = []planted{
	{"a page lost", 17, []Anomaly{PollSkip}, once(1, pages, func(x *exchange) { x.setPage(nil) }), nil},
	{"a record left out of a page", 18, []Anomaly{PollSkip}, once(1, pages, func(x *exchange) {
		x.setPage(slices.Delete(x.page(), 0, 1))
	}), nil},
	{"nothing given any more", 19, []Anomaly{Unseen}, func() func(x *exchange) {
		n := 0
		return func(x *exchange) {
			if pages(x) {
				if n++; n > 2 {
					x.setPage(nil)
				}
			}
			finish(x)
		}
	}, func(o *Options) { o.Patience = time.Second }},
	{"a page in reverse order", 20, []Anomaly{NonmonotonicPoll}, once(1, pages, func(x *exchange) {
		page := x.page()
		slices.Reverse(page)
		x.setPage(page)
	}), nil},
	{"a page given again", 21, []Anomaly{NonmonotonicPoll}, replay(false), nil},
	{"a page given again after its commit", 22, []Anomaly{RepeatedAfterCommit}, replay(true), nil},
	{"what was not given is committed", 23, []Anomaly{CommitAhead}, once(0, commits, func(x *exchange) {
		topic := topicOf(x)
		body := fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":100000}]}`, topic)
		x.r.Header.Set("Content-Type", mediaV2)
		x.status, x.answer = x.ask(x.r.Method, x.r.URL.RequestURI(), []byte(body))
	}), nil},
	{"a commit answered and not made", 24, []Anomaly{LostCommit}, once(0, commits, func(x *exchange) { x.reply(200, "[]") }), nil},
	{"a value changed on its way out", 25, []Anomaly{NeverSent}, once(1, pages, func(x *exchange) {
		page := x.page()
		page[0]["value"] = "AAAA"
		x.setPage(page)
	}), nil},
	{"two values of a page exchanged", 26, []Anomaly{InconsistentOffsets}, once(1, pages, func(x *exchange) {
		page := x.page()
		page[0]["value"], page[1]["value"] = page[1]["value"], page[0]["value"]
		x.setPage(page)
	}), nil},
	{"a page that does not parse", 27, []Anomaly{PollSkip, MalformedAnswer}, once(1, pages, func(x *exchange) {
		x.reply(200, `[{"topic":`)
	}), nil},
}

// topicOf is the topic of a run with one, by the group's name.
func topicOf(x *exchange) string {
	_, answer := x.ask("GET", strings.TrimSuffix(x.r.URL.Path, "/offsets")+"/subscription", nil)
	var s struct{ Topics []string }
	if err := json.Unmarshal(answer, &s); err != nil || len(s.Topics) == 0 {
		x.t.Errorf("cannot learn the topic: %s", answer)
		return ""
	}
	return s.Topics[0]
}

// replay gives a page again in front of the next: of one that no commit followed, or of one
// that was committed.
func replay(committed bool) func() func(x *exchange) {
	return func() func(x *exchange) {
		var page []map[string]any
		commit, done := false, false
		return func(x *exchange) {
			finish(x)
			switch {
			case done:
			case x.isCommit():
				commit = true
			case !pages(x):
			case page != nil && commit == committed:
				x.setPage(append(page, x.page()...))
				done = true
			default:
				page, commit = x.page(), false
			}
		}
	}
}

func TestPlantedFaults(t *testing.T) {
	testkit.Long(t)
	b := testkit.Fake(t)
	_, url := startNode(t, b.Broker)
	none := planted{name: "none", wants: nil, plant: func() func(x *exchange) { return finish }, change: func(o *Options) {
		o.Topics, o.Groups, o.Bad = nil, nil, .1
	}}
	for _, fault := range slices.Concat([]planted{none}, faultsOfWriting, faultsOfReading) {
		t.Run(strings.ReplaceAll(fault.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			report := runPlanted(t, b.Broker, url, fault)
			found := map[Anomaly]bool{}
			for _, f := range report.Findings {
				found[f.Anomaly] = true
			}
			want := map[Anomaly]bool{}
			for _, a := range fault.wants {
				want[a] = true
			}
			if !maps.Equal(found, want) {
				var text strings.Builder
				_ = report.WriteText(&text)
				t.Errorf("want %v\n%s", fault.wants, &text)
			}
		})
	}
}

func runPlanted(t *testing.T, b testkit.Broker, url string, fault planted) *Report {
	t.Helper()
	proxy := newBadProxy(t, url, fault.plant())
	o := Options{
		URLs: []string{proxy.URL}, Dial: Brokers(b.Addrs...), Seed: fault.seed, Topics: []string{testkit.Topic(t)},
		Partitions: 2, Clients: 4, Requests: 20, MaxRecords: 6, Pause: -1, Groups: []int{1}, Patience: time.Minute,
	}
	if slices.ContainsFunc(faultsOfReading, func(f planted) bool { return f.name == fault.name }) {
		o.Partitions = 1
	}
	if fault.change != nil {
		fault.change(&o)
	}
	h, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	report, _ := judge(t, o.Dial, h)
	if report.Totals.Acknowledged == 0 || len(o.Groups) > 0 && report.Totals.Given == 0 {
		t.Errorf("nothing happened: %+v", report.Totals)
	}
	return report
}
