package loadtest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// sampleResult has some of everything that a report can show.
func sampleResult(t *testing.T) *Result {
	t.Helper()
	s := scenario(t, `
about: <b>"hostile" & more</b>
flows:
  - {do: produce, records: 10, steps: {start: 10, add: 10, max: 20, every: 2s}, expect: {p99: 5ms, errors: 1%}}
  - {do: metadata, rate: 10, expect: {max: 1h}}
  - {do: consume}
`)
	r := &Result{
		Version: resultVersion, Scenario: "sample", About: s.About, Started: time.Now(), Elapsed: 4, URL: "http://proxy:8082",
		Machine: thisMachine(), Text: s.Text, Warnings: []string{"mind <this>"},
		Verification: &Verification{Complete: true, Acknowledged: 100, Lost: 1, Examples: []string{"x.0.1 is lost"}},
		Process:      &Usage{PID: 1, Cores: .5, CPUSeconds: 2, PeakRSS: 50 << 20, Samples: []UsageSample{{1, .4, 40 << 20}, {2, .6, 50 << 20}}},
		Generator:    &Usage{PID: 2, Cores: .1, Samples: []UsageSample{{1, .1, 1}}},
	}
	for i := range s.Flows {
		f := &flowRun{flow: &s.Flows[i], total: newTally()}
		for n := range 400 {
			at := time.Duration(n) * 10 * time.Millisecond
			o := outcome{ok: true, records: 10}
			if n%100 == 50 {
				o = outcome{failures: []failure{{Status: 503, Code: 50301}}, message: "<script>alert(1)</script>"}
			}
			f.total.add(sample{due: at, end: at + time.Millisecond, latency: time.Duration(n) * 10 * time.Microsecond, service: 100 * time.Microsecond}, o)
		}
		f.total.schedule(400, 400)
		res := f.result(4 * time.Second)
		if f.flow.Steps != nil {
			res.Steps = []StepResult{{Rate: 10, P50: 1, P99: 2, Held: true}, {Rate: 20, P50: 3, P99: 9, Why: "p99 <9 ms>"}}
			res.Held = held(res.Steps)
		}
		switch f.flow.Do {
		case Consume:
			res.Delivery = &Delivery{Group: "the <group>", Delivered: 99, Repeated: 2, Undelivered: 1, Compared: true, Examples: []string{"one was not delivered: <partition> 0"}}
		case Metadata:
			res.Unchanged = res.Answered / 2
		}
		r.Flows = append(r.Flows, res)
	}
	r.judge(s)
	return r
}

func TestReport(t *testing.T) {
	r := sampleResult(t)
	var page bytes.Buffer
	if err := r.WriteReport(&page, sampleResult(t)); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	// The page is written so that it is XML too, which is easily checked.
	dec := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
	}
	if found := regexp.MustCompile(`(?i)\s(src|href|srcset|action)\s*=|url\(|@import|<script|<link|<iframe|<img`).FindString(text); found != "" {
		t.Errorf("the page asks for something from outside: %q", found)
	}
	for _, url := range regexp.MustCompile(`(?i)[a-z]+://[^\s<"]+`).FindAllString(text, -1) {
		if url != "http://proxy:8082" {
			t.Errorf("the page names %s", url)
		}
	}
	for _, want := range []string{
		"failed", "records lost", "1 lost", "&lt;script&gt;", "HTTP 503, error_code 50301", "highest rate that held",
		"Beside an earlier run", "prefers-color-scheme: dark", "Resident memory", "mind &lt;this&gt;", "x.0.1 is lost",
		"What consumers were given", "99 records: 2 repeated, 0 reordered, 0 misplaced, 1 never delivered", "the &lt;group&gt;", "not modified (304)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "%!") {
		t.Error("the page has a number that is none")
	}
	if svgs := strings.Count(text, "<svg "); svgs != 4+1+3+4+2 {
		t.Errorf("the page has %d plots", svgs)
	}
}

// TestEmptyReport is of a run that was ended before anything came of it.
func TestEmptyReport(t *testing.T) {
	f := &flowRun{flow: &Flow{Name: "p", Do: Produce, Records: 2}, total: newTally()}
	r := &Result{Flows: []FlowResult{f.result(0)}}
	var page bytes.Buffer
	if err := r.WriteReport(&page, nil); err != nil {
		t.Fatal(err)
	}
	if text := page.String(); strings.Contains(text, "NaN") || !strings.Contains(text, "Not verified") {
		t.Error(text)
	}
}

