package main

import (
	"context"
	"time"

	"millrace/config"
	"millrace/internal/tracing"
)

// flushTraces is how long the last spans may take to be handed over.
const flushTraces = 5 * time.Second

// newTracing returns what reports requests to a collector, nil where tracing is off.
func (n *node) newTracing(cfg *config.Config) (*tracing.Tracing, error) {
	s := cfg.Tracing
	s.Version, s.Instance, s.Logger = version, cfg.ID, n.log
	if !tracing.Wanted(s) {
		return nil, nil
	}
	t, err := tracing.New(s)
	if err != nil {
		return nil, err
	}
	n.log.Info("requests are traced", "ratio", s.Ratio)
	return t, nil
}

// closeTracing hands over the last spans. A collector that is away holds up
// the end for no longer than flushTraces.
func (n *node) closeTracing(ctx context.Context) {
	if n.tracing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTraces)
	defer cancel()
	if err := n.tracing.Close(ctx); err != nil {
		n.log.Warn("the last traces are lost", "err", err)
	}
}
