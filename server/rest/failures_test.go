package rest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/server"
)

// refusing fails each record with the error of its number.
type refusing struct{ errs []error }

func (r *refusing) Produce(_ context.Context, rec *kgo.Record, promise func(*kgo.Record, error)) {
	promise(rec, r.errs[int(rec.Partition)%len(r.errs)])
}
func (*refusing) Flush(context.Context) error { return nil }
func (*refusing) Close()                      {}

// Records that fail one by one are counted by kind, and their route is noted once for each kind
// of a request, not once per record.
func TestFailedRecordsAreCountedByKind(t *testing.T) {
	s := server.New(server.Settings{}, server.Deps{Logger: slog.New(slog.DiscardHandler)})
	client := &refusing{[]error{
		nil, kerr.MessageTooLarge, kerr.InvalidRecord, kerr.UnknownTopicOrPartition, kerr.NotEnoughReplicas, kerr.TopicAuthorizationFailed, errors.New("what nobody has mapped"),
	}}
	p := batch.New(client, batch.Cluster{
		Topic:        func(context.Context, string) (string, int32, error) { return "t", 1000, nil },
		Healthy:      func() error { return nil },
		Afresh:       func(context.Context, string) (string, int32, error) { return "t", 1000, nil },
		Contradicted: func() {},
		Recreated:    func(string) {},
	}, batch.Settings{BufferBytes: 1 << 30, Timeout: time.Minute})
	job := p.Acquire()
	const each = 100
	told := 0
	for i := range each * len(client.errs) {
		job.Slab.Add().Partition = int32(i)
	}
	if _, err := p.Produce(job, "t", batch.AnyPartition, nil, func(dst []byte, job *batch.Job) []byte {
		failedBy(job, func(kind *apierr.Kind, records int) {
			told++
			s.RecordsFailed(kind, records)
		})
		return dst
	}); err != nil {
		t.Fatal(err)
	}
	kinds := uint64(0)
	for _, f := range s.Metrics().Read().Failures {
		if f.Requests != 0 || f.Records != each {
			t.Errorf("%+v", f)
		}
		kinds++
	}
	if kinds != 6 {
		t.Errorf("%d kinds", kinds)
	}
	// Four kinds are summed up, the other two are reported one by one.
	if want := 4 + 2*each; told != want {
		t.Errorf("told %d times, want %d", told, want)
	}
}
