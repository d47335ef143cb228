package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

func TestMACTellsRecordsApart(t *testing.T) {
	s := newSealer("secret", "t")
	genuine := s.seal(&kgo.Record{Key: []byte("ab"), Value: []byte("c")})
	if !s.verifies(genuine) {
		t.Fatal("a record that was just sealed does not verify")
	}
	other, moved := newSealer("secret2", "t"), newSealer("secret", "u")
	again := newSealer("secret", "t")
	again.id = [16]byte{1}
	for _, o := range []*sealer{other, moved, again} {
		if o.verifies(genuine) {
			t.Errorf("it verifies for another secret or topic: %+v", o)
		}
	}
	for _, r := range []*kgo.Record{
		{Key: []byte("a"), Value: []byte("bc")},
		{Key: []byte("abc"), Value: []byte{}},
		{Key: []byte("ab"), Value: []byte("d")},
		{Key: []byte("ab")},
	} {
		r.Headers = genuine.Headers
		if s.verifies(r) {
			t.Errorf("the MAC of another record verifies for %q %q", r.Key, r.Value)
		}
	}
	tombstone := s.seal(&kgo.Record{Key: []byte("ab")})
	if s.verifies(&kgo.Record{Key: []byte("ab"), Value: []byte{}, Headers: tombstone.Headers}) {
		t.Error("a tombstone is an empty value")
	}
	if string(DeriveKey("secret", "one")) == string(DeriveKey("secret", "two")) {
		t.Error("two uses have one key")
	}
}

// beatOf is a heartbeat of the node n.
func beatOf(run string, started int64, beat uint64) []byte {
	return encode(heartbeat{URL: "http://" + run, Run: run, Started: started, Beat: beat, LeaseMillis: 1000})
}

func TestHeartbeatsNeverGoBack(t *testing.T) {
	s := newScript(t)
	apply := func(value []byte, sealed, rejected bool) {
		t.Helper()
		c, err := s.table.apply(nodeKey("n"), value, sealed, s.now)
		if err != nil || c.rejected != rejected {
			t.Fatalf("the record %s was rejected: %v (%v)", value, c.rejected, err)
		}
	}
	apply(beatOf("first", 10, 1), true, false)
	apply(beatOf("first", 10, 7), true, false)
	apply(beatOf("first", 10, 7), true, true)
	apply(beatOf("first", 10, 6), true, true)
	apply(beatOf("other", 10, 9), true, true)
	apply(beatOf("second", 11, 1), true, false)
	apply(beatOf("first", 10, 8), true, true)
	apply(nil, true, true) // it lives
	s.table.lenient = true
	apply(beatOf("former", 0, 1), false, true) // and is of this version
	apply(encode(heartbeat{Run: "second", Started: 11, Beat: 2, Left: true}), true, false)
	apply(nil, true, false)
	apply(beatOf("second", 11, 1), true, true)
	apply(beatOf("first", 10, 9), true, true)
	if s.table.count(s.now) != 0 || len(s.table.nodes) != 0 {
		t.Errorf("a node is back that has left: %v", s.table.nodes)
	}
	apply(beatOf("former", 0, 1), false, false) // the version before is back
	apply(nil, false, false)
	apply(beatOf("third", 12, 1), true, false)
	s.table.lenient = false
	if c, err := s.table.apply(nodeKey("n"), beatOf("forged", 13, 1), false, s.now); err != nil || !c.unsealed || s.table.nodes["n"].Run != "third" {
		t.Errorf("a record without a MAC counts: %+v (%v)", c, err)
	}
}

func TestInstancesOfThePastStayThere(t *testing.T) {
	s := newScript(t)
	s.instance(&holding{Owner: "a", Epoch: 1, Born: "x", Since: 100}, false)
	s.instance(&holding{Owner: "b", Epoch: 9, Born: "x", Since: 100}, false)
	s.instance(&holding{Epoch: 10, Born: "x", Since: 100, Deleted: true}, false)
	s.instance(nil, false)
	s.instance(&holding{Owner: "c", Epoch: 1, Born: "y", Since: 200}, false)
	s.instance(&holding{Owner: "b", Epoch: 9, Born: "x", Since: 100}, true)
	s.instance(&holding{Epoch: 10, Born: "x", Since: 100, Deleted: true}, true)
	s.instance(nil, true)
	s.owner("c")
	// The instance that lost the race for the name was younger. A reader of the compacted log may
	// find that record first, and the repaired one after it.
	s.instance(&holding{Owner: "d", Epoch: 1, Born: "z", Since: 300}, true)
	late := newScript(t)
	late.instance(&holding{Owner: "d", Epoch: 1, Born: "z", Since: 300}, false)
	late.instance(&holding{Owner: "c", Epoch: 2, Born: "y", Since: 300}, false)
	late.owner("c")
}

