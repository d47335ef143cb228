package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	patience   = 20 * time.Second
	testSecret = "a secret of all nodes"
)

// host is the local part of a node, which remembers what it was told.
type host struct {
	mu      sync.Mutex
	held    map[instanceKey]string
	adopted []string
	refuse  error
	// adopting, if not nil, is called before an instance is adopted.
	adopting func()
}

func (h *host) Admits(context.Context, []byte) error { return nil }

func (h *host) Holds(group, name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.held[instanceKey{group, name}]
	return ok
}

func (h *host) Adopt(_ context.Context, group, name string, definition []byte) error {
	if h.adopting != nil {
		h.adopting()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	h.held[instanceKey{group, name}] = string(definition)
	h.adopted = append(h.adopted, group+"/"+name)
	return nil
}

func (h *host) Discard(group, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, instanceKey{group, name})
}

// join starts a node that leaves with t, and returns when it takes part.
func join(t *testing.T, b testkit.Broker, id string, change ...func(*Settings)) (*Node, *host) {
	t.Helper()
	s := Settings{
		ID: id, Topic: "nodes", Secret: testSecret, Replication: 1, Heartbeat: 100 * time.Millisecond, Lease: 4 * time.Second, Idle: time.Hour,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&s)
	}
	n, err := New(kafka.Settings{Brokers: b.Addrs}, s)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{held: make(map[instanceKey]string)}
	n.Start("http://"+id, h)
	t.Cleanup(func() { n.Close(context.Background(), true) })
	testkit.Eventually(t, patience, "the node to take part", func() bool { return n.Stats().Leased })
	return n, h
}

// create makes an instance on n, as package consumer does.
func (h *host) create(t *testing.T, n *Node, group, name, definition string) {
	t.Helper()
	if err := n.Create(t.Context(), group, name, []byte(definition)); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[instanceKey{group, name}] = definition
}

