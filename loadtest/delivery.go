package loadtest

import (
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/lab"
)

// Delivery is what the consumers of one group were given, held against what is
// in Kafka. It counts records.
type Delivery struct {
	Group string `json:"group"`
	// Delivered ones were given at least once.
	Delivered uint64 `json:"delivered"`
	// Repeated counts the times that a record was given again, which a group
	// may do: it delivers at least once.
	Repeated uint64 `json:"repeated"`
	// Reordered ones were given to a consumer right behind a later one of their
	// partition, and not because they were repeated.
	Reordered uint64 `json:"reordered"`
	// Misplaced ones were given with a partition and offset where Kafka has
	// another record, or none.
	Misplaced uint64 `json:"misplaced"`
	// Undelivered ones are in Kafka, and no consumer was given them.
	Undelivered uint64 `json:"undelivered"`
	// Unnoted ones did not fit in memory, and were compared with nothing.
	Unnoted uint64 `json:"unnoted,omitempty"`
	// Compared is false when Kafka was not read back, so that nothing is known
	// of Misplaced and Undelivered.
	Compared bool     `json:"compared"`
	Examples []string `json:"examples,omitempty"`
}

const (
	// pageSize is how many offsets' marks are kept together.
	pageSize = 4096
	// maxPages bounds what one group's marks take: 256 MiB, for 134 million
	// records.
	maxPages = 1 << 15
)

// Marks that stand for no record of the run.
const (
	unmarked    = 0
	foreignMark = 1
)

// mark stands for a record in the notes of what was delivered: two bytes, so
// that a run may be long. That another record looks the same is one chance in
// sixty thousand.
func (id recordID) mark() uint16 {
	const spread = 0x9E3779B97F4A7C15 // neighbours come out far apart
	return max(uint16((uint64(id.Worker)<<48^id.Seq+1)*spread>>48), foreignMark+1)
}

// markOf is the mark of a value, as stored or as JSON.
func markOf(run string, value []byte) uint16 {
	if id, ok := parseValue(value); ok && id.Run == run {
		return id.mark()
	}
	return foreignMark
}

// deliveries notes what one group was given: of each partition and offset the
// record that came with it. Many goroutines call note; what else there is
// belongs to the run.
type deliveries struct {
	run, topic string
	limit      int // of pages

	mu         sync.Mutex
	partitions map[int32]*delivered
	pages      int
	result     Delivery
}

// delivered is one partition.
type delivered struct {
	pages map[int64]*[pageSize]uint16 // by offset / pageSize
	last  map[int]int64               // offset given, by consumer
	given int64                       // all was, from the beginning of the run up to here
}

func newDeliveries(run, topic, group string) *deliveries {
	return &deliveries{run: run, topic: topic, limit: maxPages, partitions: map[int32]*delivered{}, result: Delivery{Group: group}}
}

// given is one record as a consumer was given it.
type given struct {
	elsewhere string // the topic, if it is not the group's
	partition int32
	offset    int64
	mark      uint16
}

// note takes in one answer to a consumer.
func (d *deliveries) note(consumer int, records []given) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range records {
		d.noteOne(consumer, &records[i])
	}
}

func (d *deliveries) noteOne(consumer int, r *given) {
	if r.elsewhere != "" || r.offset < 0 || r.partition < 0 {
		d.result.Misplaced++
		d.example("was given partition %d, offset %d of %s, which cannot be", r.partition, r.offset, d.name(r))
		return
	}
	p := d.partitions[r.partition]
	if p == nil {
		p = &delivered{pages: map[int64]*[pageSize]uint16{}, last: map[int]int64{}}
		d.partitions[r.partition] = p
	}
	at := d.at(p, r.offset)
	if at == nil {
		d.result.Unnoted++
		return
	}
	last, before := p.last[consumer]
	switch {
	case *at == unmarked:
		*at = r.mark
		d.result.Delivered++
		if before && r.offset < last {
			d.result.Reordered++
			d.example("is reordered: partition %d, offset %d came behind offset %d", r.partition, r.offset, last)
		}
	case *at == r.mark:
		d.result.Repeated++
	default:
		d.result.Misplaced++
		d.example("is misplaced: partition %d, offset %d came twice, with different records", r.partition, r.offset)
	}
	p.last[consumer] = r.offset
}

