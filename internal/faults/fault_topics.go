package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TopicRecreated deletes the topic of the probes and creates it again. Clients use another one, and
// must notice nothing.
func TopicRecreated() Fault {
	return Fault{Begin: func(ctx context.Context, r *Run) error {
		if _, err := r.Cluster.Admin.DeleteTopic(ctx, r.Probed); err != nil {
			return fmt.Errorf("cannot delete topic %s: %w", r.Probed, err)
		}
		// A name is free when all brokers have forgotten it.
		err := eventually(ctx, "the topic to be gone", func() bool {
			_, err := r.Cluster.Admin.CreateTopic(ctx, partitions, brokers, nil, r.Probed)
			return err == nil
		})
		if err != nil {
			return err
		}
		return r.Cluster.AwaitSync(ctx, r.Probed)
	}}
}

// PartitionsAdded doubles the partitions of all topics, and has the probes use the new ones.
func PartitionsAdded() Fault {
	return Fault{Begin: func(ctx context.Context, r *Run) error {
		if _, err := r.Cluster.Admin.UpdatePartitions(ctx, 2*partitions, r.Topic, r.Probed); err != nil {
			return fmt.Errorf("cannot add partitions: %w", err)
		}
		if err := r.Cluster.AwaitSync(ctx, r.Probed); err != nil {
			return err
		}
		r.partitions.Store(2 * partitions)
		return nil
	}}
}

// RightTaken takes the right to write from the nodes' user, in all topics of the run, and
// gives it back.
func RightTaken(lasts time.Duration) Fault {
	rule := func(r *Run) *kadm.ACLBuilder {
		// The topic of the probes begins with the name of the other.
		return kadm.NewACLs().Deny("User:" + nodeUser).DenyHosts("*").Topics(r.Topic).
			ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpWrite)
	}
	return Fault{
		Begin: func(ctx context.Context, r *Run) error {
			results, err := r.Cluster.Admin.CreateACLs(ctx, rule(r))
			for _, created := range results {
				err = firstError(err, created.Err)
			}
			return err
		},
		Lasts: lasts,
		End: func(ctx context.Context, r *Run) error {
			results, err := r.Cluster.Admin.DeleteACLs(ctx, rule(r))
			for _, deleted := range results {
				err = firstError(err, deleted.Err)
			}
			return err
		},
	}
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
