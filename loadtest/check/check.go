package check

import (
	"fmt"
	"slices"
)

// Check holds what the clients were told against what the log has.
func Check(h *History, log *Log) *Report {
	c := &checker{
		header: h.Header, log: log, ops: h.Ops(),
		report: &Report{Run: h.Run, Seed: h.Seed, Totals: Totals{Errors: map[string]int{}}},
		sent:   map[ID]*attempts{}, copies: map[ID][]Place{},
	}
	c.index()
	c.requests()
	c.writes()
	c.order()
	for _, g := range c.groups() {
		c.reads(g)
	}
	c.doubts()
	c.report.sort()
	return c.report
}

// checker is one comparison under way.
type checker struct {
	header Header
	log    *Log
	ops    []Op // in the order of their ends
	report *Report

	sent   map[ID]*attempts
	ids    []ID // of sent, as they were sent first
	copies map[ID][]Place
}

// attempts are all sendings of one record.
type attempts struct {
	acked           []attempt
	unknown, failed int
	topic           string
	asked           int32
	bad             bool
}

// attempt is one sending of a record, and its request.
type attempt struct {
	op    *Op
	place int // in the request
}

func (a attempt) record() *Sent { return &a.op.Records[a.place] }

// told is where the answer said that the record is.
func (a attempt) told() Place {
	r := a.record()
	return Place{Partition{a.op.Topic, r.Partition}, r.Offset}
}

// index finds all sendings and all copies of each record.
func (c *checker) index() {
	for i := range c.ops {
		op := &c.ops[i]
		if op.Kind != Produce {
			continue
		}
		for place := range op.Records {
			rec := &op.Records[place]
			a := c.sent[rec.ID]
			if a == nil {
				a = &attempts{topic: op.Topic, asked: rec.Asked, bad: rec.Bad}
				c.sent[rec.ID] = a
				c.ids = append(c.ids, rec.ID)
			}
			switch rec.Outcome {
			case OK:
				a.acked = append(a.acked, attempt{op, place})
			case Failed:
				a.failed++
			default:
				a.unknown++
			}
		}
	}
	for _, at := range c.log.partitions() {
		for _, r := range c.log.Records[at] {
			c.report.Totals.Stored++
			place := Place{at, r.Offset}
			switch {
			case r.Foreign == "" && c.sent[r.ID] != nil:
				c.copies[r.ID] = append(c.copies[r.ID], place)
			case r.Foreign == "":
				c.report.add(NeverSent, "record %s is in the log at %v, and no client has sent it", r.ID, place)
			case c.header.Exclusive:
				c.report.add(NeverSent, "the log has a record at %v that no client has sent: %s", place, r.Foreign)
			}
		}
	}
}

// requests looks at what each response is by itself.
func (c *checker) requests() {
	t := &c.report.Totals
	for i := range c.ops {
		op := &c.ops[i]
		if op.Kind == Committed || op.Kind == Disturbed {
			continue
		}
		c.report.Took = max(c.report.Took, op.Done)
		t.Requests++
		if op.Late {
			c.report.add(NoAnswer, "%s had no response after %v", op.name(), op.Done-op.Sent)
		}
		if op.Malformed != "" {
			c.report.add(MalformedAnswer, "%s: %s", op.name(), op.Malformed)
		}
		if op.Outcome != OK {
			t.Errors[op.told()]++
		}
		switch op.Kind {
		case Produce:
			t.Longest = max(t.Longest, op.Done-op.Sent)
			c.slots(op)
		case Commit:
			t.Commits++
		}
	}
}

// slots looks at what was said of each record.
func (c *checker) slots(op *Op) {
	t := &c.report.Totals
	for i := range op.Records {
		rec := &op.Records[i]
		if rec.Bad {
			t.Bad++
		}
		switch rec.Outcome {
		case OK:
			t.Acknowledged++
			if rec.Bad {
				t.BadAccepted++
			}
		case Failed:
			t.Failed++
		default:
			t.Unknown++
		}
		if op.Outcome == OK && rec.Outcome != OK {
			t.Errors[fmt.Sprintf("%s, in a slot: %d", op.Kind, rec.Code)]++
		}
		code := rec.Code
		if code == 0 {
			code = op.Status
		}
		if rec.Outcome == Failed && !rec.Bad && final(code) {
			anomaly := StrangerRefused
			if slices.ContainsFunc(op.Records, func(r Sent) bool { return r.Bad }) {
				anomaly = NeighbourRefused
			}
			c.report.add(anomaly, "record %s, which breaks no rule, was refused with %d in %s", rec.ID, code, op.name())
		}
	}
}

// doubts are reasons why finding nothing means less than it seems.
func (c *checker) doubts() {
	t, r := &c.report.Totals, c.report
	if t.Acknowledged == 0 {
		r.Remarks = append(r.Remarks, "no record was acknowledged")
	}
	if t.BadAccepted > 0 {
		r.Remarks = append(r.Remarks, "records that were to break a rule were acknowledged: nothing is known of strangers (a topic needs message.timestamp.after.max.ms)")
	}
	if n := len(c.log.Expired); n > 0 {
		r.Remarks = append(r.Remarks, fmt.Sprintf("the retention of %d partitions removed records before they were read", n))
	}
}

// name says which request it was.
func (op *Op) name() string {
	who := fmt.Sprintf("%s %d of client %d on connection %d", op.Kind, op.Seq, op.Client, op.Conn)
	if op.Group != "" {
		who += fmt.Sprintf(" (instance %s of group %s)", op.Instance, op.Group)
	}
	return who
}

// told says how a request was answered that failed.
func (op *Op) told() string {
	switch {
	case op.Late:
		return fmt.Sprintf("%s: no response in time", op.Kind)
	case op.Status == 0:
		return fmt.Sprintf("%s: the connection failed, %s", op.Kind, op.Outcome)
	case op.Malformed != "":
		return fmt.Sprintf("%s: HTTP %d that could not be understood", op.Kind, op.Status)
	}
	return fmt.Sprintf("%s: HTTP %d, error_code %d", op.Kind, op.Status, op.Code)
}
