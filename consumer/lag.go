package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/internal/kafka"

	"github.com/twmb/franz-go/pkg/kerr"
)

// The lag of a partition is the end of its log less the position of the instance that reads it:
// how many records that instance has not answered. The position is known here, committed or
// not, from the moment the partition was given to the instance; where the group has committed
// nothing it is where auto.offset.reset says. So Kafka need not be asked for the group's
// offsets. Kafka must be asked for the ends only: a fetch brings them too, but only to an
// instance that reads, and a reader that has stopped is the one whose lag is of interest.
//
// The end is the high watermark for all, records of open transactions included,
// as Kafka's own tools have it: a transaction that hangs is seen.

// maxEnds bounds the partitions that are asked about in one round. When there
// are more, chance decides whose turn it is.
const maxEnds = 100_000

// unknownEnd is the end of a log that nobody has asked for.
const unknownEnd = -1

// watchLags has the ends of the logs learned once an interval.
func (m *Manager) watchLags() {
	tick := time.NewTicker(m.settings.LagInterval)
	defer tick.Stop()
	for {
		select {
		case <-m.open.Done():
			return
		case <-tick.C:
			m.learnEnds()
		}
	}
}

// learnEnds asks for the ends of the logs of all partitions that instances
// read: in one request, which the client cuts into one for each broker that
// leads some of them. While nobody reads anything, nothing is asked.
func (m *Manager) learnEnds() {
	m.mu.Lock()
	all := m.list()
	m.mu.Unlock()
	at := make(map[TopicPartition]int64)
	for _, i := range all {
		i.addRead(at)
	}
	if len(at) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(m.open, min(m.settings.LagInterval, kafkaTimeout))
	defer cancel()
	ends, err := m.cluster.ends(ctx, at)
	if err != nil && m.open.Err() == nil {
		m.log.Debug("cannot read the ends of all logs for the lag of consumers", "err", err)
	}
	for _, i := range all {
		i.setEnds(ends)
	}
}

// addRead adds the partitions that the instance reads, as long as there is room.
func (i *Instance) addRead(at map[TopicPartition]int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.session == nil || i.own != nil { // the node's rights are not those of the instance
		return
	}
	for tp := range i.session.parts {
		if len(at) >= maxEnds {
			return
		}
		at[tp] = kafka.EndOfLog
	}
}

// setEnds notes where the logs end. Partitions that are not among them keep their ends.
func (i *Instance) setEnds(ends map[TopicPartition]int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.session == nil {
		return
	}
	for tp, p := range i.session.parts {
		if end, ok := ends[tp]; ok {
			p.end = end
		}
	}
}

// lag is how many records the partition is behind; known is false before
// anybody has learned where its log ends, and while it has no position.
func (p *partition) lag() (records int64, known bool) {
	at := p.position()
	if p.end == unknownEnd || at < 0 {
		return 0, false
	}
	return max(p.end-at, 0), true
}

// ends asks where the logs end. It returns what it has learned beside an error
// that tells why that is not all; a partition that is gone has the end
// [unknownEnd].
func (c *cluster) ends(ctx context.Context, at map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	client, err := c.get()
	if err != nil {
		return nil, err
	}
	return endsIn(kafka.ListOffsets(ctx, client, false, at))
}

func endsIn(listed map[TopicPartition]kafka.ListedOffset) (ends map[TopicPartition]int64, failed error) {
	ends = make(map[TopicPartition]int64, len(listed))
	for tp, l := range listed {
		switch {
		case errors.Is(l.Err, kerr.UnknownTopicOrPartition):
			ends[tp] = unknownEnd
		case l.Err != nil:
			failed = fmt.Errorf("cannot list the offsets of %s: %w", tp, l.Err)
		default:
			ends[tp] = l.Offset
		}
	}
	return ends, failed
}
