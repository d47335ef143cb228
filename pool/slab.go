package pool

import (
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"
)

// MaxPooledRecords is the largest slab that is kept between requests.
const MaxPooledRecords = 4096

// Slab holds the records of one request in one piece of memory. It grows while
// the request is decoded and must not grow once its records are lent to the
// Kafka client, which keeps pointers to them. The zero Slab is ready for use.
//
// Keys, values and headers of the records are views into memory that the
// slab's owner holds.
type Slab struct {
	// Records are the records of the request, in its order.
	Records []kgo.Record
	headers []kgo.RecordHeader
}

// Add appends a record that is empty but for Partition, which is -1 for "not
// chosen", and returns it. The pointer is valid until the next Add.
func (s *Slab) Add() *kgo.Record {
	n := len(s.Records)
	if n < cap(s.Records) {
		s.Records = s.Records[:n+1] // Truncate has zeroed it
	} else {
		s.Records = append(s.Records, kgo.Record{})
	}
	r := &s.Records[n]
	r.Partition = -1
	return r
}

// AddHeader appends a header to those of r, which must be the record that Add
// returned last. key and value are views.
func (s *Slab) AddHeader(r *kgo.Record, key string, value []byte) {
	s.headers = append(s.headers, kgo.RecordHeader{Key: key, Value: value})
	n := len(r.Headers) + 1
	// When headers has moved, older records keep the old array: still theirs.
	r.Headers = s.headers[len(s.headers)-n : len(s.headers) : len(s.headers)]
}

// HeaderBytes returns the memory that the headers of all records take, besides the memory that
// their names and values are views of.
func (s *Slab) HeaderBytes() int { return cap(s.headers) * int(unsafe.Sizeof(kgo.RecordHeader{})) }

// Truncate removes all records. It is for a decoder that starts over.
func (s *Slab) Truncate() {
	clear(s.Records)
	s.Records = s.Records[:0]
	clear(s.headers)
	s.headers = s.headers[:0]
}

// Reset makes the slab ready for the next request: it is zeroed whole, since the Kafka client
// leaves contexts and offsets in the records, and dropped when it grew beyond [MaxPooledRecords].
func (s *Slab) Reset() {
	s.Truncate()
	if cap(s.Records) > MaxPooledRecords {
		s.Records = nil
	}
	if cap(s.headers) > MaxPooledRecords {
		s.headers = nil
	}
}

// Drop removes the record that Add returned last, with its headers.
func (s *Slab) Drop() {
	r := &s.Records[len(s.Records)-1]
	if n := len(s.headers) - len(r.Headers); n >= 0 {
		clear(s.headers[n:])
		s.headers = s.headers[:n]
	}
	*r = kgo.Record{}
	s.Records = s.Records[:len(s.Records)-1]
}

// Keep removes the records that keep is false for, given their index. The others stay in order.
func (s *Slab) Keep(keep func(i int) bool) {
	kept := 0
	for i := range s.Records {
		if keep(i) {
			s.Records[kept] = s.Records[i]
			kept++
		}
	}
	clear(s.Records[kept:])
	s.Records = s.Records[:kept]
}
