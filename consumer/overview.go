package consumer

import (
	"cmp"
	"slices"
	"time"

	"millrace/codec"
)

// Overview is what the instances of this node do, for people to look at.
type Overview struct {
	// Instances is how many there are, Limit how many there may be.
	Instances, Limit int
	// Groups and Shown are the ones that are furthest behind, no more of each
	// than were asked for; GroupCount is how many groups there are.
	Groups     []GroupState
	GroupCount int
	Shown      []InstanceState
}

// GroupState is what the instances of one group on this node have together.
type GroupState struct {
	Group                 string
	Instances, Partitions int
	// Lag is how many records they have not answered, in the partitions of
	// which that is known; LagKnown says whether it is of any.
	Lag      int64
	LagKnown bool
}

// InstanceState is one instance at one time.
type InstanceState struct {
	Group, Name string
	Format      codec.Format
	// Topics are those subscribed to or assigned, sorted; for a pattern the
	// pattern itself, with Pattern set.
	Topics  []string
	Pattern bool
	// Partitions is how many it reads, Backlog how many records it holds.
	Partitions, Backlog int
	// Lag is how many records it has not answered, in the partitions of which
	// that is known; LagKnown says whether it is of any.
	Lag      int64
	LagKnown bool
	// Idle is how long no request has used it.
	Idle time.Duration
}

// Overview returns what the instances do, with up to most groups and instances
// in detail. It asks Kafka nothing, and does not count as use.
func (m *Manager) Overview(most int) Overview {
	m.mu.Lock()
	all := m.list()
	m.mu.Unlock()
	o := Overview{Instances: len(all), Limit: m.settings.MaxInstances, Shown: make([]InstanceState, 0, len(all))}
	groups := make(map[string]*GroupState)
	now := time.Now()
	for _, i := range all {
		state := i.state(now)
		o.Shown = append(o.Shown, state)
		g := groups[i.group]
		if g == nil {
			g = &GroupState{Group: i.group}
			groups[i.group] = g
		}
		g.Instances++
		g.Partitions += state.Partitions
		g.Lag += state.Lag
		g.LagKnown = g.LagKnown || state.LagKnown
	}
	for _, g := range groups {
		o.Groups = append(o.Groups, *g)
	}
	o.GroupCount = len(o.Groups)
	slices.SortFunc(o.Groups, func(a, b GroupState) int {
		return cmp.Or(cmp.Compare(b.Lag, a.Lag), cmp.Compare(a.Group, b.Group))
	})
	slices.SortFunc(o.Shown, func(a, b InstanceState) int {
		return cmp.Or(cmp.Compare(b.Lag, a.Lag), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name))
	})
	o.Groups, o.Shown = o.Groups[:min(most, len(o.Groups))], o.Shown[:min(most, len(o.Shown))]
	return o
}

// state is what the instance does at the time now.
func (i *Instance) state(now time.Time) InstanceState {
	i.mu.Lock()
	defer i.mu.Unlock()
	state := InstanceState{Group: i.group, Name: i.opts.Name, Format: i.opts.Format}
	if i.busy == 0 {
		state.Idle = max(now.Sub(i.lastUsed), 0)
	}
	s := i.session
	if s == nil {
		return state
	}
	state.Partitions, state.Backlog = len(s.parts), s.backlog.records
	for _, p := range s.parts {
		if records, known := p.lag(); known {
			state.Lag += records
			state.LagKnown = true
		}
		if !s.subscribed() {
			state.Topics = append(state.Topics, p.Topic)
		}
	}
	switch {
	case s.pattern != "":
		state.Topics, state.Pattern = []string{s.pattern}, true
	case s.subscribed():
		state.Topics = slices.Clone(s.topics)
	}
	slices.Sort(state.Topics)
	state.Topics = slices.Compact(state.Topics)
	return state
}
