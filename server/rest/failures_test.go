package rest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/batch"
	"millrace/internal/kafka"
	"millrace/server"
)

// refusing is a broker that answers each partition with the code of its number.
type refusing struct{ errs []*kerr.Error }

// Send implements [batch.Client].
func (r *refusing) Send(_ int32, req kmsg.Request) (kmsg.Response, error) {
	req.SetVersion(9)
	in, out := kmsg.NewPtrProduceRequest(), kmsg.NewPtrProduceResponse()
	in.Version, out.Version = 9, 9
	if err := in.ReadFrom(req.AppendTo(nil)); err != nil {
		return nil, err
	}
	for _, t := range in.Topics {
		of := kmsg.NewProduceResponseTopic()
		of.Topic = t.Topic
		for _, p := range t.Partitions {
			answer := kmsg.NewProduceResponseTopicPartition()
			answer.Partition = p.Partition
			if err := r.errs[int(p.Partition)%len(r.errs)]; err != nil {
				answer.ErrorCode = err.Code
			}
			of.Partitions = append(of.Partitions, answer)
		}
		out.Topics = append(out.Topics, of)
	}
	resp := req.ResponseKind()
	return resp, resp.ReadFrom(out.AppendTo(nil))
}

// Ask implements [batch.Client].
func (r *refusing) Ask(_ context.Context, req kmsg.Request) (kmsg.Response, error) {
	if _, ok := req.(*kmsg.InitProducerIDRequest); ok {
		out := kmsg.NewPtrInitProducerIDResponse()
		out.ProducerID = 1
		return out, nil
	}
	if _, ok := req.(*kmsg.MetadataRequest); !ok {
		return nil, errors.New("that is not known here")
	}
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic = kmsg.StringPtr("t")
	for i := range int32(1000) {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition = i
		topic.Partitions = append(topic.Partitions, p)
	}
	out := kmsg.NewPtrMetadataResponse()
	out.Topics = append(out.Topics, topic)
	return out, nil
}

// Reset implements [batch.Client].
func (*refusing) Reset(int32) {}

// Close implements [batch.Client].
func (*refusing) Close() {}

// Records that fail one by one are counted by kind, and their route is noted once for each kind
// of a request, not once per record.
func TestFailedRecordsAreCountedByKind(t *testing.T) {
	s := server.New(server.Settings{}, server.Deps{Logger: slog.New(slog.DiscardHandler)})
	client := &refusing{[]*kerr.Error{
		nil, kerr.MessageTooLarge, kerr.InvalidRecord, kerr.UnknownTopicOrPartition, kerr.NotEnoughReplicas, kerr.TopicAuthorizationFailed, kerr.PolicyViolation,
	}}
	none, err := kafka.NewCompressor(kafka.None, 0)
	if err != nil {
		t.Fatal(err)
	}
	once := kafka.DefaultProducer()
	once.Retries = 0
	p := batch.New(client, none, batch.Cluster{
		Topic:        func(context.Context, string) (string, int32, error) { return "t", 1000, nil },
		Healthy:      func() error { return nil },
		Afresh:       func(context.Context, string) (string, int32, error) { return "t", 1000, nil },
		Contradicted: func() {},
	}, batch.Settings{BufferBytes: 1 << 30, Timeout: time.Minute}, once)
	job := p.Acquire()
	const each = 100
	for i := range each * len(client.errs) {
		job.Slab.Add().Partition = int32(i)
	}
	if _, err := p.Produce(job, "t", batch.AnyPartition, nil, func(dst []byte, job *batch.Job) []byte {
		failed := failuresOf(job, "t")
		if len(failed) != 6 {
			t.Errorf("%d kinds are noted", len(failed))
		}
		s.RecordsFailed(server.Sender{}, failed)
		return dst
	}); err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for _, f := range s.Metrics().Read().Failures {
		if f.Requests != 0 || f.Records != each {
			t.Errorf("%+v", f)
		}
		kinds++
	}
	if kinds != 6 {
		t.Errorf("%d kinds", kinds)
	}
	for _, e := range s.RecentErrors() {
		if !e.Records || e.Count != each || e.Sample.Topic != "t" || e.Sample.Message == "" {
			t.Errorf("%+v", e)
		}
	}
}
