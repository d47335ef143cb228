package loadtest

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Verification is what reading Kafka back showed. Lost, Doubled, Reordered and
// Misplaced count records that were acknowledged.
type Verification struct {
	// Complete is false when not all could be read; Reason says why.
	Complete     bool   `json:"complete"`
	Reason       string `json:"reason,omitempty"`
	Acknowledged uint64 `json:"acknowledged"`
	// Lost ones are not in the topic.
	Lost uint64 `json:"lost"`
	// Doubled counts the copies beyond the first.
	Doubled uint64 `json:"doubled"`
	// Reordered ones stand behind a record of the same partition that was sent
	// only after their acknowledgement, or behind a later one of their request.
	Reordered uint64 `json:"reordered"`
	// Misplaced ones are not at the partition and offset that was answered.
	Misplaced uint64 `json:"misplaced"`
	// Expired ones were removed by the topic's retention before they were read:
	// nothing can be said about them.
	Expired uint64 `json:"expired"`
	// Unacknowledged records were sent without a good answer; Arrived counts
	// those of them that are in the topic nevertheless, which is allowed.
	Unacknowledged uint64   `json:"unacknowledged"`
	Arrived        uint64   `json:"unacknowledged_arrived"`
	Examples       []string `json:"examples,omitempty"`
	Seconds        float64  `json:"seconds"`
}

// maxExamples of records that went wrong are named.
const maxExamples = 12

type topicPartition struct {
	topic     string
	partition int32
}

// comparison holds the ledgers against the records of the topics, which come
// by record in the order of their offsets, partition by partition or mixed.
// It belongs to one goroutine, after the run.
type comparison struct {
	run          string
	ledgers      map[int]*ledger // by worker
	groups       []*deliveries
	seen         map[int][]uint8 // by worker and Seq: copies, and placed
	order        map[topicPartition]*order
	expiredBelow map[topicPartition]int64
	Verification
}

// placed marks in comparison.seen that a copy is where the answer said.
const placed = 1 << 7

// order is what was seen of a partition so far.
type order struct {
	latestSent time.Duration      // of the records seen
	last       map[requestKey]int // place of the last record of a request
}

type requestKey struct {
	worker  int
	request uint64
}

func newComparison(run string, ledgers []*ledger, groups ...*deliveries) *comparison {
	c := &comparison{
		run: run, ledgers: map[int]*ledger{}, groups: groups, seen: map[int][]uint8{},
		order: map[topicPartition]*order{}, expiredBelow: map[topicPartition]int64{},
	}
	for _, l := range ledgers {
		c.ledgers[l.worker] = l
		c.seen[l.worker] = make([]uint8, len(l.requests)*l.records)
	}
	return c
}

// record takes in one record of a topic. Those of others are only held against
// what consumers were given.
func (c *comparison) record(r *kgo.Record) {
	for _, g := range c.groups {
		g.compare(r)
	}
	id, ok := parseValue(r.Value)
	if !ok || id.Run != c.run {
		return
	}
	l := c.ledgers[id.Worker]
	if l == nil || id.Seq >= uint64(len(c.seen[id.Worker])) {
		c.example("%s.%d.%d is in the topic and was never sent", id.Run, id.Worker, id.Seq)
		return
	}
	n, place := id.Seq/uint64(l.records), int(id.Seq%uint64(l.records))
	req := &l.requests[n]
	seen := &c.seen[id.Worker][id.Seq]
	acked := len(req.slots) > place && req.slots[place].acked()
	if acked && r.Topic == l.topic {
		// Offset -1 is what a proxy with acks=0 answers: it does not know.
		if told := req.slots[place]; told.offset < 0 || told == (slot{r.Offset, r.Partition}) {
			*seen |= placed
		}
	}
	if copies := *seen &^ placed; copies > 0 {
		if copies < placed-1 {
			*seen++
		}
		if acked {
			c.Doubled++
			c.example("%s.%d.%d is doubled: again at partition %d, offset %d", id.Run, id.Worker, id.Seq, r.Partition, r.Offset)
		}
		return
	}
	*seen++
	late := c.behind(topicPartition{r.Topic, r.Partition}, requestKey{id.Worker, n}, place, req)
	if late && acked {
		c.Reordered++
		c.example("%s.%d.%d is reordered: at partition %d, offset %d, behind one that was sent later", id.Run, id.Worker, id.Seq, r.Partition, r.Offset)
	}
}

// behind reports whether the record at place of req stands behind one that was
// sent later, and takes it in. Two requests that were under way at the same
// time have no order; so only an acknowledgement before the other's sending
// counts.
func (c *comparison) behind(at topicPartition, key requestKey, place int, req *request) bool {
	o := c.order[at]
	if o == nil {
		o = &order{last: map[requestKey]int{}}
		c.order[at] = o
	}
	late := req.acked > 0 && req.acked < o.latestSent
	o.latestSent = max(o.latestSent, req.sent)
	if c.ledgers[key.worker].records > 1 {
		if last, ok := o.last[key]; ok && place < last {
			return true
		}
		o.last[key] = place
	}
	return late
}

// finish counts what is missing, after the last record.
func (c *comparison) finish() {
	for _, g := range c.groups {
		g.finish(c.expiredBelow)
	}
	for worker, l := range c.ledgers {
		for n := range l.requests {
			req := &l.requests[n]
			for place := range l.records {
				seq := n*l.records + place
				c.judge(recordID{c.run, worker, uint64(seq)}, l.topic, req, c.seen[worker][seq])
			}
		}
	}
}

func (c *comparison) judge(id recordID, topic string, req *request, seen uint8) {
	place := int(id.Seq % uint64(c.ledgers[id.Worker].records))
	if len(req.slots) <= place || !req.slots[place].acked() {
		c.Unacknowledged++
		if seen > 0 {
			c.Arrived++
		}
		return
	}
	c.Acknowledged++
	told := req.slots[place]
	switch {
	case seen == 0 && told.offset < c.expiredBelow[topicPartition{topic, told.partition}]:
		c.Expired++
	case seen == 0:
		c.Lost++
		c.example("%s.%d.%d is lost: answered as partition %d, offset %d of %s", id.Run, id.Worker, id.Seq, told.partition, told.offset, topic)
	case seen&placed == 0:
		c.Misplaced++
		c.example("%s.%d.%d is misplaced: answered as partition %d, offset %d of %s", id.Run, id.Worker, id.Seq, told.partition, told.offset, topic)
	}
}

func (c *comparison) example(format string, args ...any) {
	if len(c.Examples) < maxExamples {
		c.Examples = append(c.Examples, fmt.Sprintf(format, args...))
	}
}
