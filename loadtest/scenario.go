package loadtest

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"millrace/internal/lab"
)

// Scenario is what one run does: flows that run side by side.
type Scenario struct {
	Name  string
	About string
	// Warmup is sent before the figures begin, at each flow's first rate. Its
	// records are verified like all others.
	Warmup time.Duration
	// Duration is how long a flow with a plain rate runs, and one that polls
	// as fast as it is answered. Stages and steps have their own.
	Duration time.Duration
	// Timeout ends a request that was not answered.
	Timeout time.Duration
	// Partitions is for topics that the run creates itself.
	Partitions int
	// Connections caps the requests in flight of a flow that says nothing of
	// its own. Requests that are due beyond it wait, and their wait counts as
	// latency.
	Connections int
	// Doubled and Reordered are how many such records the run may have. A lost
	// one always fails it.
	Doubled, Reordered int
	Flows              []Flow

	// Text is the YAML it came from, for the report.
	Text string
}

// The kinds of a flow.
const (
	Produce  = "produce"
	Consume  = "consume"
	Metadata = "metadata"
)

// Flow is one kind of request at its own rate.
type Flow struct {
	Name string
	// Do is Produce, Consume or Metadata.
	Do string

	Topic   string
	Format  string // json, binary or avro
	Records int    // a produce request
	Keys    int    // distinct keys, 0 for none
	Payload Payload

	Paths []string // of metadata polls, in turn
	// Conditional polls carry the ETag of the path's last answer, so that what
	// did not change is answered 304.
	Conditional bool
	Instances   int // of consumers, each polling as soon as it is answered

	// Stages are the load of an open loop: requests a second over time. With
	// Steps they are made one by one. Closed is a closed loop instead, where
	// each connection sends its next request once it was answered, as consumers
	// always do.
	Stages []lab.Stage
	Steps  *Steps
	Closed bool
	// Connections caps the requests in flight, and of a closed loop is their
	// number.
	Connections int

	Expect Expect
}

// Payload says what the values of produced records are.
type Payload struct {
	Size int // bytes of a generated value, about
	Seed int64
	File string // newline-delimited JSON objects instead, used in turn
	// Schema is a file with the Avro schema of the records in File, whose first
	// field must be a string called _lt.
	Schema string
}

// Steps raise the rate until a step misses the flow's Expect.
type Steps struct {
	Start, Add, Max float64 // requests a second
	Every           time.Duration
}

// Expect is what a flow must hold. Nil and zero values are not checked.
type Expect struct {
	P50, P90, P99, P999, Max time.Duration
	Errors                   *float64 // share of requests, and of records, that failed; 0.01 is 1 %
	// MinRate is in answered requests a second, or with MinRateShare as a
	// share of those that were due.
	MinRate, MinRateShare float64
	// Repeated is how many records a consumer group may be given again.
	Repeated *int
}

// open reports whether the flow sends by the clock, whatever is answered.
func (f *Flow) open() bool { return f.Do != Consume && !f.Closed }

//go:embed scenarios/*.yaml
var builtin embed.FS

// Builtin returns the scenarios that come with the program, by name.
func Builtin() ([]*Scenario, error) {
	files, err := builtin.ReadDir("scenarios")
	if err != nil {
		return nil, fmt.Errorf("cannot list the scenarios: %w", err)
	}
	var out []*Scenario
	for _, f := range files {
		s, err := Load(strings.TrimSuffix(f.Name(), ".yaml"))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Load reads a scenario: a file, or by its bare name one that comes with the
// program. Its errors name every line that is wrong.
func Load(name string) (*Scenario, error) {
	text, err := builtin.ReadFile("scenarios/" + name + ".yaml")
	if err != nil {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the scenario, which is neither a file nor one of %s: %w",
			strings.Join(builtinNames(), ", "), err)
	}
	s, err := parseScenario(text)
	if err != nil {
		return nil, fmt.Errorf("cannot use scenario %s:\n%w", name, err)
	}
	if s.Name == "" {
		s.Name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	}
	// Files are named relative to the scenario, so that both move together.
	for i := range s.Flows {
		p := &s.Flows[i].Payload
		for _, file := range []*string{&p.File, &p.Schema} {
			if *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(filepath.Dir(name), *file)
			}
		}
	}
	return s, nil
}

func builtinNames() (names []string) {
	files, _ := builtin.ReadDir("scenarios")
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	return names
}

// SetDuration makes the scenario take about d: plain rates run for d, stages
// and steps are shortened or stretched in proportion.
func (s *Scenario) SetDuration(d time.Duration) {
	s.Duration = d
	s.Warmup = min(s.Warmup, d/4)
	for i := range s.Flows {
		f := &s.Flows[i]
		if total := stagesTime(f.Stages); total > 0 {
			for j := range f.Stages {
				f.Stages[j].For = time.Duration(float64(f.Stages[j].For) * float64(d) / float64(total))
			}
		}
		if f.Steps != nil {
			f.Steps.Every = d / time.Duration(max(len(f.Steps.stages()), 1))
		}
	}
}

// Topics returns the topics of the flows that produce or consume, each once.
func (s *Scenario) Topics() (topics []string) {
	for _, f := range s.Flows {
		if f.Topic != "" && !slices.Contains(topics, f.Topic) {
			topics = append(topics, f.Topic)
		}
	}
	return topics
}

// stages are the steps up to the highest, each at one rate.
func (st *Steps) stages() (out []lab.Stage) {
	for rate := st.Start; rate <= st.Max; rate += st.Add {
		out = append(out, lab.Stage{From: rate, To: rate, For: st.Every})
	}
	return out
}

func stagesTime(stages []lab.Stage) (total time.Duration) {
	for _, st := range stages {
		total += st.For
	}
	return total
}
