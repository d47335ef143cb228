package check

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"time"
)

// settleTime is for how long members may be sent back to what is committed after another
// came or went, or after a fault.
const settleTime = 30 * time.Second

// reading is what one group did, replayed in the order in which its requests ended.
type reading struct {
	name      string
	ops       []*Op // of its members, and faults
	disturbed bool  // by faults
	// alone is set where the group has had one instance and no fault: nothing moves its
	// partitions, so a commit speaks for all that the instance was given.
	alone bool
	// shaken are the times in which partitions may move from member to member.
	shaken []span

	given     map[Place]bool
	ahead     map[Place]bool            // committed before they were given
	reached   map[Partition]int64       // offset after the last that was given
	committed map[Partition][]committed // what the brokers said, by time
	members   map[string]*member
	owed      map[Partition]int64 // what the last acknowledged commit promised
}

type span struct{ from, to time.Duration }

// committed is that a group's committed offset was at least offset, at a time.
type committed struct {
	at     time.Duration
	offset int64
}

// member is one instance.
type member struct {
	last   map[Partition]lastGiven
	failed time.Duration // end of its last request without a good answer
}

type lastGiven struct {
	offset     int64
	sent, done time.Duration // of the read
}

// groups sorts the operations by group.
func (c *checker) groups() []*reading {
	byName := map[string]*reading{}
	var out []*reading
	for i := range c.ops {
		if name := c.ops[i].Group; name != "" && byName[name] == nil {
			byName[name] = &reading{
				name: name, disturbed: c.header.Disturbed, given: map[Place]bool{}, ahead: map[Place]bool{}, reached: map[Partition]int64{},
				committed: map[Partition][]committed{}, members: map[string]*member{},
			}
			out = append(out, byName[name])
		}
	}
	for i := range c.ops {
		op := &c.ops[i]
		for _, g := range out {
			if g.name == op.Group || op.Kind == Disturbed {
				g.ops = append(g.ops, op)
			}
		}
	}
	for _, g := range out {
		g.survey()
	}
	return out
}

// survey finds the members, and when their assignment was not at rest.
func (g *reading) survey() {
	if g.disturbed { // all the time
		g.shaken = []span{{0, math.MaxInt64}}
	}
	for _, op := range g.ops {
		if op.Instance != "" && g.members[op.Instance] == nil {
			g.members[op.Instance] = &member{last: map[Partition]lastGiven{}, failed: -1}
		}
		g.disturbed = g.disturbed || op.Kind == Disturbed
	}
	g.alone = len(g.members) == 1 && !g.disturbed
	for _, op := range g.ops {
		if op.Kind == Disturbed || len(g.members) > 1 && (op.Kind == Join || op.Kind == Leave) {
			g.shaken = append(g.shaken, span{op.Sent, op.Done + settleTime})
		}
	}
}

// reads replays a group.
func (c *checker) reads(g *reading) {
	blind := false // nobody has looked at what is committed since the last commit
	for _, op := range g.ops {
		switch {
		case op.Kind == Committed:
			blind = false
			c.observed(g, op)
		case op.Kind == Read && op.Outcome == OK:
			c.page(g, op)
		case op.Kind == Commit && op.Outcome == OK:
			blind = true
			g.owed = map[Partition]int64{}
			for at, last := range g.members[op.Instance].last {
				g.owed[at] = last.offset + 1
			}
		case op.Outcome != OK && op.Instance != "":
			g.members[op.Instance].failed = op.Done
		}
	}
	if blind {
		c.report.Remarks = append(c.report.Remarks, fmt.Sprintf("the brokers did not say what group %s had committed in the end: nothing is known of its commits", g.name))
	}
	c.remainder(g)
}

// observed takes in what the brokers say is committed.
func (c *checker) observed(g *reading, op *Op) {
	now := map[Partition]int64{}
	for _, p := range op.Positions {
		now[p.Partition] = p.Offset
		seen := g.committed[p.Partition]
		offset := p.Offset
		if len(seen) > 0 {
			offset = max(offset, seen[len(seen)-1].offset)
		}
		g.committed[p.Partition] = append(seen, committed{op.Done, offset})
		c.unread(g, p)
	}
	if g.alone {
		for at, offset := range g.owed {
			if now[at] < offset {
				c.report.add(LostCommit, "group %s was told that %v is committed up to offset %d, and the brokers have %d", g.name, at, offset, now[at])
			}
		}
	}
	g.owed = nil
}

