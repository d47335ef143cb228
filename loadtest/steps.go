package loadtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"millrace/internal/lab"
)

// step runs one step after the other until one does not hold what the flow
// expects. Each begins when all answers of the one before are in, so that none
// pays for another's queue.
func (f *flowRun) step(ctx context.Context, start time.Time) (out []StepResult, err error) {
	expect := f.flow.Expect
	expect.MinRate = 0 // that one is for the whole run: see stepsCheck
	for _, stage := range f.flow.Steps.stages() {
		began := time.Since(start)
		t := newTally()
		if err := f.open(ctx, []lab.Stage{stage}, start, f.total, t); err != nil {
			return out, err
		}
		took := max(stage.For, t.lastEnd-began).Seconds()
		res := StepResult{
			Rate: stage.From, Answered: float64(t.answered) / took, Records: float64(t.records) / took,
			P50: ms(t.latency.Quantile(.5)), P99: ms(t.latency.Quantile(.99)), ErrorRate: t.errorRate(), Held: true,
		}
		fig := figures{distribution(&t.latency), res.ErrorRate, res.Answered, float64(t.scheduled) / stage.For.Seconds()}
		var why []string
		for _, c := range expect.against("", fig) {
			if !c.Held {
				res.Held = false
				why = append(why, fmt.Sprintf("%s %s, wanted %s", c.What, c.Have, c.Want))
			}
		}
		res.Why = strings.Join(why, "; ")
		if out = append(out, res); !res.Held {
			return out, nil
		}
	}
	return out, nil
}

// held is the highest rate of steps that held.
func held(steps []StepResult) (rate float64) {
	for _, s := range steps {
		if s.Held {
			rate = max(rate, s.Rate)
		}
	}
	return rate
}

// load says in a few words what a flow sends.
func (f *Flow) load() string {
	if f.Do == Consume {
		return fmt.Sprintf("%d consumers, each polling as soon as it is answered", f.Instances)
	}
	if f.Closed {
		return fmt.Sprintf("%d connections, each sending as soon as it is answered", f.Connections)
	}
	if st := f.Steps; st != nil {
		return fmt.Sprintf("from %s/s by %s/s every %v, up to %s/s", showCount(st.Start), showCount(st.Add), st.Every, showCount(st.Max))
	}
	var parts []string
	for _, st := range f.Stages {
		if st.From == st.To {
			parts = append(parts, fmt.Sprintf("%s/s for %v", showCount(st.From), st.For))
		} else {
			parts = append(parts, fmt.Sprintf("%s/s to %s/s in %v", showCount(st.From), showCount(st.To), st.For))
		}
	}
	return strings.Join(parts, ", then ")
}
