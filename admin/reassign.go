package admin

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Reassignment is a partition that is being moved to other brokers.
type Reassignment struct {
	Topic     string
	Partition int32
	// Adding and Removing are the brokers that get a replica, and that lose theirs.
	Adding, Removing []int32
}

// Reassignments returns the partitions of topics that are being moved, sorted: of all topics for
// nil.
func (a *Admin) Reassignments(ctx context.Context, of map[string][]int32) ([]Reassignment, error) {
	var set kadm.TopicsSet
	for topic, partitions := range of {
		set.Add(topic, partitions...)
	}
	found, err := within(ctx, func() (kadm.ListPartitionReassignmentsResponses, error) {
		return a.kadm.ListPartitionReassignments(ctx, set)
	})
	if err != nil {
		return nil, failed(err)
	}
	var all []Reassignment
	for _, r := range found.Sorted() {
		if a.open(r.Topic) == nil {
			all = append(all, Reassignment{r.Topic, r.Partition, r.AddingReplicas, r.RemovingReplicas})
		}
	}
	slices.SortFunc(all, func(a, b Reassignment) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all, nil
}
