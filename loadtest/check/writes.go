package check

import (
	"slices"
	"time"
)

// writes holds each record that was sent against its copies in the log.
func (c *checker) writes() {
	for _, id := range c.ids {
		a, copies := c.sent[id], c.copies[id]
		if len(copies) == 0 {
			c.missing(id, a)
			continue
		}
		c.misplaced(id, a, copies)
		c.surplus(id, a, copies)
		for _, at := range copies {
			if at.Topic != a.topic || a.asked >= 0 && at.Number != a.asked {
				c.report.add(WrongPartition, "record %s was sent to %v, and is at %v", id, Partition{a.topic, a.asked}, at)
			}
		}
	}
}

// missing looks at a record that the log does not have.
func (c *checker) missing(id ID, a *attempts) {
	for _, ack := range a.acked {
		told := ack.told()
		if told.Offset >= 0 && told.Offset < c.log.Expired[told.Partition] {
			continue
		}
		c.report.add(LostWrite, "record %s was acknowledged as %v by %s, and is not in the log", id, told, ack.op.name())
		return
	}
}

// misplaced looks at what was answered for a record that the log has. Offset -1 is what a
// proxy answers that asks Kafka for no acknowledgement.
func (c *checker) misplaced(id ID, a *attempts, copies []Place) {
	for _, ack := range a.acked {
		if told := ack.told(); told.Offset >= 0 && !slices.Contains(copies, told) {
			c.report.add(InconsistentOffsets, "record %s was acknowledged as %v by %s, and is at %v", id, told, ack.op.name(), copies[0])
		}
	}
}

// surplus looks for copies that no sending accounts for.
func (c *checker) surplus(id ID, a *attempts, copies []Place) {
	excess := len(copies) - len(a.acked) - a.unknown
	switch {
	case excess <= 0:
	case excess <= a.failed:
		c.report.add(AbortedRead, "record %s was refused, and is in the log at %v", id, copies[len(copies)-1])
	default:
		c.report.add(Duplicate, "record %s was acknowledged %d times and had an unknown outcome %d times, and is in the log at %v", id, len(a.acked), a.unknown, copies)
	}
}

// order looks for acknowledged records of a partition that stand behind one which was sent
// after their acknowledgement, or behind a later one of their request.
func (c *checker) order() {
	at := map[Place]attempt{} // where acknowledged records stand
	for _, id := range c.ids {
		for _, ack := range c.sent[id].acked {
			if copies := c.copies[id]; len(copies) > 0 {
				place := copies[0]
				if slices.Contains(copies, ack.told()) {
					place = ack.told()
				}
				at[place] = ack
			}
		}
	}
	for _, partition := range c.log.partitions() {
		latest := time.Duration(-1) // sending of the records so far
		var latestID ID
		last := map[*Op]int{} // place in its request of the last record of each
		for _, r := range c.log.Records[partition] {
			ack, ok := at[Place{partition, r.Offset}]
			if !ok {
				continue
			}
			behind, ofSame := last[ack.op]
			switch {
			case ack.op.Done < latest:
				c.report.add(NonmonotonicSend, "record %s at %v stands behind %s, which was sent after its acknowledgement", r.ID, Place{partition, r.Offset}, latestID)
			case ofSame && ack.place < behind:
				c.report.add(NonmonotonicSend, "record %s at %v stands behind a later one of its request, %s", r.ID, Place{partition, r.Offset}, ack.op.name())
			}
			last[ack.op] = max(behind, ack.place)
			if ack.op.Sent > latest {
				latest, latestID = ack.op.Sent, r.ID
			}
		}
	}
}
