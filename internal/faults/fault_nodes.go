package faults

import (
	"context"
	"fmt"
	"time"
)

// NodeTerminated asks the first node to end (SIGTERM), and starts it again when it has.
func NodeTerminated() Fault {
	return Fault{
		Begin: func(_ context.Context, r *Run) error {
			if code := r.Nodes[0].terminate(r.t); code != 0 {
				return fmt.Errorf("the node exited with %d", code)
			}
			return nil
		},
		End: restartNode,
	}
}

// NodeKilled ends the first node by SIGKILL, and starts it again later.
func NodeKilled(lasts time.Duration) Fault {
	return Fault{
		Begin: func(_ context.Context, r *Run) error {
			r.Nodes[0].kill(r.t)
			return nil
		},
		Lasts: lasts,
		End:   restartNode,
	}
}

func restartNode(_ context.Context, r *Run) error {
	r.Nodes[0].start(r.t)
	return nil
}

// RegistryAway has the network refuse connections to the schema registry.
func RegistryAway(lasts time.Duration) Fault {
	return Fault{
		Begin: func(_ context.Context, r *Run) error {
			r.Registry.Refuse()
			return nil
		},
		Lasts: lasts,
		End:   func(_ context.Context, r *Run) error { return r.Registry.Accept() },
	}
}

// RegistrySlow has the network delay what the schema registry is asked and answers.
func RegistrySlow(h Harm, lasts time.Duration) Fault {
	return Fault{
		Begin: func(_ context.Context, r *Run) error {
			r.Registry.Set(h)
			return nil
		},
		Lasts: lasts,
		End: func(_ context.Context, r *Run) error {
			r.Registry.Set(Harm{})
			return nil
		},
	}
}
