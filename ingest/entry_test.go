package ingest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"millrace/pool"
)

func TestEntries(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	var slab pool.Slab
	r := slab.Add()
	r.Value = []byte(`{"a":1}`)
	r = slab.Add()
	r.Key, r.Value, r.Partition, r.Timestamp = []byte{}, nil, 7, time.UnixMilli(1)
	slab.AddHeader(r, "h", []byte("v"))
	slab.AddHeader(r, "", nil)
	entry := appendRecords(nil, "topic", "route", slab.Records, now)
	show := func(s *pool.Slab) (all string) {
		for i := range s.Records {
			r := &s.Records[i]
			at := r.Timestamp
			if at.IsZero() {
				at = now
			}
			all += fmt.Sprintf("%q %v %q %v %d %d %q\n", r.Key, r.Key == nil, r.Value, r.Value == nil, r.Partition, at.UnixMilli(), r.Headers)
		}
		return all
	}
	read := func(entry []byte, skip int) (topic string, s pool.Slab, err error) {
		head, records, err := headOfEntry(entry)
		for n := 0; err == nil && records.next(&s, n == skip); n++ {
			err = records.err
		}
		if err == nil {
			err = records.err
		}
		return head.topic + " " + head.route, s, err
	}
	topic, got, err := read(entry, -1)
	if topic != "topic route" || err != nil || show(&got) != show(&slab) {
		t.Errorf("%s, %v\n%swant\n%s", topic, err, show(&got), show(&slab))
	}
	if _, got, _ := read(entry, 0); len(got.Records) != 1 || got.Records[0].Partition != 7 || len(got.Records[0].Headers) != 2 {
		t.Errorf("without the first: %s", show(&got))
	}
	for cut := range len(entry) { // no fault of an entry does harm
		_, got, err := read(entry[:cut], -1)
		if _, fault := topicOfEntry(entry[:cut]); (err == nil) != (fault == nil) {
			t.Errorf("cut at %d: %v, and looked through before: %v", cut, err, fault)
		}
		if len(got.Records) > 1 {
			t.Errorf("cut at %d: a part of a record is left: %s", cut, show(&got))
		}
	}
	for _, partition := range []int32{-2, math.MinInt32} {
		slab.Records[1].Partition = partition
		if _, err := topicOfEntry(appendRecords(nil, "topic", "", slab.Records, now)); err == nil {
			t.Errorf("a record for partition %d is read", partition)
		}
	}
	if _, err := topicOfEntry(appendRecords(nil, "", "", slab.Records[:1], now)); err == nil {
		t.Error("an entry without a topic is read")
	}
	if _, _, err := read(append([]byte{3}, entry[1:]...), -1); err == nil {
		t.Error("an entry of another version is read")
	}
}