// A node whose clock was put back since its run before counts on from that.
func TestClockThatWasPutBack(t *testing.T) {
	b := testkit.Fake(t).Broker
	first, _ := join(t, b, "same")
	first.mu.Lock()
	first.rank += time.Hour.Milliseconds()
	first.mu.Unlock()
	testkit.Eventually(t, patience, "a heartbeat of the future", func() bool {
		first.mu.Lock()
		defer first.mu.Unlock()
		return first.table.nodes["same"].Started == first.rank
	})
	first.Close(t.Context(), false)
	join(t, b, "same") // waits until it takes part
}

// Records that do not count do not make the owner of an instance write its own
// more often than once a heartbeat.
func TestRepairsAreBounded(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "one", func(s *Settings) { s.Heartbeat, s.Lease = 500*time.Millisecond, 5*time.Second })
	h.create(t, one, "g", "i", `{"v":1}`)
	k := instanceKey{"g", "i"}
	const forged = 2000
	began := time.Now()
	var rs []*kgo.Record
	for range forged {
		rs = append(rs, &kgo.Record{Topic: "nodes", Key: k.bytes(), Value: []byte(`{}`)})
	}
	if err := testkit.Client(t, b).ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "the repair", func() bool {
		got, _, err := one.get(k)
		return err == nil && got.Epoch > 1 && one.Stats().RefusedRecords == forged
	})
	most := int64(time.Since(began)/one.settings.Heartbeat) + 2
	if got, _, _ := one.get(k); got.Epoch > most {
		t.Errorf("%d forged records have the owner write %d times in %v", forged, got.Epoch-1, time.Since(began))
	}
}

// In the time of an upgrade, what a node of a former version has left is written
// again with its MAC, by one node.
func TestRecordsOfFormerVersionsAreSealed(t *testing.T) {
	b := testkit.Fake(t).Broker
	lenient := func(s *Settings) { s.Lenient = true }
	one, _ := join(t, b, "one", lenient)
	two, _ := join(t, b, "two", lenient)
	strict, _ := join(t, b, "a-strict-one")
	var rs []*kgo.Record
	for n := range 10 {
		rs = append(rs, &kgo.Record{Topic: "nodes", Key: instanceKey{"g", fmt.Sprint(n)}.bytes(), Value: encode(holding{Epoch: 7, Born: "b", Definition: []byte(`{"v":1}`)})})
	}
	if err := testkit.Client(t, b).ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*Node{one, two, strict} {
		testkit.Eventually(t, patience, "all instances with a MAC", func() bool {
			st := n.Stats()
			return st.Instances == 10 && st.UnsealedInstances == 0
		})
		n.mu.Lock()
		for k, e := range n.table.instances {
			if e.Epoch != 8 || e.Born != "b" || string(e.Definition) != `{"v":1}` {
				t.Errorf("%v is now %+v", k, e.holding)
			}
		}
		n.mu.Unlock()
	}
	if st := strict.Stats(); st.RefusedRecords != 10 {
		t.Errorf("the strict node has refused %d records", st.RefusedRecords)
	}
}

func TestReplayedLogChangesNothing(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "one")
	two, _ := join(t, b, "two")
	h.create(t, one, "g", "i", `{"v":1}`)
	for v := range 5 {
		if err := one.Update(t.Context(), "g", "i", fmt.Appendf(nil, `{"v":%d}`, v)); err != nil {
			t.Fatal(err)
		}
	}
	one.mu.Lock()
	end, epoch := one.position, one.table.instances[instanceKey{"g", "i"}].Epoch
	one.mu.Unlock()
	reader := testkit.Client(t, b, kgo.ConsumeTopics("nodes"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var all []*kgo.Record
	for len(all) < int(end) {
		reader.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			all = append(all, &kgo.Record{Topic: "nodes", Key: r.Key, Value: r.Value, Headers: r.Headers})
		})
	}
	slices.Reverse(all)
	if err := testkit.Client(t, b).ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*Node{one, two} {
		testkit.Eventually(t, patience, "the copies to be read, and repaired", func() bool {
			got, _, err := n.get(instanceKey{"g", "i"})
			return err == nil && got.Owner == "one" && got.Epoch > epoch && string(got.Definition) == `{"v":4}`
		})
		if p, ok := n.Peer("one"); !ok || p.URL != "http://one" || p.Run != one.run {
			t.Errorf("the node is %+v", p)
		}
	}
}
