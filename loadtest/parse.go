package loadtest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"millrace/internal/lab"
)

// defaultTopic is where records go when a scenario does not say.
const defaultTopic = "loadtest"

// flowText is a flow as it stands in the file, before stages are made of it.
type flowText struct {
	Flow
	node     *yaml.Node
	expect   *yaml.Node
	rate     float64 // 0 for as fast as it is answered
	steps    Steps
	hasSteps bool
}

// parseScenario reads the YAML of a scenario. The error has a line for each
// fault.
func parseScenario(text []byte) (*Scenario, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("it is not YAML: %w", err)
	}
	if len(doc.Content) == 0 {
		return nil, fmt.Errorf("it is empty")
	}
	s := &Scenario{
		Warmup: time.Second, Duration: 20 * time.Second, Timeout: 10 * time.Second,
		Partitions: 1, Connections: 1024, Text: string(text),
	}
	r := &reader{}
	var flows []*flowText
	r.mapping(doc.Content[0], "the scenario", fields{
		"name":        r.text(&s.Name),
		"about":       r.text(&s.About),
		"warmup":      r.duration(&s.Warmup),
		"duration":    r.duration(&s.Duration),
		"timeout":     r.duration(&s.Timeout),
		"partitions":  r.integer(&s.Partitions, 1, 10000),
		"connections": r.integer(&s.Connections, 1, 100000),
		"doubled":     r.integer(&s.Doubled, 0, math.MaxInt32),
		"reordered":   r.integer(&s.Reordered, 0, math.MaxInt32),
		"flows": func(n *yaml.Node) {
			r.list(n, "flows", func(n *yaml.Node) { flows = append(flows, r.flow(n, fmt.Sprintf("flow %d", len(flows)+1))) })
		},
	})
	if len(flows) == 0 && len(r.errs) == 0 {
		r.fail(doc.Content[0], "the scenario has no flows")
	}
	if s.Duration == 0 || s.Timeout == 0 {
		r.fail(doc.Content[0], "duration and timeout must be more than nothing")
	}
	names := map[string]bool{}
	for _, f := range flows {
		r.finish(f, s)
		if names[f.Name] {
			r.fail(f.node, "two flows are called %q: give one of them a name", f.Name)
		}
		names[f.Name] = true
		s.Flows = append(s.Flows, f.Flow)
	}
	return s, r.err()
}

func (r *reader) flow(n *yaml.Node, what string) *flowText {
	f := &flowText{node: n, Flow: Flow{
		Topic: defaultTopic, Format: "json", Records: 1, Instances: 1, Paths: []string{"/topics"},
		Payload: Payload{Size: 200, Seed: 1},
	}}
	set := map[string]*yaml.Node{}
	note := func(name string, read func(*yaml.Node)) func(*yaml.Node) {
		return func(n *yaml.Node) { set[name] = n; read(n) }
	}
	r.mapping(n, what, fields{
		"name":        r.text(&f.Name),
		"do":          r.choice(&f.Do, Produce, Consume, Metadata),
		"topic":       note("topic", r.text(&f.Topic)),
		"format":      note("format", r.format(&f.Format)),
		"records":     note("records", r.integer(&f.Records, 1, 100000)),
		"keys":        note("keys", r.integer(&f.Keys, 0, 10000000)),
		"payload":     note("payload", func(n *yaml.Node) { r.payload(n, &f.Payload) }),
		"conditional": note("conditional", r.flag(&f.Conditional)),
		"paths":       note("paths", func(n *yaml.Node) { f.Paths = nil; r.list(n, "paths", r.path(&f.Paths)) }),
		"instances":   note("instances", r.integer(&f.Instances, 1, 10000)),
		"connections": note("connections", r.integer(&f.Connections, 1, 100000)),
		"rate":        note("rate", r.rateOrMax(&f.rate, &f.Closed)),
		"stages":      note("stages", func(n *yaml.Node) { r.list(n, "stages", r.stage(&f.Stages)) }),
		"steps":       note("steps", func(n *yaml.Node) { f.hasSteps = true; r.stepsOf(n, &f.steps) }),
		"expect":      func(n *yaml.Node) { f.expect = n; r.expect(n, &f.Expect) },
	})
	allowed := map[string]string{
		Produce:  "topic format records keys payload rate stages steps connections",
		Consume:  "topic format instances",
		Metadata: "paths conditional rate stages steps connections",
	}[f.Do]
	for name, node := range set {
		if f.Do != "" && !strings.Contains(" "+allowed+" ", " "+name+" ") {
			r.fail(node, "%s is not for a flow that does %s; there are name, expect, %s", name, f.Do, strings.ReplaceAll(allowed, " ", ", "))
		}
	}
	return f
}

