package check

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// tale builds a history by hand, of one topic "t" with two partitions, and the log behind it.
// Each call is an operation that takes a millisecond.
type tale struct {
	h   *History
	log *Log
	now time.Duration
	seq int
}

func newTale() *tale {
	h := NewHistory(Header{Run: "r", Topics: []string{"t"}, Exclusive: true, Starts: []Position{place(0, 0), place(1, 0)}})
	return &tale{h: h, log: &Log{Records: map[Partition][]Stored{}, Expired: map[Partition]int64{}}}
}

func place(partition int32, offset int64) Place { return Place{Partition{"t", partition}, offset} }

func (t *tale) append(op Op) *tale {
	op.Sent, op.Done, op.Seq = t.now, t.now+time.Millisecond, t.seq
	t.now, t.seq = t.now+2*time.Millisecond, t.seq+1
	t.h.Append(op)
	return t
}

// produce sends records of client 0 and has them answered. A record is "SEQ outcome place".
func (t *tale) produce(records ...Sent) *tale {
	op := Op{Kind: Produce, Outcome: OK, Status: 200, Topic: "t", Records: records}
	return t.append(op)
}

func ok(seq int, partition int32, offset int64) Sent {
	return Sent{ID: ID{0, seq}, Asked: -1, Outcome: OK, Partition: partition, Offset: offset}
}

func answered(seq, code int) Sent {
	return Sent{ID: ID{0, seq}, Asked: -1, Outcome: OutcomeOf(code), Code: code, Partition: -1, Offset: -1}
}

// stored puts records of client 0 into a partition of the log, one behind the other.
func (t *tale) stored(partition int32, seqs ...int) *tale {
	at := Partition{"t", partition}
	for _, seq := range seqs {
		t.log.Records[at] = append(t.log.Records[at], Stored{Offset: int64(len(t.log.Records[at])), ID: ID{0, seq}})
	}
	return t
}

// all sends as many records as partition 0 is to have and stores them.
func (t *tale) all(n int) *tale {
	for seq := range n {
		t.produce(ok(seq, 0, int64(seq))).stored(0, seq)
	}
	t.h.Ends = []Position{place(0, int64(n))}
	return t
}

func (t *tale) op(kind Kind, instance string) *tale {
	return t.append(Op{Kind: kind, Outcome: OK, Status: 200, Group: "g", Instance: instance})
}

// read gives an instance the records at some offsets of partition 0, which are those that
// all has put there.
func (t *tale) read(instance string, offsets ...int64) *tale {
	op := Op{Kind: Read, Outcome: OK, Status: 200, Group: "g", Instance: instance}
	for _, o := range offsets {
		op.Page = append(op.Page, Given{Place: place(0, o), ID: ID{0, int(o)}})
	}
	return t.append(op)
}

func (t *tale) readFails(instance string) *tale {
	return t.append(Op{Kind: Read, Outcome: Unknown, Group: "g", Instance: instance})
}

func (t *tale) committed(offset int64) *tale {
	return t.append(Op{Kind: Committed, Outcome: OK, Group: "g", Positions: []Position{place(0, offset)}})
}

