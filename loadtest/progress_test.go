package loadtest

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
)

// watchedRun is a run whose second second is shown: of 30 requests 20 were
// answered with 5 records each, 10 failed, and 3 are under way.
func watchedRun() (flows []*flowRun, meters []*usageMeter) {
	f := &flowRun{flow: &Flow{Name: "clicks", Do: Produce, Records: 5, Topic: "t", Format: "json"}, total: newTally()}
	for i := range 30 {
		o := outcome{ok: i < 20, records: 5}
		if !o.ok {
			o = outcome{failures: []failure{{Status: 503}}}
		}
		f.total.add(sample{due: 100 * time.Millisecond, end: 1200 * time.Millisecond, latency: 20 * time.Millisecond}, o)
	}
	f.began.Store(33)
	f.finished.Store(30)
	polls := &flowRun{flow: &Flow{Name: "polls", Do: Metadata}, total: newTally()}
	proxy := &usageMeter{samples: []UsageSample{{Cores: 0.5, RSS: 32 << 20}}}
	return []*flowRun{f, polls}, []*usageMeter{{}, proxy}
}

// Without a terminal a line is plain text, and complete.
func TestProgressPlain(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(Options{Progress: &out})
	flows, meters := watchedRun()
	p.head(&Scenario{Name: "s", Flows: []Flow{*flows[0].flow}}, "http://proxy", "id")
	p.note("warming up")
	p.line(2*time.Second, flows, meters)
	want := `s against http://proxy, run id
  clicks     5 json records a request to t, 
warming up
   2 s  │ clicks 10/s 50 rec/s p99 20 ms in flight 3 failed 5/s  │ polls 0/s  │ proxy 0.50 cores 32 MiB
`
	if out.String() != want {
		t.Errorf("have %q\nwant %q", out.String(), want)
	}
	out.Reset()
	p.line(3*time.Second, flows, meters)
	if got := out.String(); !strings.HasPrefix(got, "   3 s  │ clicks 0/s 0 rec/s in flight 3  │") {
		t.Errorf("nothing more happened in the next second: %q", got)
	}
}

// In a terminal what failed stands out, and without the colours it is the same
// line.
func TestProgressColoured(t *testing.T) {
	var plain, coloured bytes.Buffer
	flows, meters := watchedRun()
	newProgress(Options{Progress: &plain}).line(2*time.Second, flows, meters)
	newProgress(Options{Progress: &coloured, Color: true}).line(2*time.Second, flows, meters)
	if !strings.Contains(coloured.String(), "\x1b[31m failed 5/s\x1b[0m") {
		t.Errorf("have %q", coloured.String())
	}
	if without := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(coloured.String(), ""); without != plain.String() {
		t.Errorf("have %q\nwant %q", without, plain.String())
	}
}
