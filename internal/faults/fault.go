package faults

import (
	"context"
	"time"
)

// Fault is something that breaks under load, for a while.
type Fault struct {
	// Begin breaks it, and returns when it is broken; nil: it is broken from the start.
	Begin func(ctx context.Context, r *Run) error
	// Survivable says that the Kafka cluster goes on without what is broken, after a moment: then
	// the time that the service needs is taken before the end as well.
	Survivable bool
	// Lasts is how long it stays broken once it is, at least.
	Lasts time.Duration
	// End mends it, and returns when it is mended; nil: nothing has to be.
	End func(ctx context.Context, r *Run) error
	// Then breaks next, when all is well again; nil: nothing does.
	Then *Fault
}

// survived is how long a broker stays away that the others replace: they have found out after 3 s.
const survived = 10 * time.Second

// LeaderKilled ends the leader of partition 0 by SIGKILL, and starts it again later.
func LeaderKilled() Fault {
	var leader int
	return Fault{
		Begin: func(ctx context.Context, r *Run) (err error) {
			if leader, err = r.Cluster.Leader(ctx, r.Topic, 0); err == nil {
				r.Cluster.Kill(leader)
			}
			return err
		},
		Survivable: true,
		Lasts:      survived,
		End:        func(ctx context.Context, r *Run) error { return r.Cluster.Start(ctx, leader) },
	}
}

// LeaderSuspended stops the process of the leader of partition 0 where it is (SIGSTOP).
func LeaderSuspended(lasts time.Duration) Fault {
	var leader int
	return Fault{
		Begin: func(ctx context.Context, r *Run) (err error) {
			if leader, err = r.Cluster.Leader(ctx, r.Topic, 0); err == nil {
				r.Cluster.Brokers[leader].Suspend()
			}
			return err
		},
		Survivable: true,
		Lasts:      lasts,
		End: func(_ context.Context, r *Run) error {
			r.Cluster.Brokers[leader].Resume()
			return nil
		},
	}
}

// BrokersAway has the network refuse all connections to brokers.
func BrokersAway(lasts time.Duration) Fault {
	return Fault{
		Begin: func(_ context.Context, r *Run) error {
			for _, p := range r.Cluster.Proxies {
				p.Refuse()
			}
			return nil
		},
		Lasts: lasts,
		End:   func(ctx context.Context, r *Run) error { return r.Cluster.Mend(ctx) },
	}
}

// BrokersKilled ends all brokers by SIGKILL and starts them again.
func BrokersKilled(lasts time.Duration) Fault {
	return Fault{
		Begin: func(_ context.Context, r *Run) error {
			r.Cluster.Kill(0, 1, 2)
			return nil
		},
		Lasts: lasts,
		End:   func(ctx context.Context, r *Run) error { return r.Cluster.Start(ctx, 0, 1, 2) },
	}
}

// RollingRestart stops each broker as an operator does and starts it again, one after the other,
// each when the one before is in sync.
func RollingRestart() Fault {
	var all *Fault
	for i := brokers - 1; i >= 0; i-- {
		one := brokerRestarted(i)
		one.Then = all
		all = &one
	}
	return *all
}

// brokerRestarted stops a broker, which first hands over what it leads, and starts it again.
func brokerRestarted(i int) Fault {
	return Fault{
		Begin: func(_ context.Context, r *Run) error {
			r.Cluster.Stop(i)
			return nil
		},
		Survivable: true,
		Lasts:      2 * lasting,
		End: func(ctx context.Context, r *Run) error {
			if err := r.Cluster.Start(ctx, i); err != nil {
				return err
			}
			return r.Cluster.AwaitSync(ctx, r.Topic)
		},
	}
}

// Network has the network do harm to all connections between nodes and brokers.
func Network(h Harm, lasts time.Duration) Fault {
	return Fault{
		Begin: func(_ context.Context, r *Run) error {
			for _, p := range r.Cluster.Proxies {
				p.Set(h)
			}
			return nil
		},
		Lasts: lasts,
		End:   func(ctx context.Context, r *Run) error { return r.Cluster.Mend(ctx) },
	}
}

// LeaderCutOff has the network do harm to the connections to the leader of partition 0 alone.
func LeaderCutOff(h Harm, lasts time.Duration) Fault {
	return Fault{
		Begin: func(ctx context.Context, r *Run) error {
			leader, err := r.Cluster.Leader(ctx, r.Topic, 0)
			if err == nil {
				r.Cluster.Proxies[leader].Set(h)
			}
			return err
		},
		Lasts: lasts,
		End:   func(ctx context.Context, r *Run) error { return r.Cluster.Mend(ctx) },
	}
}

// ConnectionsForgotten leaves all connections to brokers half open.
func ConnectionsForgotten() Fault {
	return Fault{Begin: func(_ context.Context, r *Run) error {
		for _, p := range r.Cluster.Proxies {
			p.Forget()
		}
		return nil
	}}
}

// DiskFull fills the disk of the broker that has one of its own, which ends it, and starts it again
// with room. The partitions that it led are led by others meanwhile.
func DiskFull() Fault {
	var free func() error
	return Fault{
		Begin: func(ctx context.Context, r *Run) (err error) {
			if free, err = r.Cluster.FillDisk(); err != nil {
				return err
			}
			select {
			case <-r.Cluster.Brokers[cramped].Exited():
				r.Cluster.Kill(cramped) // it is gone: only its handle is told
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		Survivable: true,
		Lasts:      survived,
		End: func(ctx context.Context, r *Run) error {
			if err := free(); err != nil {
				return err
			}
			return r.Cluster.Start(ctx, cramped)
		},
	}
}
