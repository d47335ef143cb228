package tune

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"time"

	"millrace/codec/json"
)

// Defaults of [Options].
const (
	DefaultRate       = 10_000  // records a second
	DefaultBatchBytes = 100_000 // the size that batches reach under a good load
	DefaultReplicas   = 3
)

// These sizes are measured besides the requested or observed one: Java's default batch.size, and
// the batches that a node builds under load, up to producer.max.request.size.
var standardSizes = map[int]string{
	16 << 10:          "as Java's producer by default",
	DefaultBatchBytes: "under a good load",
	1_000_000:         "as large as a node makes them",
}

// Options are the conditions of the advice. Zero fields but Weights mean the measured values, or
// else the defaults above.
type Options struct {
	// Rate is the topic's records a second.
	Rate float64
	// Replicas is how many brokers store each record.
	Replicas int
	// BatchBytes is the size of a batch, before compression, that the advice
	// is for.
	BatchBytes int
	Weights    Weights
	// Progress is called after each step of the measurement with the number of steps; it may be
	// nil.
	Progress func(done, all int)
}

// Report is the result of a run.
type Report struct {
	Source   string    `json:"source"`
	Measured time.Time `json:"measured"`
	// Machine describes the machine of the measurement.
	Machine string `json:"machine"`
	// Records is the size of the sample, RecordBytes their average size in an
	// uncompressed batch, key, headers and framing included.
	Records     int     `json:"records"`
	RecordBytes float64 `json:"record_bytes"`
	// Rate is in records per second; RateFrom is its source.
	Rate     float64  `json:"rate"`
	RateFrom string   `json:"rate_from"`
	Replicas int      `json:"replicas"`
	Stored   *Stored  `json:"stored,omitempty"`
	Weights  Weights  `json:"weights"`
	Notes    []string `json:"notes,omitempty"`
	Advice   Advice   `json:"advice"`
	// Sizes are the measurements by size of batch, in rising order.
	Sizes []*Size `json:"sizes"`
}

// Size is all settings measured at one size of batch.
type Size struct {
	// BatchBytes is the bound up to which batches were filled, Batches their number, Records the
	// records of each on average.
	BatchBytes int     `json:"batch_bytes"`
	Batches    int     `json:"batches"`
	Records    float64 `json:"records_per_batch"`
	// Why explains the choice of the size.
	Why string `json:"why"`
	// Advised is set on the size that the advice is for.
	Advised bool   `json:"advised,omitempty"`
	Rows    []*Row `json:"settings"`
}

// Row is one setting at one size of batch.
type Row struct {
	// Name is short; Codec and Level are those of the settings, Level 0 for
	// the codec's default.
	Name  string `json:"name"`
	Codec string `json:"codec"`
	Level int    `json:"level,omitempty"`
	// Ratio is the size of the batches uncompressed by their size compressed,
	// both with headers.
	Ratio float64 `json:"ratio"`
	// Compress and Decompress are in MB of uncompressed records a second of
	// one core; 0 for none, which costs nothing.
	Compress   float64 `json:"compress_mb_per_cpu_second"`
	Decompress float64 `json:"decompress_mb_per_cpu_second"`
	// CPU and ReadCPU are the seconds of one core to compress and to
	// decompress a million records.
	CPU     float64 `json:"cpu_seconds_per_million_records"`
	ReadCPU float64 `json:"decompress_cpu_seconds_per_million_records"`
	// RecordBytes is the size of a record in a compressed batch, on average.
	RecordBytes float64 `json:"record_bytes"`
	// Enlarged is the share of the batches that did not become smaller and stay uncompressed.
	Enlarged float64 `json:"enlarged"`
	Day      Day     `json:"per_day"`
}

