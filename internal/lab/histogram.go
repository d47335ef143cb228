package lab

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// digits of precision give 128 buckets to each doubling: a quantile exceeds
	// the true value by less than 0.8 %.
	digits = 2
	// longest is the longest duration that is told apart; longer ones count as it.
	longest = 24 * time.Hour
)

// Histogram counts durations in an HdrHistogram of nanoseconds. The zero value is
// empty. Its memory grows with the number of buckets in use, because a load test
// has one for each second. A Histogram is not safe for concurrent use: each worker
// fills its own, and they are merged at the end.
type Histogram struct {
	counts *hdrhistogram.PackedHistogram // nil while the histogram is empty
	// max is exact: the largest duration is that of one request, and a reader
	// looks for that request elsewhere.
	max time.Duration
}

// Add counts d; a negative duration counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = min(max(d, 0), longest)
	if err := h.room().RecordValue(int64(d)); err != nil {
		panic("BUG: a duration within the bounds is not counted: " + err.Error())
	}
	h.max = max(h.max, d)
}

// Merge adds the counts of other, which stays as it is.
func (h *Histogram) Merge(other *Histogram) {
	if other.counts == nil {
		return
	}
	if dropped := h.room().Merge(other.counts); dropped > 0 {
		panic(fmt.Sprintf("BUG: %d durations of another histogram do not fit", dropped))
	}
	h.max = max(h.max, other.max)
}

// room returns the counts, made at the first call.
func (h *Histogram) room() *hdrhistogram.PackedHistogram {
	if h.counts == nil {
		h.counts = hdrhistogram.NewPacked(1, int64(longest), digits)
	}
	return h.counts
}

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 {
	if h.counts == nil {
		return 0
	}
	return uint64(h.counts.TotalCount())
}

// Quantile returns the duration that a share q of all does not exceed, 0 when
// there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.counts == nil {
		return 0
	}
	return min(time.Duration(h.counts.ValueAtPercentile(100*q)), h.max)
}

// Mean returns the average duration, 0 when there are none.
func (h *Histogram) Mean() time.Duration {
	if h.counts == nil {
		return 0
	}
	return min(time.Duration(h.counts.Mean()), h.max)
}

// Max returns the longest duration.
func (h *Histogram) Max() time.Duration { return h.max }

// IsZero reports whether the histogram is empty, for omitzero.
func (h *Histogram) IsZero() bool { return h.counts == nil }

// histogramJSON is how a histogram goes from one process to another.
type histogramJSON struct {
	HDR string        `json:"hdr,omitempty"` // V2, as all HdrHistograms read and write it
	Max time.Duration `json:"max_ns"`
}

// MarshalJSON implements [json.Marshaler].
func (h Histogram) MarshalJSON() ([]byte, error) {
	out := histogramJSON{Max: h.max}
	if h.counts != nil {
		text, err := h.counts.Encode()
		if err != nil {
			return nil, fmt.Errorf("cannot encode a histogram: %w", err)
		}
		out.HDR = string(text)
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var in histogramJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return fmt.Errorf("cannot read a histogram: %w", err)
	}
	*h = Histogram{max: in.Max}
	if in.HDR == "" {
		return nil
	}
	counts, err := hdrhistogram.DecodePacked([]byte(in.HDR))
	if err != nil {
		return fmt.Errorf("cannot read a histogram: %w", err)
	}
	h.counts = counts
	return nil
}