func TestCheck(t *testing.T) {
	f := func(name string, tale *tale, wants ...string) {
		t.Helper()
		report := Check(tale.h, tale.log)
		var found []string
		for _, finding := range report.Findings {
			found = append(found, fmt.Sprintf("%s %d", finding.Anomaly, finding.Count))
		}
		if !slices.Equal(found, wants) {
			var text strings.Builder
			_ = report.WriteText(&text)
			t.Errorf("%s: have %q, want %q\n%s", name, found, wants, &text)
		}
	}
	f("nothing", newTale())

	// Writing.
	f("stored as answered", newTale().produce(ok(0, 0, 0), ok(1, 1, 0)).stored(0, 0).stored(1, 1))
	f("acknowledged and gone", newTale().produce(ok(0, 0, 0), ok(1, 0, 1)).stored(0, 0), "lost-write 1")
	f("unknown and gone", newTale().produce(answered(0, 50401)))
	f("unknown and stored", newTale().produce(answered(0, 50401)).stored(0, 0))
	f("refused and gone", newTale().produce(answered(0, 50303)))
	f("refused and stored", newTale().produce(answered(0, 50303)).stored(0, 0), "aborted-read 1")
	f("refused, sent again, and stored twice", newTale().produce(answered(0, 50303)).produce(ok(0, 0, 1)).stored(0, 0, 0), "aborted-read 1")
	f("stored twice", newTale().produce(ok(0, 0, 0)).stored(0, 0, 0), "duplicate 1")
	f("unknown and stored twice", newTale().produce(answered(0, 50401)).stored(0, 0, 0), "duplicate 1")
	f("unknown, sent again, and stored twice", newTale().produce(answered(0, 50401)).produce(ok(0, 0, 1)).stored(0, 0, 0))
	f("unknown, sent again, and stored three times", newTale().produce(answered(0, 50401)).produce(ok(0, 0, 1)).stored(0, 0, 0, 0), "duplicate 1")
	f("elsewhere", newTale().produce(ok(0, 0, 7)).stored(0, 0), "inconsistent-offsets 1")
	f("without an offset", newTale().produce(ok(0, 0, -1)).stored(0, 0))
	f("in order", newTale().produce(ok(0, 0, 0)).produce(ok(1, 0, 1)).stored(0, 0, 1))
	f("two requests the wrong way round", newTale().produce(ok(0, 0, 1)).produce(ok(1, 0, 0)).stored(0, 1, 0), "nonmonotonic-send 1")
	f("two records of a request the wrong way round", newTale().produce(ok(0, 0, 1), ok(1, 0, 0)).stored(0, 1, 0), "nonmonotonic-send 1")
	f("in two partitions there is no order", newTale().produce(ok(0, 1, 0)).produce(ok(1, 0, 0)).stored(0, 1).stored(1, 0))
	f("an unknown one has no order", newTale().produce(answered(0, 50401)).produce(ok(1, 0, 0)).stored(0, 1, 0))
	f("the partition asked for", newTale().produce(asking(ok(0, 0, 0), 0)).stored(0, 0))
	f("another partition", newTale().produce(asking(ok(0, 1, 0), 0)).stored(1, 0), "wrong-partition 1")
	f("refused for good", newTale().produce(answered(0, 50002), answered(1, 422)), "stranger-refused 2")
	f("refused for good beside a bad one", newTale().produce(answered(0, 50002), Sent{ID: ID{0, 1}, Asked: -1, Bad: true, Outcome: Failed, Code: 50002}), "neighbour-refused 1")
	f("refused for a while", newTale().produce(answered(0, 50303), answered(1, 429), answered(2, 40301), answered(3, 40401)))
	f("a bad one refused", newTale().produce(Sent{ID: ID{0, 0}, Asked: -1, Bad: true, Outcome: Failed, Code: 50002}))
	f("never sent", newTale().stored(0, 9), "never-sent 1")
	expired := newTale().produce(ok(0, 0, 0)).produce(ok(1, 0, 5))
	expired.log.Expired[Partition{"t", 0}] = 3
	f("gone by retention", expired, "lost-write 1")

	// Reading.
	f("all in order", newTale().all(4).op(Join, "a").read("a", 0, 1).read("a", 2, 3))
	f("a hole", newTale().all(4).read("a", 0, 1).read("a", 3), "poll-skip 1")
	f("a hole that another fills", newTale().all(4).read("a", 0, 1).read("b", 2).read("a", 3))
	f("the tail", newTale().all(4).read("a", 0, 1), "unseen 2")
	f("nothing at all", newTale().all(2).op(Join, "a"), "unseen 2")
	f("back within a page", newTale().all(3).read("a", 0, 2, 1), "nonmonotonic-poll 1")
	f("back in a later page", newTale().all(3).read("a", 0, 1).read("a", 1, 2), "nonmonotonic-poll 1")
	f("back after a read that failed", newTale().all(3).read("a", 0, 1).readFails("a").read("a", 1, 2))
	f("back when another member came", newTale().all(3).op(Join, "a").read("a", 0, 1).op(Join, "b").read("a", 1, 2))
	f("back after a fault", newTale().all(3).read("a", 0, 1).op(Disturbed, "").read("a", 1, 2))
	faults := newTale().all(3).read("a", 0, 1).read("a", 1, 2)
	faults.h.Header.Disturbed = true
	f("back in a run with faults", faults)
	f("back behind a commit", newTale().all(3).read("a", 0, 1).committed(2).read("a", 1, 2), "repeated-after-commit 1")
	f("back behind a commit, by another", newTale().all(3).op(Join, "b").read("a", 0, 1).committed(2).read("b", 1, 2), "repeated-after-commit 1")
	f("back to a commit", newTale().all(3).op(Join, "b").read("a", 0, 1).committed(1).read("b", 1, 2))
	f("committed and not given", newTale().all(3).read("a", 0).committed(3).read("a", 1, 2), "commit-ahead 2")
	f("committed and not given, seen twice", newTale().all(3).read("a", 0).committed(3).committed(3).read("a", 1, 2), "commit-ahead 2")
	f("a commit that was made", newTale().all(2).read("a", 0, 1).op(Commit, "a").committed(2))
	f("a commit that was not made", newTale().all(2).read("a", 0, 1).op(Commit, "a").committed(1), "lost-commit 1")
	f("of two members, one's commit says nothing of the other's partitions", newTale().all(2).op(Join, "b").read("a", 0, 1).op(Commit, "a").committed(1))
	f("given another record", newTale().all(2).append(Op{Kind: Read, Outcome: OK, Group: "g", Instance: "a", Page: []Given{
		{Place: place(0, 0), ID: ID{0, 1}}, {Place: place(0, 1), Foreign: "x"},
	}}), "inconsistent-offsets 1", "never-sent 1")

	// Answers.
	f("late", newTale().append(Op{Kind: Produce, Outcome: Unknown, Late: true}), "no-answer 1")
	f("cut", newTale().append(Op{Kind: Produce, Outcome: Unknown}))
	f("malformed", newTale().append(Op{Kind: Read, Outcome: Unknown, Malformed: "x", Group: "g", Instance: "a"}), "malformed-answer 1")
}

