package check

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/lab"
)

// readPatience ends the reading of the log when no record came for as long.
const readPatience = 20 * time.Second

// Stored is one record of the log.
type Stored struct {
	Offset int64 `json:"offset"`
	ID
	// Foreign is the beginning of a value that this run did not make; ID is then empty.
	Foreign string `json:"foreign,omitempty"`
}

// Log is what the topics of a run hold, from where they ended before it.
type Log struct {
	// Records are those of each partition, by rising offset.
	Records map[Partition][]Stored
	// Expired is the offset below which the topic's retention has removed records of the
	// run: nothing can be said of them.
	Expired map[Partition]int64
}

// ReadLog reads the topics of h from the brokers, not by the proxy.
func ReadLog(ctx context.Context, dial Dial, h *History) (*Log, error) {
	client, err := dial()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	spans, err := extent(ctx, kadm.NewClient(client), h.Topics)
	if err != nil {
		return nil, err
	}
	starts := map[Partition]int64{}
	for _, s := range h.Starts {
		starts[s.Partition] = s.Offset
	}
	log := &Log{Records: map[Partition][]Stored{}, Expired: map[Partition]int64{}}
	for i := range spans {
		at := Partition{spans[i].Topic, spans[i].Partition}
		if spans[i].From > starts[at] {
			log.Expired[at] = spans[i].From
		}
		spans[i].From = max(spans[i].From, starts[at])
	}
	back := lab.ReadBack{Dial: dial, Patience: readPatience}
	err = back.Read(ctx, spans, func(r *kgo.Record) bool {
		at := Partition{r.Topic, r.Partition}
		rec := Stored{Offset: r.Offset}
		var ours bool
		if rec.ID, ours = ParseValue(h.Run, r.Value); !ours {
			rec.Foreign = preview(r.Value)
		}
		log.Records[at] = append(log.Records[at], rec)
		return true
	})
	return log, err
}

// partitions returns the partitions that have records, sorted.
func (l *Log) partitions() []Partition {
	return slices.SortedFunc(maps.Keys(l.Records), func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	})
}

// at returns the record at a place.
func (l *Log) at(p Place) (Stored, bool) {
	records := l.Records[p.Partition]
	i, found := slices.BinarySearchFunc(records, p.Offset, func(r Stored, offset int64) int { return int(r.Offset - offset) })
	if !found {
		return Stored{}, false
	}
	return records[i], true
}
