package main

import "context"

// memorySuite measures what millrace holds under many connections of one-record
// requests, and under large ones.
func (b *bench) memorySuite(ctx context.Context) error {
	many, large := b.plainPlace("memory", 1), b.plainPlace("memory", 1000)
	many.Connections = 128
	for _, at := range []place{many, large} {
		own := contender{server: millraceJSON, at: at, run: b.runMillrace, kafka: true}
		if err := b.produceRows(ctx, []contender{own}); err != nil {
			return err
		}
	}
	return nil
}
