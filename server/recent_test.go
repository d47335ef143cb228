package server

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"millrace/internal/apierr"
	"millrace/metrics"
)

// Failed requests and failed records are counted apart.
func TestErrorsAreOfRequestsOrOfRecords(t *testing.T) {
	s := New(Settings{}, Deps{Logger: slog.New(slog.DiscardHandler)})
	s.figures.failed(apierr.NotFound, s.figures.unmatched, Sample{})
	s.AllFailed(Sender{}, "t", apierr.PartitionNotFound.New("There is no partition 9."), 30)
	got := map[string]metrics.FailureReading{}
	for _, f := range s.Metrics().Read().Failures {
		got[f.Name] = f
	}
	if f := got["not_found"]; f.Requests != 1 || f.Records != 0 {
		t.Errorf("a request: %+v", f)
	}
	if f := got["partition_not_found"]; f.Requests != 0 || f.Records != 30 {
		t.Errorf("records: %+v", f)
	}
	for _, e := range s.RecentErrors() {
		if e.Records != (e.Kind == apierr.PartitionNotFound) {
			t.Errorf("%+v", e)
		}
		if e.Records && (e.Sample.Topic != "t" || e.Sample.Message != "There is no partition 9.") {
			t.Errorf("the sample of records is %+v", e.Sample)
		}
	}
}

func TestRecentErrors(t *testing.T) {
	var r recent
	m := metrics.New(metrics.Settings{}, metrics.Build{})
	first := errorPlace{kind: apierr.Internal, records: true}
	r.note(first, 3, Sample{})
	r.note(first, 2, Sample{Message: "last"})
	if got := r.list(); len(got) != 1 || got[0].count != 5 || got[0].sample.Message != "last" || time.Since(got[0].last) > time.Minute {
		t.Errorf("%+v", got)
	}
	for n := range 2 * maxRecent {
		r.note(errorPlace{kind: apierr.NotFound, route: m.Route("GET", fmt.Sprint(n))}, 1, Sample{})
	}
	got := r.list()
	if len(got) != maxRecent {
		t.Errorf("%d are remembered", len(got))
	}
	for i, e := range got {
		if e.errorPlace == first || i > 0 && e.last.After(got[i-1].last) {
			t.Errorf("%d is %+v", i, e)
		}
	}
}
