package cluster

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// script applies records to a table and tells which count.
type script struct {
	t     *testing.T
	table *table
	now   time.Time
}

func newScript(t *testing.T) *script { return &script{t, newTable(), time.Now()} }

func (s *script) instance(h *holding, rejected bool) {
	s.t.Helper()
	var value []byte
	if h != nil {
		value = encode(h)
	}
	c, err := s.table.apply(instanceKey{"g", "i"}.bytes(), value, true, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	if c.rejected != rejected {
		s.t.Fatalf("the record %s counts: %v", value, !c.rejected)
	}
}

func (s *script) owner(want string) {
	s.t.Helper()
	e := s.table.instances[instanceKey{"g", "i"}]
	got := "nobody"
	if e != nil && !e.Deleted {
		got = e.Owner
	}
	if got != want {
		s.t.Fatalf("the instance belongs to %s, want %s", got, want)
	}
}

func TestFirstInTheLogWins(t *testing.T) {
	s := newScript(t)
	s.instance(&holding{Owner: "a", Epoch: 1, Born: "x"}, false)
	s.instance(&holding{Owner: "b", Epoch: 1, Born: "y"}, true) // created at the same time
	s.owner("a")
	s.instance(&holding{Owner: "a", Epoch: 2, Born: "x"}, false)
	s.instance(&holding{Owner: "b", Epoch: 3, Born: "x"}, false) // a claim
	s.instance(&holding{Owner: "a", Epoch: 3, Born: "x"}, true)  // the owner was slower
	s.instance(&holding{Owner: "c", Epoch: 3, Born: "x"}, true)  // so was another claim
	s.owner("b")
	s.instance(&holding{Epoch: 4, Born: "x"}, false) // released
	s.owner("")
	s.instance(nil, true) // from somebody who has missed all this
	s.owner("")
	s.instance(&holding{Epoch: 5, Deleted: true, Born: "y"}, true) // of another that had the name
	s.instance(&holding{Epoch: 5, Deleted: true, Born: "x"}, false)
	s.owner("nobody")
	s.instance(&holding{Owner: "a", Epoch: 6, Born: "z"}, false) // made anew before the tombstone
	s.instance(nil, true)
	s.owner("a")
	s.instance(&holding{Epoch: 7, Deleted: true, Born: "z"}, false)
	s.instance(nil, false)
	if len(s.table.instances) != 0 {
		t.Error("something is left after the tombstone")
	}
}

// A claim by a node that has not read of the deletion does not bring the
// instance back; one that is made anew under the name is another.
func TestDeletedStaysDeleted(t *testing.T) {
	s := newScript(t)
	s.instance(&holding{Epoch: 4, Born: "x"}, false) // released
	s.instance(&holding{Owner: "b", Epoch: 5, Born: "x"}, false)
	s.instance(&holding{Epoch: 6, Born: "x", Deleted: true}, false)
	s.instance(nil, false)
	s.instance(&holding{Owner: "a", Epoch: 5, Born: "x"}, true)
	s.owner("nobody")
	s.instance(nil, false) // with which the late one makes up for it
	s.instance(&holding{Owner: "c", Epoch: 1, Born: "y"}, false)
	s.owner("c")
	s.instance(nil, true)
	s.owner("c")
}

func TestLeases(t *testing.T) {
	s := newScript(t)
	beat := func(id string, now time.Time) {
		t.Helper()
		if _, err := s.table.apply(nodeKey(id), encode(heartbeat{URL: "u", LeaseMillis: 1000}), true, now); err != nil {
			t.Fatal(err)
		}
	}
	beat("b", s.now)
	beat("a", s.now)
	beat("c", s.now.Add(-time.Second))
	for id, want := range map[string]bool{"a": true, "b": true, "c": false, "d": false, "": false} {
		if got := s.table.alive(id, s.now.Add(999*time.Millisecond)); got != want {
			t.Errorf("node %q is alive: %v", id, got)
		}
	}
	if s.table.alive("a", s.now.Add(time.Second)) {
		t.Error("a node is alive after its lease")
	}
	if got := s.table.sweeper(s.now); got != "a" || s.table.count(s.now) != 2 {
		t.Errorf("of %d nodes alive, %s sweeps", s.table.count(s.now), got)
	}
	if c, err := s.table.apply(nodeKey("a"), nil, true, s.now); err != nil || !c.rejected || !s.table.alive("a", s.now) {
		t.Errorf("a tombstone alone has taken a node out that is alive (%v)", err)
	}
	left := encode(heartbeat{URL: "u", Beat: 1, LeaseMillis: 1000, Left: true})
	if _, err := s.table.apply(nodeKey("a"), left, true, s.now); err != nil || s.table.alive("a", s.now) {
		t.Errorf("a node is alive after it has left (%v)", err)
	}
}

// A reader of the compacted log agrees with one of the whole log about everything that was
// repaired, whatever was written and in whatever order.
func TestCompactionKeepsWhatCounts(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		whole := newTable()
		var log [][]byte
		write := func(h holding) change {
			log = append(log, encode(h))
			c, err := whole.apply(instanceKey{"g", "i"}.bytes(), log[len(log)-1], true, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for range 30 {
			h := holding{Owner: fmt.Sprint("n", random.IntN(3)), Epoch: int64(random.IntN(20)), Born: "x"}
			if c := write(h); c.rejected { // the owner repairs it
				now := whole.instances[instanceKey{"g", "i"}].holding
				now.Epoch++
				write(now)
			}
		}
		compacted := newTable()
		if _, err := compacted.apply(instanceKey{"g", "i"}.bytes(), log[len(log)-1], true, time.Now()); err != nil {
			t.Fatal(err)
		}
		a, b := whole.instances[instanceKey{"g", "i"}].holding, compacted.instances[instanceKey{"g", "i"}].holding
		if a.Owner != b.Owner || a.Epoch != b.Epoch {
			t.Fatalf("seed %d: %+v of the whole log, %+v of the compacted one", seed, a, b)
		}
	}
}

func FuzzApply(f *testing.F) {
	f.Add(nodeKey("n"), encode(heartbeat{URL: "http://h", Run: "r", Beat: 7, LeaseMillis: 10}))
	f.Add(instanceKey{"g", "i"}.bytes(), encode(holding{Owner: "n", Epoch: 3, Born: "b", Definition: json.RawMessage(`{"topics":["t"]}`)}))
	f.Add([]byte(`["instance","a/b","ü"]`), []byte(nil))
	f.Add([]byte(`["node",""]`), []byte(`{`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		tab := newTable()
		c, err := tab.apply(key, value, true, time.Now())
		before := fmt.Sprint(tab.nodes, len(tab.instances))
		for i := range value { // nothing of it is kept
			value[i] = 'x'
		}
		if err != nil {
			if len(tab.nodes)+len(tab.instances) > 0 {
				t.Fatalf("a record that is refused (%v) has changed the table", err)
			}
			return
		}
		if fmt.Sprint(tab.nodes, len(tab.instances)) != before || c.rejected && len(tab.instances) > 0 {
			t.Fatalf("%q has left %s", key, before)
		}
		if e := tab.instances[c.instance]; e != nil && len(e.Definition) > 0 && !json.Valid(e.Definition) {
			t.Fatalf("the definition %q is not JSON any more", e.Definition)
		}
	})
}
