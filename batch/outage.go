package batch

import (
	"time"

	"millrace/internal/apierr"
)

const (
	// lookEvery is how often a request that waits looks whether the brokers that it waits for are
	// still there.
	lookEvery = 250 * time.Millisecond
	// patience is how long a request waits at least while only some of the topic's leaders are
	// lost. The client library chooses the partitions, and does not say which: those of this
	// request may be on brokers that answer, which takes them milliseconds.
	patience = time.Second
)

// refusedBy is the error of a request of which nothing was sent, because no leader that could
// take it can be reached.
func refusedBy(topic string, lost error) *apierr.Error {
	if why := apierr.Unreachable(lost); why.Kind != apierr.BrokersAway { // such as wrong credentials
		return why
	}
	return apierr.NotWritten.Wrap(lost, "The brokers that lead topic %s cannot be reached. Nothing was written: send it again.", topic)
}

// unknownAfter is the error of a request whose records may be on their way.
func unknownAfter(lost error) *apierr.Error {
	return apierr.WriteUnknown.Wrap(lost, "A broker was lost while it had the records. Some may be written all the same; sending them again may double them.")
}

// isLost returns the error for which a request that has waited so long is given up, or nil.
func (p *Producer) isLost(topic string, partition int32, waited time.Duration) error {
	if p.cluster.Lost == nil {
		return nil
	}
	all, err := p.cluster.Lost(topic, partition)
	if err != nil && (all || waited >= patience) {
		return err
	}
	return nil
}