// TestCommitsThatNobodyLookedAt wants a remark on commits that no look at the brokers follows.
func TestCommitsThatNobodyLookedAt(t *testing.T) {
	remarks := func(tale *tale) []string { return Check(tale.h, tale.log).Remarks }
	want := []string{"the brokers did not say what group g had committed in the end: nothing is known of its commits"}
	for name, blind := range map[string]*tale{
		"never":       newTale().all(2).read("a", 0, 1).op(Commit, "a"),
		"not the end": newTale().all(2).read("a", 0).op(Commit, "a").committed(1).read("a", 1).op(Commit, "a"),
	} {
		if got := remarks(blind); !slices.Equal(got, want) {
			t.Errorf("%s: have %q", name, got)
		}
	}
	if got := remarks(newTale().all(2).read("a", 0, 1).op(Commit, "a").committed(2)); len(got) > 0 {
		t.Errorf("all was looked at: %q", got)
	}
}

func asking(s Sent, partition int32) Sent {
	s.Asked = partition
	return s
}

func TestOutcomes(t *testing.T) {
	for outcome, codes := range map[Outcome][]int{
		Failed:  {1, 50002, 400, 404, 40403, 40801, 413, 422, 42203, 429, 42901, 503, 50301, 50303, 50310},
		Unknown: {2, 500, 50001, 50003, 502, 504, 50401, 50402, 301},
	} {
		for _, code := range codes {
			if got := OutcomeOf(code); got != outcome {
				t.Errorf("%d is %s, want %s", code, got, outcome)
			}
		}
	}
}

