package loadtest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/internal/lab"
)

func TestBuiltinScenarios(t *testing.T) {
	all, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		if s.About == "" || len(s.Flows) == 0 {
			t.Errorf("%s says nothing about itself, or does nothing", s.Name)
		}
		s.SetDuration(2 * time.Second)
		for _, f := range s.Flows {
			total := stagesTime(f.Stages)
			if f.Steps != nil {
				total = stagesTime(f.Steps.stages())
			}
			if f.open() && (total < 1900*time.Millisecond || total > 2100*time.Millisecond) {
				t.Errorf("%s: flow %s takes %v of 2s", s.Name, f.Name, total)
			}
		}
	}
	if want := []string{"avro", "consume", "mixed", "polling", "produce-1000x16", "produce-100x32", "produce-10x64", "produce-1x64", "steps"}; !reflect.DeepEqual(names, want) {
		t.Errorf("have %v, want %v", names, want)
	}
}

func TestScenario(t *testing.T) {
	s := scenario(t, `
name: n
duration: 1m
doubled: 3
flows:
  - do: produce
    format: binary
    keys: 7
    payload: {size: 500, seed: 9}
    stages: [{rate: 30/m, for: 10s}, {rate: 10, to: 20, for: 2s}]
    expect: {p50: 1ms, p90: 2ms, p99: 3ms, p99.9: 4ms, max: 5ms, errors: 0.5%, rate: 99%}
  - {name: m, do: metadata, paths: [/a, /b], rate: 5/s, expect: {rate: 4.5/s}}
  - {do: consume, topic: x, instances: 3, expect: {repeated: 2}}
  - {name: closed, do: metadata, rate: max, connections: 5, conditional: true}
`)
	half, two := 0.005, 2
	want := []Flow{
		{
			Name: "produce", Do: Produce, Topic: "loadtest", Format: "binary", Records: 1, Keys: 7, Payload: Payload{Size: 500, Seed: 9},
			Paths: []string{"/topics"}, Instances: 1, Connections: 1024,
			Stages: []lab.Stage{{From: .5, To: .5, For: 10 * time.Second}, {From: 10, To: 20, For: 2 * time.Second}},
			Expect: Expect{
				P50: time.Millisecond, P90: 2 * time.Millisecond, P99: 3 * time.Millisecond, P999: 4 * time.Millisecond, Max: 5 * time.Millisecond,
				Errors: &half, MinRateShare: .99,
			},
		},
		{
			Name: "m", Do: Metadata, Format: "json", Records: 1, Payload: Payload{Size: 200, Seed: 1}, Paths: []string{"/a", "/b"}, Instances: 1, Connections: 1024,
			Stages: []lab.Stage{{From: 5, To: 5, For: time.Minute}}, Expect: Expect{MinRate: 4.5},
		},
		{
			Name: "consume", Do: Consume, Topic: "x", Format: "json", Records: 1, Payload: Payload{Size: 200, Seed: 1}, Paths: []string{"/topics"}, Instances: 3,
			Expect: Expect{Repeated: &two},
		},
		{
			Name: "closed", Do: Metadata, Format: "json", Records: 1, Payload: Payload{Size: 200, Seed: 1}, Paths: []string{"/topics"}, Conditional: true,
			Instances: 1, Closed: true, Connections: 5,
		},
	}
	if !reflect.DeepEqual(s.Flows, want) {
		t.Errorf("have %+v\nwant %+v", s.Flows, want)
	}
	if s.Doubled != 3 || s.Duration != time.Minute || !reflect.DeepEqual(s.Topics(), []string{"loadtest", "x"}) {
		t.Errorf("have %+v", s)
	}
}

