package tune

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxSampleBytes bounds the keys and values of a sample: enough for several
// batches of 1 MB, and few enough that the slowest codecs take seconds.
const maxSampleBytes = 8 << 20

// Sample is the input of the measurement.
type Sample struct {
	// Source names its origin, for the report.
	Source string
	// Records are real ones, those of a partition beside each other and in order. Records without
	// a timestamp count as evenly spaced.
	Records []*kgo.Record
	// Rate is the topic's records per second, 0 if not known; RateFrom is its source.
	Rate     float64
	RateFrom string
	// Replicas is how many brokers store each record, 0 if not known.
	Replicas int
	// Stored describes the topic's present batches; nil for a file.
	Stored *Stored
	// Notes are remarks about the sample for the reader of the report.
	Notes []string
}

// Stored describes the stored batches of a sample.
type Stored struct {
	// Batches is how many were read.
	Batches int `json:"batches"`
	// Records is how many each holds on average.
	Records float64 `json:"records_per_batch"`
	// Bytes is their size before compression: the mean weighted by size, so
	// that it is the size of the batch in which the average byte lies. A
	// thousand batches of one record do not outweigh ten of a thousand.
	Bytes int `json:"batch_bytes"`
	// Ratio is their size before compression by that after it.
	Ratio float64 `json:"ratio"`
	// Codecs counts the batches by codec.
	Codecs map[string]int `json:"codecs"`
}

func (s *Sample) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// size returns the bytes of a record that count against the bound of a sample.
func size(r *kgo.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}