// TestPlans holds that the seed alone decides what a client sends.
func TestPlans(t *testing.T) {
	o := Options{Seed: 7, Topics: []string{"a", "b"}, Bad: .1}.withDefaults("r")
	text := func(o Options) string {
		var b strings.Builder
		for client := range 3 {
			for n := range 20 {
				p := o.planOf(client, n)
				fmt.Fprintf(&b, "%s %v %v %s\n", p.topic, p.pause, p.again, p.body("r", client, n, time.UnixMilli(0)))
			}
		}
		return b.String()
	}
	first := text(o)
	if text(o) != first {
		t.Error("one seed makes two traffics")
	}
	o.Seed++
	if text(o) == first {
		t.Error("two seeds make one traffic")
	}
	for _, want := range []string{`"partition":3`, `"key":"key-`, `"timestamp":`, `"value":{"check":"r.0.`, `"value":"`} {
		if !strings.Contains(first, want) {
			t.Errorf("no %s in\n%s", want, first)
		}
	}
}

func TestValues(t *testing.T) {
	lengths := map[int]bool{}
	for client := range 5 {
		for seq := range 50 {
			id := ID{client, seq}
			value := AppendValue(nil, "0badcafe", id)
			lengths[len(value)] = true
			if got, ok := ParseValue("0badcafe", bytes.ReplaceAll(value, []byte(":"), []byte(" :\n"))); !ok || got != id {
				t.Fatalf("%s is %v, %v", value, got, ok)
			}
			for _, other := range [][]byte{value[1:], append([]byte("x"), value...), bytes.Replace(value, []byte("0bad"), []byte("0bed"), 1), bytes.Replace(value, []byte(`"}`), []byte(`a"}`), 1)} {
				if got, ok := ParseValue("0badcafe", other); ok {
					t.Fatalf("%s is taken for %v", other, got)
				}
			}
		}
	}
	if len(lengths) < 50 {
		t.Errorf("only %d lengths", len(lengths))
	}
	for _, foreign := range []string{"", "null", "1", `"check"`, `{"check":"0badcafe.1"}`, "\xff"} {
		if _, ok := ParseValue("0badcafe", []byte(foreign)); ok {
			t.Errorf("%q is one of ours", foreign)
		}
	}
}

func TestHistoryInAFile(t *testing.T) {
	h := newTale().all(3).op(Join, "a").read("a", 0, 1).committed(2).op(Disturbed, "").h
	h.Seed = 1 << 63
	var file bytes.Buffer
	if n, err := h.WriteTo(&file); err != nil || n != int64(file.Len()) {
		t.Fatal(n, err)
	}
	got, err := ReadHistory(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := fmt.Sprintf("%+v", h.Ops()), fmt.Sprintf("%+v", got.Ops()); a != b {
		t.Errorf("have %s\nwant %s", b, a)
	}
	if fmt.Sprint(got.Header) != fmt.Sprint(h.Header) {
		t.Errorf("have %+v, want %+v", got.Header, h.Header)
	}
	if _, err := ReadHistory(bytes.NewReader(file.Bytes()[:file.Len()-5])); err == nil {
		t.Error("half a history reads")
	}
}

// TestEveryAnomalyIsDefined holds the definitions to what Check can find.
func TestEveryAnomalyIsDefined(t *testing.T) {
	planted := map[Anomaly]bool{}
	for _, p := range slices.Concat(faultsOfWriting, faultsOfReading) {
		for _, a := range p.wants {
			planted[a] = true
		}
	}
	defined := map[Anomaly]bool{}
	for _, d := range Definitions {
		if defined[d.Anomaly] || d.Means == "" {
			t.Errorf("%s is defined twice, or not at all", d.Anomaly)
		}
		defined[d.Anomaly] = true
	}
	if !maps.Equal(planted, defined) {
		t.Errorf("defined %v\nplanted %v", slices.Sorted(maps.Keys(defined)), slices.Sorted(maps.Keys(planted)))
	}
}
