package main

import "context"

// memorySuite measures what millrace holds under many connections of one-record
// requests, and under large ones.
func (b *bench) memorySuite(ctx context.Context) error {
	for _, p := range []point{
		{Records: 1, Connections: 128},
		{Records: 1000, Connections: 16},
	} {
		p.ValueBytes, p.Compression = b.opts.valueBytes[0], "none"
		own := contender{server: millraceJSON, run: b.millraceWith("json"), kafka: true}
		if err := b.producePoint(ctx, "memory", p, []contender{own}); err != nil {
			return err
		}
	}
	return nil
}
