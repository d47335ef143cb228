package loadtest

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"millrace/codec/json"
	"millrace/internal/lab"
)

// resultVersion changes when a reader of old results would misread new ones.
const resultVersion = 1

// Result is the outcome of a run. Its JSON is what -compare reads; times are in milliseconds
// where the name has them, rates per second, shares from 0 to 1.
type Result struct {
	Version  int       `json:"version"`
	Scenario string    `json:"scenario"`
	About    string    `json:"about,omitempty"`
	Run      string    `json:"run"`
	Started  time.Time `json:"started"`
	// Elapsed is from the beginning of the figures to the last answer to a
	// flow that does not consume.
	Elapsed  float64      `json:"elapsed_seconds"`
	URL      string       `json:"url"`
	Machine  Machine      `json:"machine"`
	Pass     bool         `json:"pass"`
	Checks   []Check      `json:"checks"`
	Warnings []string     `json:"warnings,omitempty"`
	Flows    []FlowResult `json:"flows"`
	// Verification is nil when nothing was read back.
	Verification *Verification `json:"verification,omitempty"`
	// Process is the proxy under test, if it runs here; Generator is this
	// program.
	Process   *Usage `json:"process,omitempty"`
	Generator *Usage `json:"generator,omitempty"`
	// Text is the scenario as it was read.
	Text string `json:"scenario_yaml"`
}

