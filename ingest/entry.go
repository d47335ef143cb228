package ingest

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/batch"
	"millrace/pool"
)

// An entry of the spool is the records of one request: the version of this form, the topic, the
// route, and the records one after another. Version 1 had no route. Numbers are varints, texts have
// their length before them, and a length is one more than it is, so that 0 means that there is
// none.

// entryVersion is that of the form of an entry.
const entryVersion = 2

var errEntry = errors.New("the entry of the spool is not one of this program's")

// appendRecords appends an entry of the records. Those without a time get now.
func appendRecords(dst []byte, topic, route string, records []kgo.Record, now time.Time) []byte {
	dst = appendText(append(dst, entryVersion), []byte(topic))
	dst = appendText(dst, []byte(route))
	for i := range records {
		r := &records[i]
		at := r.Timestamp
		if at.IsZero() {
			at = now
		}
		dst = appendText(dst, r.Key)
		dst = appendText(dst, r.Value)
		dst = binary.AppendVarint(dst, int64(r.Partition))
		dst = binary.AppendVarint(dst, at.UnixMilli())
		dst = binary.AppendUvarint(dst, uint64(len(r.Headers)))
		for _, h := range r.Headers {
			dst = appendText(appendText(dst, []byte(h.Key)), h.Value)
		}
	}
	return dst
}

func appendText(dst, text []byte) []byte {
	if text == nil {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(text))+1), text...)
}

// entryReader reads an entry. After a fault every method returns zeros, and err is set.
type entryReader struct {
	b   []byte
	err error
}

// entryHead is what an entry has before its records.
type entryHead struct{ topic, route string }

// headOfEntry returns the head of an entry, and a reader of its records.
func headOfEntry(entry []byte) (h entryHead, records entryReader, err error) {
	if len(entry) == 0 || entry[0] < 1 || entry[0] > entryVersion {
		return h, entryReader{}, errEntry
	}
	r := entryReader{b: entry[1:]}
	h.topic = string(r.text())
	if entry[0] > 1 {
		h.route = string(r.text())
	}
	if h.topic == "" {
		r.err = errEntry
	}
	return h, r, r.err
}

// topicOfEntry returns the topic of an entry, and an error unless all of the entry can be read. A
// checksum says that its bytes are what a program wrote, and not that this program reads them.
func topicOfEntry(entry []byte) (topic string, err error) {
	head, records, err := headOfEntry(entry)
	if err != nil {
		return "", err
	}
	for records.next(nil, true) {
	}
	return head.topic, records.err
}

// next adds the next record to the slab, as views of the entry, unless skip. It returns false at
// the end and for a record that cannot be read, of which it adds nothing.
func (r *entryReader) next(slab *pool.Slab, skip bool) bool {
	if len(r.b) == 0 || r.err != nil {
		return false
	}
	key, value := r.text(), r.text()
	partition, at := r.varint(), r.varint()
	if partition < int64(batch.AnyPartition) || partition > math.MaxInt32 {
		r.err = errEntry
	}
	if r.err != nil {
		return false
	}
	var made *kgo.Record
	if !skip {
		made = slab.Add()
		made.Key, made.Value, made.Partition, made.Timestamp = key, value, int32(partition), time.UnixMilli(at)
	}
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		name, value := r.text(), r.text()
		if !skip {
			slab.AddHeader(made, pool.String(name), value)
		}
	}
	if r.err != nil && !skip {
		slab.Drop()
	}
	return r.err == nil
}

func (r *entryReader) text() []byte {
	n := r.uvarint()
	if n == 0 || r.err != nil {
		return nil
	}
	if n--; n > uint64(len(r.b)) {
		r.err = errEntry
		return nil
	}
	text := r.b[:n:n]
	r.b = r.b[n:]
	return text
}

func (r *entryReader) uvarint() uint64 {
	n, used := binary.Uvarint(r.b)
	return n * uint64(r.used(used))
}

func (r *entryReader) varint() int64 {
	n, used := binary.Varint(r.b)
	return n * int64(r.used(used))
}

// used steps over a number of so many bytes, and returns 1, or 0 for a fault.
func (r *entryReader) used(bytes int) int {
	if bytes <= 0 {
		r.err = errEntry
		return 0
	}
	r.b = r.b[bytes:]
	return 1
}
