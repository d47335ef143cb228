package consumer

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/reader"
)

// backlog holds records that were fetched and not yet answered, in the order
// of their fetch. It owns them and gives each back to the client's pool once
// it was answered; those that are dropped unread are left to the garbage collector.
type backlog struct {
	runs    []run
	records int
	bytes   int // keys and values
}

// run is a sequence of records of one partition.
type run struct {
	part    *partition
	records []*kgo.Record
}

// add takes the records.
func (b *backlog) add(p *partition, records []*kgo.Record) {
	if len(records) == 0 {
		return
	}
	b.runs = append(b.runs, run{p, records})
	b.records += len(records)
	for _, r := range records {
		b.bytes += reader.Size(r)
	}
}

// room guesses what an answer takes that has records of up to limit bytes, without
// looking at each.
func (b *backlog) room(limit int, format codec.Format) int {
	if b.records == 0 {
		return 0
	}
	n, bytes := b.records, b.bytes
	if bytes > limit {
		n, bytes = int(int64(n)*int64(limit)/int64(bytes))+1, limit
	}
	return reader.Room(n, bytes, b.runs[0].part.Topic, format)
}

// advance forgets the first n records, which the caller has recycled and whose
// keys and values had size bytes together.
func (b *backlog) advance(n, size int) {
	b.records -= n
	b.bytes -= size
	done := 0
	for n > 0 {
		first := &b.runs[done]
		k := min(n, len(first.records))
		first.records = first.records[k:]
		n -= k
		if len(first.records) == 0 {
			done++
		}
	}
	b.runs = b.runs[:copy(b.runs, b.runs[done:])]
	clear(b.runs[len(b.runs) : len(b.runs)+done])
}

// drop forgets all records of the partitions that gone says.
func (b *backlog) drop(gone func(*partition) bool) {
	kept := b.runs[:0]
	for _, r := range b.runs {
		if !gone(r.part) {
			kept = append(kept, r)
			continue
		}
		b.records -= len(r.records)
		for _, rec := range r.records {
			b.bytes -= reader.Size(rec)
		}
	}
	clear(b.runs[len(kept):])
	b.runs = kept
}

// clear forgets everything.
func (b *backlog) clear() { *b = backlog{} }
