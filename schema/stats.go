package schema

import (
	"sync/atomic"
	"time"

	"millrace/internal/apierr"
	"millrace/metrics"
)

// figures count requests to the registry by result.
type figures struct {
	answered, failed, away, timedOut atomic.Uint64
	time                             atomic.Int64
}

func (f *figures) add(err error, took time.Duration) {
	f.time.Add(int64(took))
	switch {
	case apierr.RegistryAway.Is(err):
		f.away.Add(1)
	case apierr.RegistryTimedOut.Is(err):
		f.timedOut.Add(1)
	case isFault(err):
		f.failed.Add(1)
	default: // a refusal is a response too
		f.answered.Add(1)
	}
}

// Stats returns the state of the registry client, for the metrics.
func (r *Registry) Stats() metrics.Schemas {
	f := &r.client.figures
	wanted, _ := r.wanted.size()
	byID, _ := r.byID.size()
	return metrics.Schemas{
		Hits:     r.wanted.hits.Load() + r.byID.hits.Load(),
		Misses:   r.wanted.misses.Load() + r.byID.misses.Load(),
		Cached:   wanted + byID,
		Answered: f.answered.Load(),
		Failed:   f.failed.Load(),
		Away:     f.away.Load(),
		TimedOut: f.timedOut.Load(),
		Time:     time.Duration(f.time.Load()),
	}
}
