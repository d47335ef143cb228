package consumer

import (
	"slices"
	"testing"
	"time"

	"millrace/codec"
	"millrace/internal/testkit"
)

// The overview shows the instances as they are, and does not count as their use.
func TestOverview(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	produce(t, b, numbers(topic, 0, 10, 10)...)
	m := newManager(t, b, func(s *Settings) { s.MaxInstances = 9 })
	if o := m.Overview(10); o.Instances != 0 || o.Limit != 9 || o.GroupCount != 0 {
		t.Errorf("of nothing: %+v", o)
	}
	behind, by := testkit.Group(t), jsonOptions(m)
	by.Name = "subscribed"
	i := create(t, m, behind, by)
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	if rs := read(t, i, ReadOptions{MaxBytes: 8}); len(rs) != 4 {
		t.Fatalf("read %d records", len(rs))
	}
	assigned := newReader(t, m, topic, 2)
	by.Name = "pattern"
	ok(t, create(t, m, behind, by).SubscribePattern(t.Context(), "no such topic.*"))
	create(t, m, testkit.Group(t), m.Defaults())

	o := m.Overview(10)
	if o.Instances != 4 || o.GroupCount != 3 || len(o.Groups) != 3 || len(o.Shown) != 4 {
		t.Fatalf("%+v", o)
	}
	if g := o.Groups[0]; g.Group != behind || g.Instances != 2 || g.Lag != 6 {
		t.Errorf("the group that is furthest behind is %+v", g)
	}
	named := map[string]InstanceState{}
	for _, s := range o.Shown {
		named[s.Name] = s
	}
	first := o.Shown[0]
	if first.Name != "subscribed" || first.Lag != 6 || first.Backlog != 6 || first.Format != codec.JSON || first.Pattern || !slices.Equal(first.Topics, []string{topic}) {
		t.Errorf("the instance that is furthest behind is %+v", first)
	}
	if s := named[assigned.Name()]; s.Partitions != 2 || !slices.Equal(s.Topics, []string{topic}) {
		t.Errorf("the one with an assignment is %+v", s)
	}
	if s := named["pattern"]; !s.Pattern || !slices.Equal(s.Topics, []string{"no such topic.*"}) {
		t.Errorf("the one with a pattern is %+v", s)
	}
	if o := m.Overview(1); o.Instances != 4 || len(o.Groups) != 1 || len(o.Shown) != 1 || o.Shown[0].Name != "subscribed" {
		t.Errorf("of the first: %+v", o)
	}
	testkit.Eventually(t, patience, "idle time to grow over looks", func() bool {
		return m.Overview(1).Shown[0].Idle > 50*time.Millisecond
	})
}