// finish fills in what follows from the rest, and checks what hangs together.
func (r *reader) finish(f *flowText, s *Scenario) {
	if f.Do == "" {
		r.fail(f.node, "a flow needs do: %s, %s or %s", Produce, Consume, Metadata)
		return
	}
	if f.Name == "" {
		f.Name = f.Do
	}
	if f.Do == Metadata {
		f.Topic = ""
	}
	if f.Expect.Repeated != nil && f.Do != Consume {
		r.fail(f.expect, "flow %s: repeated is for consumers; copies of produced records are the scenario's doubled", f.Name)
	}
	if f.Do == Consume {
		return
	}
	if f.Connections == 0 && !f.Closed {
		f.Connections = s.Connections
	}
	if (f.Payload.Schema != "") != (f.Payload.File != "" && f.Format == "avro") {
		r.fail(f.node, "flow %s: a payload file in the format avro needs a schema, and nothing else has one", f.Name)
	}
	ways := 0
	if len(f.Stages) > 0 {
		ways++
	}
	if f.rate > 0 {
		ways++
		f.Stages = []lab.Stage{{From: f.rate, To: f.rate, For: s.Duration}}
	}
	if f.Closed {
		ways++
		r.closedLoop(f)
	}
	if f.hasSteps {
		ways++
		f.Steps = &f.steps
	}
	if f.hasSteps && f.Expect == (Expect{}) {
		r.fail(f.node, "flow %s: steps need an expect, by which a step is judged", f.Name)
	}
	if ways != 1 && len(r.errs) == 0 {
		r.fail(f.node, "flow %s needs exactly one of rate, stages and steps", f.Name)
	}
}

// closedLoop checks a flow whose rate is max.
func (r *reader) closedLoop(f *flowText) {
	if f.Connections == 0 {
		r.fail(f.node, "flow %s: rate max needs connections, the number of requests that are under way at all times", f.Name)
	}
	if f.Expect.MinRateShare > 0 {
		r.fail(f.expect, "flow %s: at rate max nothing is due, so that rate in expect must be a number of requests a second", f.Name)
	}
}

// format refuses what other proxies know and this tool does not make yet.
func (r *reader) format(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch *to = n.Value; n.Value {
		case "json", "binary", "avro":
		case "jsonschema", "protobuf":
			r.fail(n, "format %s cannot be made by loadtest yet; allowed are json, binary, avro", n.Value)
		default:
			r.fail(n, "%q is no format; allowed are json, binary, avro", n.Value)
		}
	}
}

func (r *reader) payload(n *yaml.Node, p *Payload) {
	var seed int
	r.mapping(n, "payload", fields{
		"size":   r.integer(&p.Size, minPayload, 10<<20),
		"seed":   r.integer(&seed, 0, math.MaxInt32),
		"file":   r.text(&p.File),
		"schema": r.text(&p.Schema),
	})
	if seed != 0 {
		p.Seed = int64(seed)
	}
}

func (r *reader) path(to *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if !strings.HasPrefix(n.Value, "/") {
			r.fail(n, "path %q must begin with /", n.Value)
		}
		*to = append(*to, n.Value)
	}
}

func (r *reader) stage(to *[]lab.Stage) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var st lab.Stage
		r.mapping(n, "a stage", fields{"rate": r.rate(&st.From), "to": r.rate(&st.To), "for": r.duration(&st.For)})
		if st.From == 0 || st.For == 0 {
			r.fail(n, "a stage needs rate and for; to makes it a ramp")
		}
		if st.To == 0 {
			st.To = st.From
		}
		*to = append(*to, st)
	}
}

func (r *reader) stepsOf(n *yaml.Node, st *Steps) {
	r.mapping(n, "steps", fields{
		"start": r.rate(&st.Start), "add": r.rate(&st.Add), "max": r.rate(&st.Max), "every": r.duration(&st.Every),
	})
	switch {
	case st.Start == 0 || st.Add == 0 || st.Max < st.Start || st.Every == 0:
		r.fail(n, "steps need start, add, every, and max that is no less than start")
	case (st.Max-st.Start)/st.Add > 1000:
		r.fail(n, "these are more than 1000 steps")
	}
}

func (r *reader) expect(n *yaml.Node, e *Expect) {
	r.mapping(n, "expect", fields{
		"p50": r.duration(&e.P50), "p90": r.duration(&e.P90), "p99": r.duration(&e.P99),
		"p99.9": r.duration(&e.P999), "max": r.duration(&e.Max),
		"errors":   func(n *yaml.Node) { e.Errors = new(float64); r.share(e.Errors)(n) },
		"repeated": func(n *yaml.Node) { e.Repeated = new(int); r.integer(e.Repeated, 0, math.MaxInt32)(n) },
		"rate": func(n *yaml.Node) {
			if strings.HasSuffix(n.Value, "%") {
				r.share(&e.MinRateShare)(n)
				return
			}
			if v, err := strconv.ParseFloat(strings.TrimSuffix(n.Value, "/s"), 64); err != nil || !(v > 0) {
				r.fail(n, "%q must be answered requests a second, or a share of those due, such as 99%%", n.Value)
			} else {
				e.MinRate = v
			}
		},
	})
}
