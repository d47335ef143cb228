package consumer

import (
	"iter"
	"maps"
	"regexp"
	"slices"

	"millrace/internal/apierr"
)

// admit returns an error if one of the topics is reserved (kafka.Reserved): nobody
// may read it, nor commit or seek in it. Each call of this package that a client
// names topics in passes them here before anything else is done with them.
func (m *Manager) admit(topics iter.Seq[string]) error {
	for topic := range topics {
		if err := m.admitTopic(topic); err != nil {
			return err
		}
	}
	return nil
}

// admitTopic is admit for one topic.
func (m *Manager) admitTopic(topic string) error {
	if m.base.Reserved.Has(topic) {
		return apierr.Reserved(topic)
	}
	return nil
}

// admitPartitions is admit for the topics of partitions.
func (m *Manager) admitPartitions(tps iter.Seq[TopicPartition]) error {
	return m.admit(func(yield func(string) bool) {
		for tp := range tps {
			if !yield(tp.Topic) {
				return
			}
		}
	})
}

// admitDefinition is admit for the topics of an instance that another node made,
// which may have been of a version that let clients read everything.
func (m *Manager) admitDefinition(d *definition) error {
	if err := m.admit(slices.Values(d.Topics)); err != nil {
		return err
	}
	return m.admitPartitions(slices.Values(d.assigned()))
}

// unmatched are the patterns of the topics that no pattern of a client matches.
func (m *Manager) unmatched() []string {
	var patterns []string
	for _, topic := range m.base.Reserved {
		patterns = append(patterns, whole(regexp.QuoteMeta(topic)))
	}
	return patterns
}

// admitMoves is admit for the partitions of a seek.
func (m *Manager) admitMoves(to, at map[TopicPartition]int64) error {
	if err := m.admitPartitions(maps.Keys(to)); err != nil {
		return err
	}
	return m.admitPartitions(maps.Keys(at))
}
