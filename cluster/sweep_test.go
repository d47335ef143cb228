package cluster

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// A node whose host's clock is wrong by an hour is as alive as any.
func TestClocksDoNotDecideWhoLives(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, _ := join(t, b, "one")
	writer := testkit.Client(t, b)
	beat := func(n uint64) {
		r := one.record(nodeKey("late"), encode(heartbeat{URL: "http://late", Run: "r", Beat: n, LeaseMillis: 60_000}))
		r.Timestamp = time.Now().Add(-time.Hour)
		if err := writer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	beat(1)
	testkit.Eventually(t, patience, "it to be alive", func() bool { return one.Alive("late") })
	two, _ := join(t, b, "two") // reads that heartbeat among those of the past
	if !two.Alive("late") {
		t.Error("a node that starts takes one for dead whose clock is late")
	}
}

// An instance that a node had before it crashed, and that no client asks for after the node is
// back, is deleted as if the node had stayed away.
func TestLitterOfANodeThatCameBack(t *testing.T) {
	b := testkit.Fake(t).Broker
	first, h := join(t, b, "same")
	h.create(t, first, "g", "i", `{}`)
	h.create(t, first, "g", "kept", `{}`)
	first.Close(t.Context(), false)
	join(t, b, "another") // which sorts first and sweeps
	again, h2 := join(t, b, "same", func(s *Settings) { s.Idle = 2 * time.Second })
	if p := find(t, again, "g", "kept"); p.URL != "" || !h2.Holds("g", "kept") {
		t.Fatalf("the instance is at %+v", p)
	}
	testkit.Eventually(t, patience, "the instance to be forgotten", func() bool { return again.Stats().Instances == 1 })
	if !h2.Holds("g", "kept") || find(t, again, "g", "kept").URL != "" {
		t.Error("what is held was swept away")
	}
	if why := again.Gone("g", "i"); !strings.Contains(why, "expired") {
		t.Errorf("it is said to be gone because %q", why)
	}
}

// An instance whose record comes into the log when its creation has failed is
// not there.
func TestCreationThatComesLate(t *testing.T) {
	fake := testkit.Fake(t)
	one, _ := join(t, fake.Broker, "one", func(s *Settings) { s.Lease = 10 * time.Second })
	two, _ := join(t, fake.Broker, "two")
	open := make(chan struct{}) // the way to the broker, one day
	fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		fake.SleepControl(func() { <-open })
		return nil, nil, false
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := one.Create(ctx, "g", "i", []byte(`{}`)); err == nil {
		t.Fatal("it was created")
	}
	close(open)
	k := instanceKey{"g", "i"}
	for _, n := range []*Node{one, two} {
		testkit.Eventually(t, patience, "the record and its end", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			_, buried := n.table.graves[k]
			return buried && n.table.instances[k] == nil
		})
	}
}

// Each node tries once to recover an instance that cannot be recovered, and not again for each
// request; and a client that asks for it does not keep it without a bound.
func TestVerdictIsRemembered(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "one")
	short := func(s *Settings) { s.Idle = 2 * time.Second }
	two, h2 := join(t, b, "two", short)
	h.create(t, one, "g", "i", `{}`)
	h2.refuse = apierr.InstanceNotFound.New("It cannot be recovered.")
	one.Close(t.Context(), false)
	testkit.Eventually(t, patience, "the lease to end", func() bool { return !two.Alive("one") })
	k := instanceKey{"g", "i"}
	for range 20 {
		if _, err := two.Find(t.Context(), "g", "i", ""); !apierr.InstanceNotFound.Is(err) || !strings.Contains(err.Error(), "recovered") {
			t.Fatalf("the answer is %v", err)
		}
	}
	if e, _, err := two.get(k); err != nil || e.Epoch > 3 {
		t.Errorf("20 requests have written the record %d times (%v)", e.Epoch, err)
	}
	testkit.Eventually(t, patience, "it to be forgotten although it is asked for", func() bool {
		_, err := two.Find(t.Context(), "g", "i", "")
		return err == nil
	})
}
