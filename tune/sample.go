package tune

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxSampleBytes bounds the keys and values of a sample: enough for several
// batches of 1 MB, and few enough that the slowest codecs take seconds.
const maxSampleBytes = 8 << 20

// Sample is what the measuring goes by.
type Sample struct {
	// Source names where it came from, for the report.
	Source string
	// Records are real ones, those of a partition beside each other and in
	// their order. Without a timestamp they count as evenly spaced.
	Records []*kgo.Record
	// Rate is the records a second that the topic gets, 0 when nobody knows;
	// RateFrom says how that was found out.
	Rate     float64
	RateFrom string
	// Replicas is how many brokers keep each record, 0 when nobody knows.
	Replicas int
	// Stored is how the topic's batches are now; nil for a file.
	Stored *Stored
	// Notes say what the reader of the report should know about the sample.
	Notes []string
}

// Stored says how the batches of a sample were stored.
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

// size is what a sample is bounded by.
func size(r *kgo.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}
