package admin

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
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
	req := kmsg.NewPtrListPartitionReassignmentsRequest() // kadm finds none where none is named
	req.TimeoutMillis = a.timeoutMillis()
	for topic, partitions := range of {
		t := kmsg.NewListPartitionReassignmentsRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return nil, failed(err)
	}
	if err := refused(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return nil, err
	}
	var all []Reassignment
	for _, t := range resp.Topics {
		if a.open(t.Topic) != nil {
			continue
		}
		for _, p := range t.Partitions {
			all = append(all, Reassignment{t.Topic, p.Partition, p.AddingReplicas, p.RemovingReplicas})
		}
	}
	slices.SortFunc(all, func(a, b Reassignment) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all, nil
}
