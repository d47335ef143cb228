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
func (p *proxy) newTracing(cfg *config.Config) (*tracing.Tracing, error) {
	s := cfg.Tracing
	s.Version, s.Instance, s.Logger = version, cfg.ID, p.log
	if !tracing.Wanted(s) {
		return nil, nil
	}
	t, err := tracing.New(s)
	if err != nil {
		return nil, err
	}
	p.log.Info("requests are traced", "ratio", s.Ratio)
	return t, nil
}

// closeTracing hands over the last spans. A collector that is away holds up
// the end for no longer than flushTraces.
func (p *proxy) closeTracing(ctx context.Context) {
	if p.tracing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTraces)
	defer cancel()
	if err := p.tracing.Close(ctx); err != nil {
		p.log.Warn("the last traces are lost", "err", err)
	}
}