func find(t *testing.T, n *Node, group, name string) Place {
	t.Helper()
	p, err := n.Find(t.Context(), group, name, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOneOfManyClaimsWins(t *testing.T) {
	b := testkit.Fake(t).Broker
	dead, h := join(t, b, "dead")
	const instances = 20
	for i := range instances {
		h.create(t, dead, "g", fmt.Sprint(i), `{}`)
	}
	var nodes []*Node
	var hosts []*host
	for i := range 4 {
		// They keep their lease, however busy the machine is: what one adopted whose lease has ended,
		// another may adopt once more.
		n, h := join(t, b, fmt.Sprint("n", i), func(s *Settings) { s.Lease = patience })
		nodes, hosts = append(nodes, n), append(hosts, h)
		if p := find(t, n, "g", "0"); p.Node != "dead" {
			t.Fatalf("the instance is at %+v", p)
		}
	}
	dead.Close(t.Context(), false)
	testkit.Eventually(t, patience, "the lease to end", func() bool { return !nodes[0].Alive("dead") })
	var wg sync.WaitGroup
	for _, n := range nodes {
		for i := range instances {
			wg.Go(func() {
				if _, err := n.Find(t.Context(), "g", fmt.Sprint(i), ""); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	var all []string
	for _, h := range hosts {
		all = append(all, h.adopted...)
	}
	slices.Sort(all)
	if len(all) != instances || len(slices.Compact(all)) != instances {
		t.Errorf("%d instances were adopted %d times", instances, len(all))
	}
}

func TestDefinitionsGoFromNodeToNode(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "one")
	two, h2 := join(t, b, "two")
	h.create(t, one, "g", "i", `{"v":1}`)
	if err := one.Update(t.Context(), "g", "i", []byte(`{"v":2}`)); err != nil {
		t.Fatal(err)
	}
	if err := two.Update(t.Context(), "g", "i", []byte(`{}`)); !apierr.InstanceMoved.Is(err) {
		t.Errorf("a node has changed another's instance: %v", err)
	}
	if err := two.Create(t.Context(), "g", "i", []byte(`{}`)); !apierr.AlreadyExists.Is(err) {
		t.Errorf("a name was given twice: %v", err)
	}
	h.Discard("g", "i")
	if err := one.Release(t.Context(), "g", "i", []byte(`{"v":3}`)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "the other node to adopt it", func() bool { return find(t, two, "g", "i").URL == "" })
	if got := h2.held[instanceKey{"g", "i"}]; got != `{"v":3}` {
		t.Errorf("adopted the definition %s", got)
	}
	if err := two.Delete(t.Context(), "g", "i", ""); err != nil {
		t.Fatal(err)
	}
	h2.Discard("g", "i")
	for _, n := range []*Node{one, two} {
		testkit.Eventually(t, patience, "the deletion to be known", func() bool { return find(t, n, "g", "i").URL == "" })
	}
	if len(h.adopted)+len(h2.adopted) != 1 {
		t.Errorf("adoptions: %v, %v", h.adopted, h2.adopted)
	}
	h.create(t, one, "g", "i", `{"v":4}`) // the name is free again
}

// A node that has not read of a deletion claims the instance: it stays deleted,
// for who reads the log later too.
func TestClaimOfWhatIsGone(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "one")
	two, _ := join(t, b, "two")
	h.create(t, one, "g", "i", `{"v":1}`)
	k := instanceKey{"g", "i"}
	old, known, err := one.get(k)
	if err != nil || !known {
		t.Fatal(known, err)
	}
	if err := one.Delete(t.Context(), "g", "i", ""); err != nil {
		t.Fatal(err)
	}
	h.Discard("g", "i")
	if won, err := two.claim(t.Context(), k, old); won || err != nil {
		t.Errorf("the claim of a deleted instance: %v, %v", won, err)
	}
	for _, n := range []*Node{one, two} {
		if place := find(t, n, "g", "i"); place.URL != "" {
			t.Errorf("it is back, at %s", place.URL)
		}
	}
	// Compaction would leave nothing of it.
	reader := testkit.Client(t, b, kgo.ConsumeTopics(one.settings.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var last *kgo.Record
	one.mu.Lock()
	end := one.position
	one.mu.Unlock()
	for at := int64(0); at < end; {
		reader.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			if at = r.Offset + 1; at <= end && string(r.Key) == string(k.bytes()) {
				last = r
			}
		})
	}
	if last == nil || last.Value != nil {
		t.Errorf("the last record of it is %+v", last)
	}
	h.create(t, one, "g", "i", `{"v":2}`) // the name is free
}

func TestAdoptionThatFailsIsReleased(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "one")
	two, h2 := join(t, b, "two")
	h.create(t, one, "g", "i", `{"v":1}`)
	h.Discard("g", "i")
	if err := one.Release(t.Context(), "g", "i", []byte(`{"v":1}`)); err != nil {
		t.Fatal(err)
	}
	h2.refuse = apierr.TooManyInstances.Err()
	testkit.Eventually(t, patience, "the refusal", func() bool {
		_, err := two.Find(t.Context(), "g", "i", "")
		return apierr.TooManyInstances.Is(err)
	})
	testkit.Eventually(t, patience, "the first node to take it back", func() bool { return find(t, one, "g", "i").URL == "" })
	if st := two.Stats(); st.AdoptFailed == 0 || st.Adopted != 0 {
		t.Errorf("the figures are %+v", st)
	}
}

// A claim by another node that comes while an instance is being adopted, because this node was cut
// off meanwhile, finds nothing to drop yet. The instance must not stay here for that: this node
// would go on with it, at old positions, when it is this one's again.
func TestClaimDuringAnAdoption(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "one")
	two, h2 := join(t, b, "two")
	k := instanceKey{"g", "i"}
	h.create(t, one, "g", "i", `{"v":1}`)
	h.Discard("g", "i")
	if err := one.Release(t.Context(), "g", "i", []byte(`{"v":1}`)); err != nil {
		t.Fatal(err)
	}
	h2.adopting = func() {
		h2.adopting = nil
		var was holding
		testkit.Eventually(t, patience, "the other node to read the claim", func() bool {
			var err error
			was, _, err = one.get(k)
			return err == nil && was.Owner == "two"
		})
		if first, err := one.claim(t.Context(), k, was); err != nil || !first {
			t.Errorf("the other node claims it: %v, %v", first, err)
		}
		testkit.Eventually(t, patience, "this node to read the claim", func() bool {
			now, _, err := two.get(k)
			return err == nil && now.Owner == "one"
		})
	}
	h.mu.Lock()
	h.held[k] = `{"v":1}`
	h.mu.Unlock()
	if p := find(t, two, "g", "i"); p.Node != "one" {
		t.Errorf("the instance is at %+v", p)
	}
	if h2.Holds("g", "i") {
		t.Error("the node holds an instance of another one")
	}
}

func TestNodeThatIsCutOff(t *testing.T) {
	b := testkit.Fake(t)
	one, h := join(t, b.Broker, "one")
	h.create(t, one, "g", "i", `{}`)
	b.Close() // for good, so that writing and reading fail
	testkit.Eventually(t, patience, "the lease to end", func() bool {
		_, err := one.Find(t.Context(), "g", "i", "")
		return errors.Is(err, ErrCutOff)
	})
	if st := one.Stats(); st.Leased {
		t.Error("the node thinks that it may act")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	one.Close(ctx, true)
}

func TestTwoNodesOfOneName(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "same")
	h.create(t, one, "g", "i", `{}`)
	two, _ := join(t, b, "same")
	testkit.Eventually(t, patience, "both to notice", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		two.mu.Lock()
		defer two.mu.Unlock()
		return one.stranger && two.stranger
	})
	two.Close(t.Context(), false)
	testkit.Eventually(t, patience, "the one that stays to go on", func() bool { return one.Stats().Leased })
}

// A record that does not count, but that compaction would keep, is written over.
func TestOwnerRepairsItsRecord(t *testing.T) {
	b := testkit.Fake(t).Broker
	one, h := join(t, b, "one")
	h.create(t, one, "g", "i", `{"v":1}`)
	k := instanceKey{"g", "i"}
	late := &kgo.Record{Topic: "nodes", Key: k.bytes(), Value: encode(holding{Owner: "late", Epoch: 1, Born: "other"})}
	if err := testkit.Client(t, b).ProduceSync(t.Context(), late).FirstErr(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "the repair", func() bool {
		got, _, err := one.get(k)
		return err == nil && got.Owner == "one" && got.Epoch == 2 && strings.Contains(string(got.Definition), "1")
	})
}

func TestLitterIsCleared(t *testing.T) {
	b := testkit.Fake(t).Broker
	gone, h := join(t, b, "gone", func(s *Settings) { s.Lease = time.Second })
	h.create(t, gone, "g", "i", `{}`)
	gone.Close(t.Context(), false)
	one, _ := join(t, b, "one", func(s *Settings) { s.Idle = 500 * time.Millisecond })
	testkit.Eventually(t, patience, "node and instance to be forgotten", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		return len(one.table.nodes) == 1 && len(one.table.instances) == 0
	})
}
