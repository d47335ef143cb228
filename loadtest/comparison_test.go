package loadtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// book is a ledger of single-record requests, sent and acknowledged at the
// given milliseconds (0: not), each said to be at the offset of its number.
func book(times ...[2]int) *ledger {
	l := &ledger{topic: "t", records: 1}
	for i, at := range times {
		r := request{sent: time.Duration(at[0]) * time.Millisecond, acked: time.Duration(at[1]) * time.Millisecond}
		if at[1] > 0 {
			r.slots = []slot{{offset: int64(i)}}
		}
		l.requests = append(l.requests, r)
	}
	return l
}

// read feeds the records with the given numbers, as they stand in the topic.
func read(l *ledger, seqs ...int) *comparison {
	c := newComparison("run", []*ledger{l})
	for offset, seq := range seqs {
		value := appendValue(nil, recordID{"run", 0, uint64(seq)}, []byte("}"))
		if seq < 0 {
			value = []byte(`{"_lt":"other.0.1"}`)
		}
		c.record(&kgo.Record{Topic: "t", Offset: int64(offset), Value: value})
	}
	c.finish()
	return c
}

func TestComparison(t *testing.T) {
	oneByOne := func() *ledger { return book([2]int{1, 2}, [2]int{3, 4}, [2]int{5, 6}) }
	f := func(what string, c *comparison, want string) {
		t.Helper()
		have := fmt.Sprintf("%d acked: %d lost %d doubled %d reordered %d misplaced %d expired; %d unacked, %d there",
			c.Acknowledged, c.Lost, c.Doubled, c.Reordered, c.Misplaced, c.Expired, c.Unacknowledged, c.Arrived)
		if have != want {
			t.Errorf("%s:\nhave %s\nwant %s", what, have, want)
		}
	}
	f("all well", read(oneByOne(), 0, 1, 2), "3 acked: 0 lost 0 doubled 0 reordered 0 misplaced 0 expired; 0 unacked, 0 there")
	f("lost", read(oneByOne(), 0, 1), "3 acked: 1 lost 0 doubled 0 reordered 0 misplaced 0 expired; 0 unacked, 0 there")
	f("doubled", read(oneByOne(), 0, 1, 2, 1, 1), "3 acked: 0 lost 2 doubled 0 reordered 0 misplaced 0 expired; 0 unacked, 0 there")
	f("swapped, one after the other", read(oneByOne(), 0, 2, 1), "3 acked: 0 lost 0 doubled 1 reordered 2 misplaced 0 expired; 0 unacked, 0 there")
	f("another run's between", read(oneByOne(), 0, -1, 1, 2), "3 acked: 0 lost 0 doubled 0 reordered 2 misplaced 0 expired; 0 unacked, 0 there")
	f("under way at once, so in no order", read(book([2]int{1, 9}, [2]int{2, 8}), 1, 0), "2 acked: 0 lost 0 doubled 0 reordered 2 misplaced 0 expired; 0 unacked, 0 there")
	f("not acknowledged", read(book([2]int{1, 2}, [2]int{3, 0}, [2]int{4, 0}), 0, 1), "1 acked: 0 lost 0 doubled 0 reordered 0 misplaced 0 expired; 2 unacked, 1 there")
	f("not acknowledged and twice there", read(book([2]int{1, 0}), 0, 0), "0 acked: 0 lost 0 doubled 0 reordered 0 misplaced 0 expired; 1 unacked, 1 there")

	old := newComparison("run", []*ledger{oneByOne()})
	old.expiredBelow[topicPartition{"t", 0}] = 2
	old.record(&kgo.Record{Topic: "t", Offset: 2, Value: appendValue(nil, recordID{"run", 0, 2}, []byte("}"))})
	old.finish()
	f("removed by retention", old, "3 acked: 0 lost 0 doubled 0 reordered 0 misplaced 2 expired; 0 unacked, 0 there")
}