// TestScenarioFaults wants for each fault its line and what would be right.
func TestScenarioFaults(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := parseScenario([]byte(text))
		if err == nil {
			t.Errorf("accepted:\n%s", text)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("want %q in the error of:\n%s\nhave: %v", w, text, err)
			}
		}
	}
	f("", "empty")
	f("a: [", "not YAML", "line 1")
	f("- a", "line 1", "the scenario must be a mapping with some of: about, connections")
	f("name: x", "no flows")
	f("flows: []", "line 1: flows must be a list")
	f("durration: 1s\nflows: [{do: metadata, rate: 1}]", `line 1: unknown setting "durration" of the scenario; allowed are about, connections, doubled, duration, flows,`)
	f("flows:\n  - do: produce\n    recrods: 3\n    rate: 1", `line 3: unknown setting "recrods" of flow 1; allowed are conditional, connections, do, expect, format, instances, keys, name,`)
	f("flows:\n  - do: eat\n    rate: 1", `line 2: "eat" is not known here; allowed are produce, consume, metadata`)
	f("flows:\n  - rate: 1", "line 2: a flow needs do: produce, consume or metadata")
	f("flows:\n  - do: produce\n    format: protobuf\n    rate: 1", "line 3: format protobuf cannot be made by loadtest yet; allowed are json, binary, avro")
	f("flows:\n  - do: produce\n    format: avro\n    payload: {file: a}\n    rate: 1", "needs a schema")
	f("flows:\n  - do: produce\n    format: xml\n    rate: 1", `line 3: "xml" is no format`)
	f("flows:\n  - do: produce\n    rate: fast", `line 3: "fast" must be requests a second`)
	f("flows:\n  - do: produce\n    rate: -1", "line 3")
	f("flows:\n  - do: produce\n    rate: NaN", "line 3")
	f("flows:\n  - do: produce", "line 2: flow produce needs exactly one of rate, stages and steps")
	f("flows:\n  - do: produce\n    rate: 1\n    stages: [{rate: 1, for: 1s}]", "exactly one of")
	f("flows:\n  - do: produce\n    rate: 1\n    rate: 2", "line 4: rate is set twice")
	f("flows:\n  - do: metadata\n    rate: 1\n    keys: 3", "line 4: keys is not for a flow that does metadata; there are name, expect, paths, conditional, rate, stages, steps, connections")
	f("flows:\n  - do: consume\n    rate: 1", "line 3: rate is not for a flow that does consume")
	f("flows:\n  - do: metadata\n    rate: 1\n    paths: [topics]", `line 4: path "topics" must begin with /`)
	f("flows:\n  - do: produce\n    stages: [{rate: 1}]", "line 3: a stage needs rate and for")
	f("flows:\n  - do: produce\n    steps: {start: 9, add: 1, max: 3, every: 1s}\n    expect: {p99: 1s}", "line 3: steps need start, add, every, and max that is no less than start")
	f("flows:\n  - do: produce\n    steps: {start: 1, add: 1, max: 3, every: 1s}", "steps need an expect")
	f("flows:\n  - do: produce\n    rate: 1\n    expect: {p98: 1s}", `unknown setting "p98" of expect; allowed are errors, max, p50, p90, p99, p99.9, rate`)
	f("flows:\n  - do: produce\n    rate: 1\n    expect: {p99: 100}", `line 4: "100" must be a time with its unit`)
	f("flows:\n  - do: produce\n    rate: 1\n    expect: {errors: 200%}", `line 4: "200%" must be a share`)
	f("flows:\n  - do: produce\n    rate: 1\n    payload: {size: 3}", `line 4: "3" must be a whole number from 150`)
	f("flows:\n  - {do: metadata, rate: 1}\n  - {do: metadata, rate: 2}", `line 3: two flows are called "metadata"`)
	f("flows:\n  - {do: produce, rate: max}", "line 2: flow produce: rate max needs connections")
	f("flows:\n  - {do: produce, rate: max, connections: 3, expect: {rate: 99%}}", "line 2: flow produce: at rate max nothing is due")
	f("flows:\n  - {do: produce, rate: 1, expect: {repeated: 3}}", "line 2: flow produce: repeated is for consumers")
	f("flows:\n  - {do: metadata, rate: 1, conditional: often}", `line 2: "often" must be true or false`)
	// All at once.
	f("warmup: x\nflows:\n  - do: produce\n    records: 0\n    rate: 1", "line 1", "line 4")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(file, []byte("flows: [{do: produce, rate: 1, payload: {file: events.ndjson}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(file)
	if err != nil || s.Name != "mine" || s.Flows[0].Payload.File != filepath.Join(dir, "events.ndjson") {
		t.Errorf("%v, %+v", err, s)
	}
	if _, err := Load("nothing-like-it"); err == nil || !strings.Contains(err.Error(), "produce-10x64, produce-1x64") {
		t.Errorf("the error must name what there is: %v", err)
	}
}
