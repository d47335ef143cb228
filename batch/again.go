package batch

import (
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

const (
	// againFor is how long the records of a topic that was recreated, or of a partition that was
	// just added, are sent again by the node itself: the client library learns of both with its
	// next metadata, which takes a quarter of a second (kafka.NewProducer).
	againFor = 3 * time.Second
	// againPause is the pause before each attempt.
	againPause = 100 * time.Millisecond
)

// errAgain stands in the slot of a record that is to be lent once more.
var errAgain = errors.New("the record is sent again")

// isBehind reports whether err says that the client library does not know a topic or a partition
// that exists. Such a record is certain not to be in Kafka.
func isBehind(err error) bool {
	return errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kafka.ErrNoPartition)
}

// again lends those records once more that failed because the client library was behind, and
// reports whether there are any; the caller waits for the job again then. The job's records have
// all settled.
//
// A record is left to its client where the node cannot repeat what the client asked: where the
// topic has another number of partitions now, which keys are spread over anew, or the library has
// replaced the timestamp that the client had set.
func (p *Producer) again(j *Job, topic string) bool {
	if j.failed.Load() == 0 || time.Since(j.ready) > againFor || !j.someBehind() {
		return false
	}
	select {
	case <-time.After(againPause):
	case <-p.ctx.Done():
		return false
	}
	name, partitions, err := p.cluster.Afresh(p.ctx, topic)
	if apierr.TopicNotFound.Is(err) {
		name, partitions, err = p.cluster.Topic(p.ctx, topic) // which may create it
	}
	if err != nil {
		j.replaceBehind(err)
		return false
	}
	count := j.mark(name, partitions)
	if count == 0 {
		return false
	}
	j.partitions = partitions
	j.renewed = p.renewed.Load()
	j.repeats = true
	j.pending.Store(int32(count))
	j.state.Store(waiting)
	p.flusher.join(j)
	return true
}

func (j *Job) someBehind() bool {
	for _, err := range j.errs {
		if isBehind(err) {
			return true
		}
	}
	return false
}

// replaceBehind gives the records that failed because of an old topic the error of its look-up: it
// was deleted, and does not exist.
func (j *Job) replaceBehind(err error) {
	for i := range j.errs {
		if errors.Is(j.errs[i], kerr.UnknownTopicID) {
			j.errs[i] = err
		}
	}
}

// mark prepares the records that can be lent again, and returns their number.
func (j *Job) mark(topic string, partitions int32) (count int) {
	for i, err := range j.errs {
		r := &j.Slab.Records[i]
		switch {
		case errors.Is(err, kafka.ErrNoPartition):
			r.Partition = kafka.AskedPartition(r)
			if r.Partition >= partitions {
				j.errs[i] = noPartition(topic, r.Partition, partitions)
				continue
			}
		case errors.Is(err, kerr.UnknownTopicID):
			if partitions != j.partitions || kafka.HasOwnTimestamp(r) {
				continue
			}
		default:
			continue
		}
		r.Topic = topic
		j.errs[i] = errAgain
		j.failed.Add(-1)
		count++
	}
	return count
}

// lookAgain has the topic looked up once more if records name partitions that it did not have: they
// may have been added since. It returns how many more records can be lent.
func (p *Producer) lookAgain(j *Job, topic string) (more int) {
	if j.failed.Load() == 0 || !slices.ContainsFunc(j.Slab.Records, func(r kgo.Record) bool { return r.Partition >= j.partitions }) {
		return 0
	}
	_, partitions, err := p.cluster.Afresh(p.ctx, topic)
	if err != nil || partitions <= j.partitions {
		return 0
	}
	j.partitions = partitions
	for i, err := range j.errs {
		if r := &j.Slab.Records[i]; r.Partition >= 0 && r.Partition < partitions && apierr.PartitionNotFound.Is(err) {
			j.errs[i] = nil
			j.failed.Add(-1)
			more++
		}
	}
	return more
}