// unread looks for records below a committed offset that nobody had been given by then.
func (c *checker) unread(g *reading, p Position) {
	if p.Offset <= g.reached[p.Partition] {
		return
	}
	for _, r := range c.between(p.Partition, max(g.reached[p.Partition], c.start(p.Partition)), p.Offset) {
		if place := (Place{p.Partition, r.Offset}); !g.ahead[place] {
			g.ahead[place] = true
			c.report.add(CommitAhead, "group %s has committed offset %d of %v, and nobody had been given the record at %d", g.name, p.Offset, p.Partition, r.Offset)
		}
	}
}

// page takes in what a read was given.
func (c *checker) page(g *reading, op *Op) {
	m := g.members[op.Instance]
	before := maps.Clone(m.last)
	inPage := map[Partition]int64{}
	for i := range op.Page {
		r := &op.Page[i]
		c.content(op, r)
		c.report.Totals.Given++
		if g.given[r.Place] {
			c.report.Totals.Repeated++
		}
		last, inSame := inPage[r.Partition]
		switch {
		case inSame && r.Offset <= last:
			c.report.add(NonmonotonicPoll, "%s was given %v behind offset %d, in one page", op.name(), r.Place, last)
		case g.given[r.Place] && g.committedBefore(r.Partition, op.Sent) > r.Offset:
			c.report.add(RepeatedAfterCommit, "%s was given %v, after offset %d was committed", op.name(), r.Place, g.committedBefore(r.Partition, op.Sent))
		case g.wentBack(m, before, r, op):
			c.report.add(NonmonotonicPoll, "%s was given %v after offset %d, and nothing had happened", op.name(), r.Place, before[r.Partition].offset)
		}
		inPage[r.Partition] = r.Offset
		g.given[r.Place] = true
		g.reached[r.Partition] = max(g.reached[r.Partition], r.Offset+1)
		m.last[r.Partition] = lastGiven{r.Offset, op.Sent, op.Done}
	}
}

// wentBack reports whether a record of a page is not behind the last one that the member
// was given before, with no reason for it.
func (g *reading) wentBack(m *member, before map[Partition]lastGiven, r *Given, op *Op) bool {
	last, any := before[r.Partition]
	if !any || r.Offset > last.offset || m.failed > last.done {
		return false
	}
	return !slices.ContainsFunc(g.shaken, func(s span) bool { return s.from <= op.Done && s.to >= last.sent })
}

// committedBefore returns what was committed for sure when a read was sent.
func (g *reading) committedBefore(at Partition, sent time.Duration) int64 {
	seen := g.committed[at]
	i := sort.Search(len(seen), func(i int) bool { return seen[i].at > sent })
	if i == 0 {
		return 0
	}
	return seen[i-1].offset
}

// content holds a record that was given against the log.
func (c *checker) content(op *Op, r *Given) {
	if r.Offset < c.log.Expired[r.Partition] {
		return
	}
	stored, there := c.log.at(r.Place)
	switch {
	case there && stored.ID == r.ID && stored.Foreign == r.Foreign:
	case r.Offset < c.start(r.Partition): // the log was not read there
	case r.Foreign != "":
		c.report.add(NeverSent, "%s was given %s as %v, which no client has sent", op.name(), r.Foreign, r.Place)
	case c.sent[r.ID] == nil:
		c.report.add(NeverSent, "%s was given record %s as %v, which no client has sent", op.name(), r.ID, r.Place)
	case there:
		c.report.add(InconsistentOffsets, "%s was given record %s as %v, where the log has %s%s", op.name(), r.ID, r.Place, stored.ID, stored.Foreign)
	default:
		c.report.add(InconsistentOffsets, "%s was given record %s as %v, where the log has nothing", op.name(), r.ID, r.Place)
	}
}

// remainder looks for records that the group was not given.
func (c *checker) remainder(g *reading) {
	for _, end := range c.header.Ends {
		for _, r := range c.between(end.Partition, c.start(end.Partition), end.Offset) {
			place := Place{end.Partition, r.Offset}
			switch {
			case g.given[place]:
			case r.Offset < g.reached[end.Partition]:
				c.report.add(PollSkip, "group %s was not given %v (record %s), and was given what is behind it", g.name, place, r.ID)
			default:
				c.report.add(Unseen, "group %s was not given %v (record %s), nor what is behind it", g.name, place, r.ID)
			}
		}
	}
}

// start is where a partition ended before the run.
func (c *checker) start(at Partition) int64 {
	for _, s := range c.header.Starts {
		if s.Partition == at {
			return s.Offset
		}
	}
	return 0
}

// between returns the records of the log from an offset to before another.
func (c *checker) between(at Partition, from, to int64) []Stored {
	records := c.log.Records[at]
	first := sort.Search(len(records), func(i int) bool { return records[i].Offset >= from })
	end := sort.Search(len(records), func(i int) bool { return records[i].Offset >= to })
	return records[first:max(first, end)]
}
