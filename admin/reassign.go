package admin

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
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

// Reassign moves a partition to other brokers, the preferred leader first, and returns when a
// broker shows the new replicas, which may have to catch up then; nil cancels what is under way,
// and returns when a broker shows the former replicas.
func (a *Admin) Reassign(ctx context.Context, p TopicPartition, brokers []int32) error {
	if err := a.open(p.Topic); err != nil {
		return err
	}
	var req kadm.AlterPartitionAssignmentsReq
	var moving []Reassignment
	if brokers == nil {
		req.CancelAssign(p.Topic, p.Partition)
		var err error
		if moving, err = a.Reassignments(ctx, p.only()); err != nil {
			return err
		}
	} else {
		req.Assign(p.Topic, p.Partition, brokers)
	}
	answer, err := within(ctx, func() (kadm.AlterPartitionAssignmentsResponses, error) {
		return a.kadm.AlterPartitionAssignments(ctx, req)
	})
	if err != nil {
		return failed(err)
	}
	r := answer[p.Topic][p.Partition]
	if r.Err == nil {
		a.settle(ctx, func(ctx context.Context) bool {
			now, err := a.partition(ctx, p)
			return err == nil && reassigned(now.Replicas, brokers, moving)
		})
	}
	a.changed()
	return apierr.FromKafka(r.Err, r.ErrMessage)
}

// reassigned reports whether a partition has the replicas that it was given: they come first while
// it moves. Of what was cancelled it has none of those that were being added.
func reassigned(replicas, given []int32, cancelled []Reassignment) bool {
	for _, c := range cancelled {
		if slices.ContainsFunc(c.Adding, func(id int32) bool { return slices.Contains(replicas, id) }) {
			return false
		}
	}
	return len(replicas) >= len(given) && slices.Equal(replicas[:len(given)], given)
}

// only is a request for one partition.
func (p TopicPartition) only() map[string][]int32 {
	return map[string][]int32{p.Topic: {p.Partition}}
}

// partition asks a broker about one partition.
func (a *Admin) partition(ctx context.Context, p TopicPartition) (Partition, error) {
	t, err := a.DescribeTopic(ctx, p.Topic, false)
	if err != nil {
		return Partition{}, err
	}
	return t.Partition(p.Partition)
}

// ElectLeaders has the preferred replica of each partition become its leader, or with unclean any
// replica that is left, which may lose records. Nil: of all partitions. It returns when a broker
// shows the leaders, with the partitions that were not elected for; those whose leader is right
// already are not among them.
func (a *Admin) ElectLeaders(ctx context.Context, of map[string][]int32, unclean bool) (map[TopicPartition]error, error) {
	how := kadm.ElectPreferredReplica
	if unclean {
		how = kadm.ElectLiveReplica
	}
	var set kadm.TopicsSet
	for topic, partitions := range of {
		if err := a.open(topic); err != nil {
			return nil, err
		}
		set.Add(topic, partitions...)
	}
	results, err := within(ctx, func() (kadm.ElectLeadersResults, error) { return a.kadm.ElectLeaders(ctx, how, set) })
	if err != nil {
		return nil, failed(err)
	}
	failures, elected := map[TopicPartition]error{}, map[string][]int32{}
	for topic, partitions := range results {
		for id, r := range partitions {
			switch {
			case r.Err == nil:
				elected[topic] = append(elected[topic], id)
			case r.Err != kerr.ElectionNotNeeded:
				failures[TopicPartition{topic, id}] = apierr.FromKafka(r.Err, r.ErrMessage)
			}
		}
	}
	if len(elected) > 0 {
		a.settle(ctx, func(ctx context.Context) bool { return a.leaders(ctx, elected, unclean) })
	}
	a.changed()
	return failures, nil
}

// leaders reports whether a broker shows a leader of each partition: its preferred one, or with
// unclean any.
func (a *Admin) leaders(ctx context.Context, of map[string][]int32, unclean bool) bool {
	topics, err := a.describe(ctx, slices.Collect(maps.Keys(of)), false)
	if err != nil {
		return false
	}
	for i := range topics {
		for _, p := range topics[i].Partitions {
			asked := topics[i].Topic != nil && slices.Contains(of[*topics[i].Topic], p.Partition)
			if right := p.Leader >= 0 && (unclean || slices.Index(p.Replicas, p.Leader) == 0); asked && !right {
				return false
			}
		}
	}
	return true
}
