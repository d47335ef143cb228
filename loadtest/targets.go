package loadtest

import (
	"fmt"
	"io"
	"net/http"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// WriteTargets writes count requests of the scenario in vegeta's JSON format,
// one a line, for `vegeta attack -format=json`: those of its produce and
// metadata flows, mixed by their first rates. No header with a secret is
// written; vegeta adds those itself (-header). Consume flows are left out, for
// their requests need instances that exist; a scenario with nothing else is an
// error.
func WriteTargets(w io.Writer, s *Scenario, url string, count int) error {
	to, err := newEndpoint(Options{URL: url}, s.Timeout)
	if err != nil {
		return err
	}
	// Not the user and password that the URL may have had.
	to.headers = http.Header{}
	type lane struct {
		target func(*vegeta.Target) error
		rate   float64
		sent   float64
	}
	var lanes []*lane
	for i := range s.Flows {
		f := &s.Flows[i]
		l := &lane{}
		switch f.Do {
		case Produce:
			p, err := newProducer(to, f, "targets", &ledger{records: f.Records, worker: i})
			if err != nil {
				return err
			}
			l.target = p.target
		case Metadata:
			l.target = newPoller(to, f).target
		default:
			continue
		}
		if f.Closed {
			l.rate = float64(f.Connections) // whose requests take equally long, as far as a file can tell
		} else if f.Steps != nil {
			l.rate = f.Steps.Start
		} else {
			l.rate = f.Stages[0].From
		}
		lanes = append(lanes, l)
	}
	if len(lanes) == 0 {
		return fmt.Errorf("cannot write targets of %s: consumers need a session, which a target file cannot have", s.Name)
	}
	write := vegeta.NewJSONTargetEncoder(w)
	for range count {
		next := lanes[0]
		for _, l := range lanes {
			if (l.sent+1)/l.rate < (next.sent+1)/next.rate {
				next = l
			}
		}
		next.sent++
		var t vegeta.Target
		if err := next.target(&t); err != nil {
			return err
		}
		delete(t.Header, hitHeader)
		if err := write(&t); err != nil {
			return fmt.Errorf("cannot write the targets: %w", err)
		}
	}
	return nil
}
