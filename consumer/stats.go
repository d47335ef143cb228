package consumer

import (
	"sync/atomic"

	"millrace/metrics"
)

// counts are what a manager has done so far.
type counts struct {
	created, expired         atomic.Uint64
	committed, commitsFailed atomic.Uint64
	assigned, revoked, lost  atomic.Uint64
	skipped                  atomic.Uint64 // records that could not be decoded
}

// rebalanced counts a change of the group that concerned any partition; kgo
// also tells of those that did not.
func rebalanced(which *atomic.Uint64, partitions map[string][]int32) {
	if len(partitions) > 0 {
		which.Add(1)
	}
}

// Stats returns the state of the consume side, for the metrics. It asks Kafka
// nothing; lag.go says how the lags are known.
func (m *Manager) Stats() metrics.Consumers {
	m.mu.Lock()
	all := m.list()
	m.mu.Unlock()
	s := metrics.Consumers{
		Instances:     len(all),
		Limit:         m.settings.MaxInstances,
		Created:       m.counts.created.Load(),
		Expired:       m.counts.expired.Load(),
		Committed:     m.counts.committed.Load(),
		CommitsFailed: m.counts.commitsFailed.Load(),
		Assigned:      m.counts.assigned.Load(),
		Revoked:       m.counts.revoked.Load(),
		Dropped:       m.counts.lost.Load(),
		Skipped:       m.counts.skipped.Load(),
	}
	for _, i := range all {
		i.addTo(&s)
	}
	return s
}

// addTo adds what the instance reads.
func (i *Instance) addTo(s *metrics.Consumers) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.session == nil {
		return
	}
	s.Partitions += len(i.session.parts)
	s.Backlog += i.session.backlog.records
	s.BacklogBytes += i.session.backlog.bytes
	lags := make(map[string]int64)
	for _, p := range i.session.parts {
		if records, known := p.lag(); known {
			lags[p.Topic] += records
		}
	}
	for topic, records := range lags {
		s.Lags = append(s.Lags, metrics.Lag{Group: i.group, Topic: topic, Records: records})
	}
}
