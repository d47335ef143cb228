package batch

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/internal/apierr"
)

// meaning is what the end of an attempt to write a batch means for it.
type meaning uint8

const (
	written meaning = iota
	// unknown: nobody says whether the batch was written; the same bytes go again.
	unknown
	// again: it was not written, and may be by another attempt.
	again
	// moved is again, at another broker perhaps.
	moved
	// named: it was not written, for records that the broker names.
	named
	// unnamed: it was not written, for records that the broker does not name.
	unnamed
	// tooLarge: it was not written, and smaller ones may be.
	tooLarge
	// lost: the broker's state of this producer is not ours.
	lost
	// refused: it was not written, and never will be.
	refused
	// broken: the broker failed, and may have written it.
	broken
)

// verdict is the end of an attempt.
type verdict struct {
	meaning meaning
	err     error // of Kafka or of the connection; nil if written
	culprit []culprit
	leader  int32 // that the broker named, -1 for none
	epoch   int32
}

// culprit is a record that the broker refuses, by its place in the batch.
type culprit struct {
	at   int32
	text string
}

// judge returns what the broker's answer means. It copies what it keeps.
func judge(r *result) verdict {
	v := verdict{leader: r.leader, epoch: r.leaderEpoch}
	err := kerr.ErrorForCode(r.code)
	if err == nil || errors.Is(err, kerr.DuplicateSequenceNumber) {
		return v
	}
	v.err = err
	v.meaning = meaningOf(err)
	if len(r.text) > 0 && (v.meaning == unnamed || v.meaning == refused) {
		v.err = apierr.FromWrite(err).Kind.Wrap(err, "Kafka refused the record: %s", r.text)
	}
	if (v.meaning == unnamed || v.meaning == refused) && len(r.records) > 0 {
		v.meaning = named
		for _, e := range r.records {
			v.culprit = append(v.culprit, culprit{e.index, string(e.text)})
		}
	}
	return v
}

func meaningOf(err error) meaning {
	switch {
	case errors.Is(err, kerr.RequestTimedOut), errors.Is(err, kerr.NotEnoughReplicasAfterAppend):
		return unknown
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return tooLarge
	case errors.Is(err, kerr.InvalidRecord), errors.Is(err, kerr.InvalidTimestamp), errors.Is(err, kerr.CorruptMessage):
		return unnamed
	case errors.Is(err, kerr.OutOfOrderSequenceNumber), errors.Is(err, kerr.UnknownProducerID), errors.Is(err, kerr.InvalidProducerEpoch):
		return lost
	case errors.Is(err, kerr.UnknownServerError):
		return broken
	}
	for _, m := range misled {
		if errors.Is(err, m) {
			return moved
		}
	}
	if kerr.IsRetriable(err) {
		return again
	}
	return refused
}

// misled are the errors of Kafka that mean that the metadata was wrong.
var misled = []error{
	kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID, kerr.NotLeaderForPartition,
	kerr.LeaderNotAvailable, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.KafkaStorageError,
}

// definite reports whether a refusal says that the batch was not written by an attempt before
// either: the same records would have been refused then too, or the broker has looked for the
// sequence and not found it. A reason that the broker finds before it looks at records, such as
// missing rights or bytes that broke on the way, says nothing of attempts before, nor does a broker
// that has forgotten the producer.
func (v *verdict) definite() bool {
	switch v.meaning {
	case named, tooLarge:
		return true
	case unnamed:
		return !isCorrupt(v.err)
	case lost:
		return errors.Is(v.err, kerr.OutOfOrderSequenceNumber)
	}
	return false
}
