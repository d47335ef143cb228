package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"millrace/internal/lab"
)

// report is all that a bench found, and what it was found on.
type report struct {
	Started time.Time `json:"started"`
	// The machine and the toolchain that the bench ran on.
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	// Commit is that of the source, with "-dirty" when files differ from it.
	Commit string `json:"commit"`
	// Command is the command line of the bench.
	Command []string `json:"command"`
	Rounds  int      `json:"rounds"`
	// WarmUp and Window are those of each run, in seconds.
	WarmUp float64 `json:"warm_up_seconds"`
	Window float64 `json:"window_seconds"`
	Linger int     `json:"linger_ms"`

	Rows   []*row  `json:"rows"`
	Ratios []ratio `json:"ratios"`
	// Peers are other proxies beside millrace.
	Peers []peerRatio `json:"peers"`
	// Goals say of each figure that has one whether it was met.
	Goals []verdict `json:"goals"`
}

// place is what a row was measured at. Rows of one place can be compared.
type place struct {
	Suite string `json:"suite"`
	// Request says what was asked, in the metadata suite.
	Request     string `json:"request,omitempty"`
	Records     int    `json:"records_per_request,omitempty"`
	Connections int    `json:"connections,omitempty"`
	ValueBytes  int    `json:"value_bytes,omitempty"`
	PageBytes   int    `json:"page_bytes,omitempty"`
	// Format is that of the requests; of the Kafka floor, only "avro", whose
	// values are other bytes in Kafka than in a request.
	Format      string `json:"format,omitempty"`
	Compression string `json:"compression,omitempty"`
	// Rate is that of an open loop, in requests a second; 0: a closed one.
	Rate float64 `json:"rate,omitempty"`
}

// of is where the figures of a limit are that p is compared with.
func (p place) of(limit string) place {
	switch {
	case limit == httpFloor:
		p.Compression = "" // nothing is compressed
	case limit == kafkaFloor && p.Format != avroFormat:
		p.Format = ""
	}
	return p
}

// row is one server at one place, over all rounds.
type row struct {
	place
	Server string `json:"server"`
	// Peer is the name of the peer that the row is of; none: it is ours.
	Peer string `json:"peer,omitempty"`
	// Topics and Partitions of each are what a load is spread over; 0 is 1.
	Topics     int `json:"topics,omitempty"`
	Partitions int `json:"partitions,omitempty"`

	Rounds []window `json:"rounds"`
	// Failure says why the row has no figures: a run that lost or doubled a
	// record, or answered an error, is not a measurement.
	Failure string  `json:"failure,omitempty"`
	Figures figures `json:"figures"`
}

// figures are a row's rounds taken together. Other work of the machine, or of its host, can
// only slow a node down: so CPU and rates are of the round that was disturbed least. Latencies
// and allocations are of all rounds.
type figures struct {
	RequestsPerSecond float64 `json:"requests_per_second"`
	RecordsPerSecond  float64 `json:"records_per_second"`
	// CPU per request and per record in microseconds, and how much more CPU a
	// request took in the worst round, as a share.
	CPUPerRequest float64 `json:"cpu_us_per_request"`
	CPUPerRecord  float64 `json:"cpu_us_per_record"`
	Spread        float64 `json:"cpu_spread"`
	// Latencies in milliseconds.
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	// RSS and Peak are the largest of the rounds, in bytes.
	RSS  int64 `json:"rss_bytes"`
	Peak int64 `json:"peak_rss_bytes"`
	// Allocations a request and a record; 0 where they are not known.
	AllocsPerRequest float64 `json:"allocs_per_request,omitempty"`
	AllocsPerRecord  float64 `json:"allocs_per_record,omitempty"`
}

// fail notes the first thing that is wrong with the row's runs.
func (r *row) fail(why string) {
	if r.Failure == "" {
		r.Failure = why
	}
}