func (d *deliveries) name(r *given) string {
	if r.elsewhere != "" {
		return r.elsewhere
	}
	return d.topic
}

// at is where the mark of an offset stands, nil if there is no more room.
func (d *deliveries) at(p *delivered, offset int64) *uint16 {
	page := p.pages[offset/pageSize]
	if page == nil {
		if d.pages == d.limit {
			return nil
		}
		d.pages++
		page = new([pageSize]uint16)
		p.pages[offset/pageSize] = page
	}
	return &page[offset%pageSize]
}

// progress is how many records came, new ones and repeated ones.
func (d *deliveries) progress() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.result.Delivered + d.result.Repeated + d.result.Unnoted
}

// complete reports whether the group was given everything of its topic from start
// to the end of what is held.
func (d *deliveries) complete(start map[int32]int64, held []lab.Span) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range held {
		if s.Topic != d.topic || s.To <= start[s.Partition] {
			continue
		}
		p := d.partitions[s.Partition]
		if p == nil || !p.complete(start[s.Partition], s.To) {
			return false
		}
	}
	return true
}

// complete looks at each offset once, however often it is asked.
func (p *delivered) complete(start, end int64) bool {
	p.given = max(p.given, start)
	for p.given < end {
		page := p.pages[p.given/pageSize]
		if page == nil || page[p.given%pageSize] == unmarked {
			return false
		}
		p.given++
	}
	return true
}

// compare takes in one record of Kafka. A mark that remains in the end is a record that was
// given and is not in Kafka.
func (d *deliveries) compare(r *kgo.Record) {
	if r.Topic != d.topic {
		return
	}
	var page *[pageSize]uint16
	if p := d.partitions[r.Partition]; p != nil {
		page = p.pages[r.Offset/pageSize]
	}
	had := uint16(unmarked)
	if page != nil {
		had = page[r.Offset%pageSize]
		page[r.Offset%pageSize] = unmarked
	}
	switch mark := markOf(d.run, r.Value); had {
	case mark:
	case unmarked:
		d.result.Undelivered++
		d.example("was not delivered: partition %d, offset %d", r.Partition, r.Offset)
	default:
		d.result.Misplaced++
		d.example("is misplaced: partition %d, offset %d was given with another record than Kafka has there", r.Partition, r.Offset)
	}
}

// finish counts what was given from where Kafka has nothing. Of what is gone
// from below an offset nothing can be said.
func (d *deliveries) finish(expiredBelow map[topicPartition]int64) {
	d.result.Compared = true
	// With no room for a delivery it looks as if it had not been made.
	d.result.Undelivered -= min(d.result.Unnoted, d.result.Undelivered)
	for number, p := range d.partitions {
		for n, page := range p.pages {
			for i, mark := range page {
				offset := n*pageSize + int64(i)
				if mark != unmarked && offset >= expiredBelow[topicPartition{d.topic, number}] {
					d.result.Misplaced++
					d.example("is misplaced: partition %d, offset %d was given, where Kafka has nothing", number, offset)
				}
			}
		}
	}
}

func (d *deliveries) example(format string, args ...any) {
	if len(d.result.Examples) < maxExamples {
		d.result.Examples = append(d.result.Examples, "one "+fmt.Sprintf(format, args...))
	}
}

// sentence says what came of the group.
func (d *Delivery) sentence() string {
	text := fmt.Sprintf("%d records: %d repeated, %d reordered", d.Delivered, d.Repeated, d.Reordered)
	if !d.Compared {
		return text + "; not compared with Kafka"
	}
	text += fmt.Sprintf(", %d misplaced, %d never delivered", d.Misplaced, d.Undelivered)
	if d.Unnoted > 0 {
		text += fmt.Sprintf("; %d were too many to be compared", d.Unnoted)
	}
	return text
}