func TestResultFile(t *testing.T) {
	r := sampleResult(t)
	file := filepath.Join(t.TempDir(), "r.json")
	var text bytes.Buffer
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := ReadResult(file)
	if err != nil || back.Flows[0].Latency.P99 != r.Flows[0].Latency.P99 || back.Verification.Lost != 1 {
		t.Errorf("%v, %+v", err, back)
	}
	if err := os.WriteFile(file, []byte(`{"version":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadResult(file); err == nil {
		t.Error("a result of another version must be refused")
	}
}

func TestCompare(t *testing.T) {
	was, now := sampleResult(t), sampleResult(t)
	now.Flows[1].Latency.P99 *= 2
	now.Flows[1].Rate *= 1.5
	now.Flows[1].Latency.P50 *= 1.03
	now.Flows[1].Latency.Max, was.Flows[1].Latency.Max = 3, 0
	have := map[string]string{}
	for _, d := range now.compare(was) {
		have[d.What] = d.Change + " " + d.Class
	}
	for what, want := range map[string]string{
		"metadata: p99": "+100 % worse", "metadata: requests": "+50 % better", "metadata: p50": "+3 % ", "metadata: p90": "same ",
		"metadata: max": "from none worse", "produce: highest rate that held": "same ", "proxy: peak memory": "same ",
	} {
		if have[what] != want {
			t.Errorf("%s: %q, want %q", what, have[what], want)
		}
	}
	if len(now.unlike(was)) != 0 {
		t.Error("they are alike")
	}
	was.Text, was.Machine.CPUs = "other", 99
	if len(now.unlike(was)) != 2 {
		t.Errorf("have %v", now.unlike(was))
	}
}

func TestChecks(t *testing.T) {
	none := 0.0
	fig := figures{latency: Latency{P50: 1, P90: 2, P99: 3, P999: 4, Max: 5}, errors: .001, rate: 98, dueRate: 100}
	f := func(e Expect, want string) {
		t.Helper()
		have := ""
		for _, c := range e.against("", fig) {
			if !c.Held {
				have += c.What + " " + c.Want + " was " + c.Have + ";"
			}
		}
		if have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
	f(Expect{}, "")
	ms := time.Millisecond
	f(Expect{P50: ms, P90: 2 * ms, P99: 3 * ms, P999: 4 * ms, Max: 5 * ms, MinRate: 98, MinRateShare: .98}, "")
	f(Expect{P99: 2 * ms, P50: 500 * time.Microsecond}, "p50 ≤ 500 µs was 1 ms;p99 ≤ 2 ms was 3 ms;")
	f(Expect{Errors: &none}, "errors ≤ 0 % was 0.1 %;")
	f(Expect{MinRate: 99}, "rate ≥ 99/s was 98/s;")
	f(Expect{MinRateShare: .99}, "answered in time ≥ 99 % of those due was 98 %;")
}

func TestUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: CPU and memory are only read on Linux")
	}
	now := time.Now()
	m, err := newUsageMeter(os.Getpid(), now.Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	m.first -= 300 * time.Millisecond // as if that had been used in the second
	m.cpu = m.first
	m.sample(now)
	u := m.usage()
	if len(u.Samples) != 1 || u.CPUSeconds < .3 || u.Cores < .3 || u.Samples[0].Cores < .3 || u.PeakRSS < 1<<20 {
		t.Errorf("%+v", u)
	}
	if _, err := newUsageMeter(-1, time.Now()); err == nil {
		t.Error("there is no process -1")
	}
}

func TestUnits(t *testing.T) {
	f := func(have, want string) {
		t.Helper()
		if have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
	f(showMs(0.25), "250 µs")
	f(showMs(1.234), "1.23 ms")
	f(showMs(999.4), "999 ms")
	f(showMs(12345), "12.3 s")
	f(showCount(12), "12")
	f(showCount(0.5), "0.5")
	f(showCount(9999.7), "10.0k")
	f(showCount(25000), "25k")
	f(showCount(12345678), "12.3M")
	f(showShare(0), "0 %")
	f(showShare(.00001), "< 0.01 %")
	f(showShare(.99996), "> 99.99 %")
	f(showShare(.125), "12.5 %")
	f(showShare(1), "100 %")
	f(showBytes(1536), "1.50 KiB")
}