// verify fails the row unless every request of the run succeeded and Kafka
// holds just the records that were acknowledged.
func (r *row) verify(w window, held lab.Content) {
	acked := w.Acked.Records
	switch {
	case w.Errors > 0:
		r.fail(fmt.Sprintf("%d requests failed; the first: %s", w.Errors, w.FirstError))
	case held.Records < acked:
		r.fail(fmt.Sprintf("LOST %d of %d acknowledged records", acked-held.Records, acked))
	case held.Records > acked:
		r.fail(fmt.Sprintf("DOUBLED: Kafka holds %d records more than the %d acknowledged", held.Records-acked, acked))
	case held.Sum != w.Acked.Sum:
		r.fail(fmt.Sprintf("CHANGED: Kafka holds other values than those of the %d records acknowledged", acked))
	case w.Requests == 0:
		r.fail("nothing was answered in the window")
	}
}

// sum computes the figures out of the rounds.
func (r *row) sum() {
	if r.Failure != "" || len(r.Rounds) == 0 {
		return
	}
	f := &r.Figures
	var all window
	worst := 0.0
	for i, w := range r.Rounds {
		all.Requests += w.Requests
		all.Records += w.Records
		all.RSS, all.Peak = max(all.RSS, w.RSS), max(all.Peak, w.Peak)
		all.Mallocs += w.Mallocs
		all.Latency.Merge(&w.Latency)
		request, record := perUnit(w.CPU, w.Requests), perUnit(w.CPU, w.Records)
		if i == 0 {
			f.CPUPerRequest, f.CPUPerRecord = request, record
		}
		f.CPUPerRequest, f.CPUPerRecord = min(f.CPUPerRequest, request), min(f.CPUPerRecord, record)
		worst = max(worst, request)
		f.RequestsPerSecond = max(f.RequestsPerSecond, float64(w.Requests)/w.Seconds)
		f.RecordsPerSecond = max(f.RecordsPerSecond, float64(w.Records)/w.Seconds)
	}
	if f.CPUPerRequest > 0 {
		f.Spread = worst/f.CPUPerRequest - 1
	}
	f.P50, f.P99, f.P999 = millis(all.Latency.Quantile(0.5)), millis(all.Latency.Quantile(0.99)), millis(all.Latency.Quantile(0.999))
	f.RSS, f.Peak = all.RSS, all.Peak
	f.AllocsPerRequest = float64(all.Mallocs) / float64(all.Requests)
	if all.Records > 0 {
		f.AllocsPerRecord = float64(all.Mallocs) / float64(all.Records)
	}
}

// perUnit is CPU time in microseconds over a count.
func perUnit(cpu time.Duration, n uint64) float64 {
	if n == 0 {
		return 0
	}
	return float64(cpu.Nanoseconds()) / 1e3 / float64(n)
}

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// describeMachine fills in what the bench runs on.
func (rep *report) describeMachine() {
	rep.Cores = runtime.NumCPU()
	rep.Go = runtime.Version()
	rep.CPU, rep.Kernel = lab.Processor(), lab.Kernel()
	rep.Commit = "unknown"
	if out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output(); err == nil {
		rep.Commit = strings.TrimSpace(string(out))
	}
}

// finish computes figures and ratios. It drops the rounds' latency buckets,
// which would be most of the file.
func (rep *report) finish() {
	for _, r := range rep.Rows {
		r.sum()
		for i := range r.Rounds {
			r.Rounds[i].Latency = lab.Histogram{}
		}
	}
	rep.Ratios = rep.ratios()
	rep.Peers = rep.peerRatios()
	rep.Goals = rep.verdicts()
}

// failed returns the rows that are not measurements.
func (rep *report) failed() (out []*row) {
	for _, r := range rep.Rows {
		if r.Failure != "" {
			out = append(out, r)
		}
	}
	return out
}

// write writes the report as dir/DATE.json and returns the path.
func (rep *report) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the folder of results: %w", err)
	}
	text, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return "", fmt.Errorf("cannot encode the results: %w", err)
	}
	path := filepath.Join(dir, rep.Started.UTC().Format("2006-01-02T150405Z")+".json")
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("cannot write the results: %w", err)
	}
	return path, nil
}
