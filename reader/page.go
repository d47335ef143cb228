package reader

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/pool"
)

const (
	// MaxPageRecords bounds one page where records have no bytes to bound it by.
	MaxPageRecords = 100_000
	// frameGuess is about how many bytes of a response a record takes besides key, value and
	// topic.
	frameGuess = 80
)

// Size returns the bytes of the record's key and value.
func Size(r *kgo.Record) int { return len(r.Key) + len(r.Value) }

// Room estimates the bytes of a response with n records of a topic, with keys and values of that
// many bytes together.
func Room(n, bytes int, topic string, format codec.Format) int {
	if format == codec.Binary {
		bytes = bytes/3*4 + 4
	}
	return n*(frameGuess+len(topic)) + bytes
}

// page is a page of records under construction.
type page struct {
	limit, count int // of bytes and records
	most         int // of bytes written
	format       codec.Format
	extras       codec.Extras

	n, bytes, written int // records so far, bytes of their keys and values, bytes written

	first, last time.Time // timestamps of the first and the last record
}

func (p *page) full() bool { return p.n >= p.count || p.bytes >= p.limit }

// fill appends as many of the records, which it takes, as the page has room for. An error tells
// why it stopped at a record that it did not append.
func (p *page) fill(dst []byte, records []*kgo.Record) ([]byte, error) {
	var err error
	dst = pool.Grow(dst, p.room(records))
	for _, r := range records {
		if err == nil && p.admits(r) {
			dst, err = p.append(dst, r)
		}
		r.Recycle() // the last one returns the batch's memory to its pool
	}
	return dst, err
}

// room estimates the bytes that those of the records, all of one topic, take for which the page
// has room.
func (p *page) room(records []*kgo.Record) int {
	n, bytes := p.n, p.bytes
	for _, r := range records {
		if n >= p.count || n > 0 && bytes+Size(r) > p.limit {
			break
		}
		n++
		bytes += Size(r)
	}
	if n == p.n {
		return 0
	}
	return Room(n-p.n, bytes-p.bytes, records[0].Topic, p.format)
}

// admits reports whether the page has room for r, and closes the page if not.
func (p *page) admits(r *kgo.Record) bool {
	if p.n < p.count && (p.n == 0 || p.bytes+Size(r) <= p.limit) {
		return true
	}
	p.count = p.n
	return false
}

func (p *page) append(dst []byte, r *kgo.Record) ([]byte, error) {
	good := len(dst)
	if p.n > 0 {
		dst = append(dst, ',')
	}
	dst, err := codec.AppendRecord(dst, r, p.format, p.extras)
	if err != nil {
		return dst[:good], err
	}
	if p.n > 0 && p.written+len(dst)-good > p.most {
		p.count = p.n // the page is full
		return dst[:good], nil
	}
	if p.n++; p.n == 1 {
		p.first = r.Timestamp
	}
	p.last = r.Timestamp
	p.bytes += Size(r)
	p.written += len(dst) - good
	return dst, nil
}
