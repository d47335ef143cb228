package tune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// file writes lines to a file.
func file(t *testing.T, lines ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(path, bytes.Join(lines, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var weights = Weights{CPU: 0.04, Network: 0.01, Disk: 0.02}

// TestParkingCitations measures real records from end to end.
func TestParkingCitations(t *testing.T) {
	path := file(t, testkit.ParkingCitations(t)...)
	sample, err := ReadFile(path, 300)
	if err != nil || len(sample.Records) != 300 || len(sample.Notes) != 0 {
		t.Fatalf("%d records, notes %v, %v", len(sample.Records), sample.Notes, err)
	}
	steps, last := 0, 0
	r, err := Run(t.Context(), sample, Options{Rate: 5000, Weights: weights, Progress: func(done, all int) { steps, last = steps+1, all }})
	if err != nil {
		t.Fatal(err)
	}
	if steps != last || steps != 2*len(candidates)*rounds {
		t.Errorf("%d steps of %d", steps, last)
	}
	// 300 records are 115 KB: one batch of 100 KB, six of 16 KiB, none of 1 MB.
	if len(r.Sizes) != 2 || r.Sizes[0].Batches != 6 || r.Sizes[1].Batches != 1 || !r.Sizes[1].Advised {
		t.Fatalf("sizes %+v", r.Sizes)
	}
	if r.Rate != 5000 || r.RateFrom != "given" || r.Replicas != DefaultReplicas || r.RecordBytes < 350 || r.RecordBytes > 400 {
		t.Errorf("%v records/s (%s), %d replicas, %v bytes", r.Rate, r.RateFrom, r.Replicas, r.RecordBytes)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "1 MB were left out") {
		t.Errorf("notes %v", r.Notes)
	}
	for _, s := range r.Sizes {
		for _, row := range s.Rows {
			none := row.Codec == "none"
			if (row.Ratio != 1) == none || row.Ratio < 1 || row.Ratio > 20 || row.Enlarged != 0 {
				t.Errorf("%d, %s: ratio %v, %v enlarged", s.BatchBytes, row.Name, row.Ratio, row.Enlarged)
			}
			if (row.CPU > 0) == none || (row.Compress > 0) == none || (row.Decompress > 0) == none {
				t.Errorf("%d, %s: times %+v", s.BatchBytes, row.Name, row)
			}
			if row.Day.Cost <= 0 {
				t.Errorf("%d, %s: a day costs %v", s.BatchBytes, row.Name, row.Day.Cost)
			}
		}
	}
	if r.Advice.Name == "none" || !strings.HasPrefix(r.Advice.Settings[0], "producer.compression.type=") {
		t.Errorf("advice %+v", r.Advice)
	}
	reports(t, r)
}

// reports writes r in all forms and checks them.
func reports(t *testing.T, r *Report) {
	t.Helper()
	var table, page, text bytes.Buffer
	if err := errors.Join(r.WriteTable(&table), r.WritePage(&page), r.WriteJSON(&text)); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil || back.Advice.Name != r.Advice.Name || len(back.Sizes) != len(r.Sizes) {
		t.Errorf("the JSON does not come back: %v", err)
	}
	for _, c := range candidates {
		if !strings.Contains(table.String(), c.name()) || !strings.Contains(page.String(), c.name()) {
			t.Errorf("%s is not in all reports", c.name())
		}
	}
	if !strings.Contains(table.String(), "Set\n  "+r.Advice.Settings[0]) || !strings.Contains(page.String(), r.Advice.Settings[0]) {
		t.Error("the advice is not in all reports")
	}
	for _, outside := range []string{"http://", "https://", "<script", "url(", "NaN", "Inf", "no value"} {
		if strings.Contains(page.String(), outside) {
			t.Errorf("the page contains %q", outside)
		}
	}
	if n := strings.Count(page.String(), `class="marked"`); n != 1 && r.Advice.Name != "none" {
		t.Errorf("%d settings are marked in the plots", n)
	}
}

// TestNoise measures records that no codec makes smaller.
func TestNoise(t *testing.T) {
	s := &Sample{Source: "noise", Records: varied(60)}
	noise := uint32(1)
	for _, r := range s.Records {
		r.Value = make([]byte, 1000)
		for i := range r.Value {
			noise = noise*1664525 + 1013904223
			r.Value[i] = byte(noise >> 24)
		}
	}
	r, err := Run(t.Context(), s, Options{Weights: weights, BatchBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if r.Advice.Name != "none" || !strings.Contains(r.Advice.Reason, "no codec pays") {
		t.Errorf("advice: %+v", r.Advice)
	}
	if s := r.advised(); len(r.Sizes) != 1 || s.Rows[1].Name != "snappy" || s.Rows[1].Enlarged == 0 {
		t.Errorf("snappy: %+v", s.Rows[1])
	}
	reports(t, r)
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, &Sample{Records: varied(10)}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestReadFile(t *testing.T) {
	s, err := ReadFile(file(t, []byte(` { "a" : [1, "x y"] } `), nil, []byte("\r"), []byte("17")), 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Records) != 2 || string(s.Records[0].Value) != `{"a":[1,"x y"]}` || string(s.Records[1].Value) != "17" {
		t.Errorf("records %v", s.Records)
	}
	if !slices.Equal(s.Notes, []string{"the file holds 2 records, fewer than the sample of 10"}) {
		t.Errorf("notes %v", s.Notes)
	}
	fails := func(path, want string) {
		t.Helper()
		if _, err := ReadFile(path, 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	fails(file(t, []byte(`{}`), []byte(`{"a":}`)), "line 2 is not one JSON value")
	fails(file(t, []byte(`{} {}`)), "line 1 is not one JSON value")
	fails(file(t), "holds no events")
	fails(file(t, bytes.Repeat([]byte(" "), maxLine+1)), "line 1 is longer than")
	fails(filepath.Join(t.TempDir(), "missing"), "cannot read the events")
}

func TestRateAndReplicas(t *testing.T) {
	f := func(s Sample, o Options, rate float64, from string) {
		t.Helper()
		var r Report
		if r.setRate(&s, o); r.Rate != rate || !strings.Contains(r.RateFrom, from) {
			t.Errorf("%v (%s), want %v (%s)", r.Rate, r.RateFrom, rate, from)
		}
	}
	f(Sample{}, Options{}, DefaultRate, "assumed")
	f(Sample{Rate: 7, RateFrom: "measured"}, Options{}, 7, "measured")
	f(Sample{Rate: 7, RateFrom: "measured"}, Options{Rate: 8}, 8, "given")
}

// TestDay checks a day's bill by hand: 1,000 records/s are 86.4 million a day.
func TestDay(t *testing.T) {
	r := Report{Rate: 1000, Replicas: 3, Weights: Weights{CPU: 2, Network: 0.5, Disk: 0.25}}
	d := r.day(&Row{CPU: 10, ReadCPU: 2.5, RecordBytes: 100})
	want := Day{
		CoreHours: 86.4 * (10 + 2*2.5) / 3600, Network: 8.64 * 4, Disk: 8.64 * 3,
		CPUCost: 0.72, NetworkCost: 17.28, DiskCost: 6.48, Cost: 24.48,
	}
	for _, f := range [][2]float64{
		{d.CoreHours, want.CoreHours},
		{d.Network, want.Network},
		{d.Disk, want.Disk},
		{d.CPUCost, want.CPUCost},
		{d.NetworkCost, want.NetworkCost},
		{d.DiskCost, want.DiskCost},
		{d.Cost, want.Cost},
	} {
		if math.Abs(f[0]-f[1]) > 1e-9 {
			t.Errorf("got %+v, want %+v", d, want)
		}
	}
}

func TestAdvice(t *testing.T) {
	row := func(name, codec string, level int, cpu, cost float64) *Row {
		return &Row{Name: name, Codec: codec, Level: level, CPU: cpu, Ratio: 2, Day: Day{Cost: cost}}
	}
	none := row("none", "none", 0, 0, 100)
	f := func(name, change, reason string, rows ...*Row) {
		t.Helper()
		r := Report{Rate: 1, Sizes: []*Size{{BatchBytes: 16 << 10, Rows: rows}, {BatchBytes: 100_000, Advised: true, Rows: append([]*Row{none}, rows...)}}}
		r.advise()
		if r.Advice.Name != name || r.Advice.Change != change || !strings.Contains(r.Advice.Reason, reason) {
			t.Errorf("got %+v, want %s, %s, %q", r.Advice, name, change, reason)
		}
		if n := strings.Count(r.Advice.Reason, ". ") + 1; n != 2 {
			t.Errorf("%d sentences: %s", n, r.Advice.Reason)
		}
	}
	lz4, zstd, best := row("lz4", "lz4", 0, 1, 60), row("zstd 6", "zstd", 6, 4, 50), row("zstd 12", "zstd", 12, 20, 48)
	f("lz4", `{"producer.compression.type":"lz4"}`, "where none costs 100, and the next best codec, zstd 6, 70.0.",
		lz4, row("zstd 6", "zstd", 6, 4, 70))
	f("zstd 6", `{"producer.compression.type":"zstd","producer.compression.zstd.level":6}`, "and the cheapest, zstd 12, 48.0 for 5.00 times the CPU.", lz4, zstd, best)
	f("zstd 12", `{"producer.compression.type":"zstd","producer.compression.zstd.level":12}`, "the next best codec, lz4, 60.0.", lz4, row("zstd 6", "zstd", 6, 4, 53), best)
	f("none", `{"producer.compression.type":"none"}`, "no codec pays: lz4, the least dear one", row("lz4", "lz4", 0, 1, 100.1))
	f("none", `{"producer.compression.type":"none"}`, "no codec pays", row("lz4", "lz4", 0, 1, 95)) // within the margin
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.05: "0.05", 0.0123: "0.012", 1.005: "1.00", 12.34: "12.3", 123.4: "123", 1234.5: "1,235", -12345: "-12,345",
	} {
		if got := digits(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for n, want := range map[int]string{5: "5 B", 1500: "1.5 KB", 16 << 10: "16 KiB", 100_000: "100 KB", 1_000_000: "1 MB", 382_061: "382 KB"} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