// Run measures every setting at every size of batch and picks one. It takes
// seconds up to a minute, most of it on one core.
func Run(ctx context.Context, s *Sample, o Options) (*Report, error) {
	r := &Report{
		Source: s.Source, Measured: time.Now().Truncate(time.Second), Records: len(s.Records), Stored: s.Stored,
		Machine: fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Weights: o.Weights, Notes: slices.Clone(s.Notes),
	}
	r.setRate(s, o)
	r.Replicas = DefaultReplicas
	if n := max(o.Replicas, 0); n > 0 {
		r.Replicas = n
	} else if s.Replicas > 0 {
		r.Replicas = s.Replicas
	}
	whole := cut(s.Records, 1<<40, r.Rate)[0]
	r.RecordBytes = float64(len(whole.bytes)) / float64(whole.records)
	sizes := r.sizes(o, batchHeader+len(whole.bytes))
	done, all := 0, len(sizes)*len(candidates)*rounds
	for _, size := range sizes {
		batches := cut(s.Records, size.BatchBytes, r.Rate)
		lab := newLaboratory(batches)
		trials, err := lab.measure(ctx, func() {
			if done++; o.Progress != nil {
				o.Progress(done, all)
			}
		})
		if err != nil {
			return nil, err
		}
		size.Batches, size.Records = len(batches), float64(lab.records)/float64(len(batches))
		for _, t := range trials {
			size.Rows = append(size.Rows, r.row(lab, t))
		}
	}
	r.Sizes = sizes
	r.advise()
	return r, nil
}

func (r *Report) setRate(s *Sample, o Options) {
	switch {
	case o.Rate > 0:
		r.Rate, r.RateFrom = o.Rate, "given"
	case s.Rate > 0:
		r.Rate, r.RateFrom = s.Rate, s.RateFrom
	default:
		r.Rate, r.RateFrom = DefaultRate, "assumed, as --rate does not say"
	}
}

// sizes returns the sizes to measure: the standard ones and the one for the advice, none larger
// than a batch of the whole sample.
func (r *Report) sizes(o Options, whole int) []*Size {
	advised := &Size{BatchBytes: DefaultBatchBytes, Why: standardSizes[DefaultBatchBytes], Advised: true}
	switch {
	case o.BatchBytes > 0:
		advised.BatchBytes, advised.Why = o.BatchBytes, "as asked for"
	case r.Stored != nil:
		advised.BatchBytes, advised.Why = batchHeader+r.Stored.Bytes, "as in the topic now"
	}
	if advised.BatchBytes > whole {
		r.Notes = append(r.Notes, fmt.Sprintf("the sample does not fill a batch of %s: one of %s was measured in its place", bytesOf(advised.BatchBytes), bytesOf(whole)))
		advised.BatchBytes = whole
	}
	sizes := []*Size{advised}
	for _, n := range slices.Sorted(maps.Keys(standardSizes)) {
		if n > whole {
			r.Notes = append(r.Notes, fmt.Sprintf("batches of %s were left out: the sample fills only %s", bytesOf(n), bytesOf(whole)))
		} else if n != advised.BatchBytes {
			sizes = append(sizes, &Size{BatchBytes: n, Why: standardSizes[n]})
		}
	}
	slices.SortFunc(sizes, func(a, b *Size) int { return a.BatchBytes - b.BatchBytes })
	return sizes
}

func (r *Report) row(l *laboratory, t *trial) *Row {
	million := 1e6 / float64(l.records)
	row := &Row{
		Name: t.name(), Codec: string(t.codec), Level: t.level,
		Ratio:       float64(l.raw+batchHeader*len(l.batches)) / float64(t.sent),
		CPU:         t.compress.Seconds() * million,
		ReadCPU:     t.decompress.Seconds() * million,
		RecordBytes: float64(t.sent) / float64(l.records),
		Enlarged:    float64(t.enlarged) / float64(len(l.batches)),
	}
	if t.compress > 0 {
		row.Compress = float64(l.raw) / 1e6 / t.compress.Seconds()
	}
	if t.decompress > 0 {
		row.Decompress = float64(l.raw) / 1e6 / t.decompress.Seconds()
	}
	row.Day = r.day(row)
	return row
}

// WriteJSON writes the report as JSON, with figures that are not rounded.
func (r *Report) WriteJSON(w io.Writer) error {
	text, err := json.MarshalIndent(r, "  ")
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}