// Machine is where the load came from.
type Machine struct {
	OS   string `json:"os"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

func thisMachine() Machine {
	return Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
}

// FlowResult holds the figures of one flow.
type FlowResult struct {
	Name string `json:"name"`
	Do   string `json:"do"`
	Load string `json:"load"`
	// Open says that requests were sent by the clock; otherwise each waited
	// for the answer before it.
	Open bool `json:"open_loop"`

	Due      uint64 `json:"requests_due"`
	Answered uint64 `json:"requests_answered"`
	Failed   uint64 `json:"requests_failed"`
	Unsent   uint64 `json:"requests_never_sent"`
	// Unchanged ones of the answered ones were answered 304.
	Unchanged uint64 `json:"requests_not_modified,omitempty"`
	Records   uint64 `json:"records"`
	// FailedRecords were refused in an answer that was otherwise good.
	FailedRecords uint64  `json:"records_failed"`
	BytesOut      uint64  `json:"bytes_out"`
	BytesIn       uint64  `json:"bytes_in"`
	ErrorRate     float64 `json:"error_rate"`

	DueRate    float64 `json:"due_rate"`
	Rate       float64 `json:"rate"`
	RecordRate float64 `json:"record_rate"`

	// Latency counts from the time a request was due, to the end for one that
	// was never sent; Service from when a worker picked it up: what a closed
	// loop, and plain vegeta, would show.
	Latency Latency `json:"latency"`
	Service Latency `json:"service"`

	// Delivery is nil for flows that do not consume.
	Delivery *Delivery `json:"delivery,omitempty"`

	Errors  []ErrorCount   `json:"errors,omitempty"`
	Seconds []SecondResult `json:"seconds"`
	Steps   []StepResult   `json:"steps,omitempty"`
	// Held is the highest rate of the steps that held; 0 if none did.
	Held float64 `json:"held_rate,omitempty"`
}

// Latency is a distribution, in milliseconds.
type Latency struct {
	Mean float64 `json:"mean_ms"`
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P95  float64 `json:"p95_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p99_9_ms"`
	Max  float64 `json:"max_ms"`
	// Curve is the distribution for a plot: latencies at rising percentiles.
	Curve []CurvePoint `json:"curve"`
}

// CurvePoint is the latency that a share Quantile of the requests kept.
type CurvePoint struct {
	Quantile float64 `json:"q"`
	Ms       float64 `json:"ms"`
}

// ErrorCount is how often one error came.
type ErrorCount struct {
	Status  int    `json:"status,omitempty"`
	Code    int    `json:"error_code,omitempty"`
	What    string `json:"what"`
	Message string `json:"message,omitempty"`
	Count   uint64 `json:"count"`
}

// SecondResult is one second of a flow.
type SecondResult struct {
	Due     uint64  `json:"due"`
	Done    uint64  `json:"done"`
	Failed  uint64  `json:"failed"`
	Records uint64  `json:"records"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

// StepResult is one step of a flow with steps.
type StepResult struct {
	Rate      float64 `json:"rate"`
	Answered  float64 `json:"answered_rate"`
	Records   float64 `json:"record_rate"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	ErrorRate float64 `json:"error_rate"`
	Held      bool    `json:"held"`
	Why       string  `json:"why,omitempty"`
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// distribution turns a histogram into the figures of a report.
func distribution(h *lab.Histogram) Latency {
	n := float64(h.Count())
	l := Latency{
		Mean: ms(h.Mean()), P50: ms(h.Quantile(.5)), P90: ms(h.Quantile(.9)), P95: ms(h.Quantile(.95)),
		P99: ms(h.Quantile(.99)), P999: ms(h.Quantile(.999)), Max: ms(h.Max()),
	}
	// As many points to each further nine: 0…90, 90…99, 99…99.9 and so on, up
	// to where a single request makes the difference.
	for left := 1.0; n > 0 && left*n >= 1; left *= 0.8912509 /* 10^(-1/20) */ {
		l.Curve = append(l.Curve, CurvePoint{1 - left, ms(h.Quantile(1 - left))})
	}
	if n > 0 {
		l.Curve = append(l.Curve, CurvePoint{1 - 1/(n+1), ms(h.Max())})
	}
	return l
}

// result makes the figures of a flow that took at least length.
func (f *flowRun) result(length time.Duration) FlowResult {
	errorRate := f.total.errorRate()
	t := f.total
	t.mu.Lock()
	defer t.mu.Unlock()
	r := FlowResult{
		Name: f.flow.Name, Do: f.flow.Do, Load: f.flow.load(), Open: f.flow.open(),
		Due: max(t.scheduled, t.answered+t.failed), Answered: t.answered, Unchanged: t.unchanged, Failed: t.failed,
		Records: t.records, FailedRecords: t.failedRecords, BytesOut: t.bytesOut, BytesIn: t.bytesIn,
		ErrorRate: errorRate, Latency: distribution(&t.latency), Service: distribution(&t.service),
	}
	r.Unsent = r.Due - r.Answered - r.Failed
	took := length
	if f.flow.Do != Consume { // whose last polls wait in vain
		took = max(length, t.lastEnd)
	}
	if took := took.Seconds(); took > 0 {
		r.Rate, r.RecordRate = float64(r.Answered)/took, float64(r.Records)/took
	}
	if length > 0 {
		r.DueRate = float64(r.Due) / length.Seconds()
	}
	for i := range t.seconds {
		s := &t.seconds[i]
		r.Seconds = append(r.Seconds, SecondResult{
			Due: s.due, Done: s.done, Failed: s.failed, Records: s.records,
			P50: ms(s.latency.Quantile(.5)), P99: ms(s.latency.Quantile(.99)),
		})
	}
	for k, c := range t.failures {
		r.Errors = append(r.Errors, ErrorCount{Status: k.Status, Code: k.Code, What: k.what(), Message: c.message, Count: c.count})
	}
	slices.SortFunc(r.Errors, func(a, b ErrorCount) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.What, b.What))
	})
	return r
}

// perRequest divides CPU times by requests, where these are of one kind.
func (r *Result) perRequest() {
	if len(r.Flows) != 1 || r.Flows[0].Answered == 0 {
		return
	}
	for _, u := range []*Usage{r.Process, r.Generator} {
		if u != nil {
			u.PerRequest = u.CPUSeconds * 1e6 / float64(r.Flows[0].Answered)
		}
	}
}

// what names a failure for people.
func (k failure) what() string {
	switch {
	case k.Record:
		return fmt.Sprintf("record refused, error_code %d", k.Code)
	case k.Status == 0:
		return k.Kind
	case k.Kind != "":
		return fmt.Sprintf("HTTP %d, %s", k.Status, k.Kind)
	case k.Code != 0 && k.Code != k.Status:
		return fmt.Sprintf("HTTP %d, error_code %d", k.Status, k.Code)
	default:
		return fmt.Sprintf("HTTP %d", k.Status)
	}
}

// WriteJSON writes the result for machines, and for a later comparison.
func (r *Result) WriteJSON(w io.Writer) error {
	text, err := json.MarshalIndent(r, " ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// ReadResult reads what WriteJSON wrote.
func ReadResult(file string) (*Result, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the earlier result: %w", err)
	}
	var r Result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("cannot read the earlier result %s: %w", file, err)
	}
	if r.Version != resultVersion {
		return nil, fmt.Errorf("cannot compare with %s: it has version %d, not %d", file, r.Version, resultVersion)
	}
	return &r, nil
}
