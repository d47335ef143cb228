package kafka

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"
)

// Recorder writes records to one topic in the background. It is for what must not be waited for: a
// record that finds no room, or that Kafka does not take in time, is lost and counted. All methods
// may be called concurrently.
type Recorder struct {
	client        *kgo.Client
	limit         *rate.Limiter
	written, lost atomic.Uint64
}

const (
	// recorderRecords and recorderBytes bound the records that wait for Kafka, recorderRate those
	// of a second.
	recorderRecords, recorderBytes = 10_000, 8 << 20
	recorderRate                   = 5000
	// recorderTimeout is how long a record may wait for Kafka.
	recorderTimeout = time.Minute
)

// NewRecorder builds the client. The topic must exist.
func NewRecorder(base Settings, topic string) (*Recorder, error) {
	opts, err := baseOpts(base, "")
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts,
		kgo.DefaultProduceTopic(topic),
		kgo.MaxBufferedRecords(recorderRecords),
		kgo.MaxBufferedBytes(recorderBytes),
		kgo.RecordDeliveryTimeout(recorderTimeout),
		kgo.ProducerLinger(10*time.Millisecond),
		kgo.MetadataMinAge(lookUpEvery),
		// A topic that comes later is found; the time above bounds the wait.
		kgo.UnknownTopicRetries(-1),
	)...)
	if err != nil {
		return nil, fmt.Errorf("cannot build the Kafka client of the topic %s: %w", topic, err)
	}
	return &Recorder{client: client, limit: rate.NewLimiter(recorderRate, recorderRate)}, nil
}

// Write implements [io.Writer]: each call is a record, without the line feed at its end. It does
// not wait, and never fails.
func (r *Recorder) Write(line []byte) (int, error) {
	if !r.limit.Allow() {
		r.lost.Add(1)
		return len(line), nil
	}
	value := bytes.Clone(bytes.TrimSuffix(line, []byte("\n")))
	r.client.TryProduce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
		if err != nil {
			r.lost.Add(1)
			return
		}
		r.written.Add(1)
	})
	return len(line), nil
}

// Counts returns how many records Kafka has, and how many are lost.
func (r *Recorder) Counts() (written, lost uint64) { return r.written.Load(), r.lost.Load() }

// Close writes what waits, as long as ctx lasts. Nothing may be written any more.
func (r *Recorder) Close(ctx context.Context) error {
	err := r.client.Flush(ctx)
	r.client.Close()
	if err != nil {
		return fmt.Errorf("cannot write all records: %w", err)
	}
	return nil
}
