package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"millrace/codec/json"
	"millrace/config"
	"millrace/ingest"
	"millrace/ingest/deadletter"
)

// eachRefused calls f for each record that is selected of the spool's folder of dead events.
func (c *deadEvents) eachRefused(ctx context.Context, f func(ingest.DeadRecord) error) error {
	if c.Reason != "" {
		return errors.New("the folder of a spool has no reasons; leave out --reason")
	}
	taken := 0
	skipped, err := ingest.ReadDead(c.Spool, func(r ingest.DeadRecord) error {
		if c.Route != "" && r.Route != c.Route || c.Topic != "" && r.Topic != c.Topic || c.Since > 0 && time.Since(r.Kept) > c.Since {
			return nil
		}
		if taken++; c.Limit > 0 && taken > c.Limit {
			return deadletter.ErrMore
		}
		return errors.Join(f(r), ctx.Err())
	})
	if skipped > 0 {
		fmt.Fprintf(os.Stderr, "%d entries of %s cannot be read, and are left out\n", skipped, c.Spool)
	}
	return err
}

// showRefused prints the records.
func (c *deadEvents) showRefused(ctx context.Context) error {
	return shownAll(c.eachRefused(ctx, func(r ingest.DeadRecord) error {
		line, err := json.Marshal(deadletter.RefusedOf(r.Record, r.Route, r.Kept))
		if err == nil {
			_, err = fmt.Printf("%s\n", line)
		}
		return err
	}))
}

// replayRefused writes the records to their topics. It fails if one is refused again, or if there
// are more than --limit; the folder keeps all of them.
func (c *deadEvents) replayRefused(ctx context.Context, cfg *config.Config) error {
	w, err := deadletter.NewWriter(c.brokersOf(cfg.KafkaProduce))
	if err != nil {
		return err
	}
	defer w.Close()
	sent, refused := 0, 0
	err = c.eachRefused(ctx, func(r ingest.DeadRecord) error {
		sent++
		if err := w.Write(ctx, r.Record); err != nil {
			refused++
			fmt.Fprintf(os.Stderr, "route %s: %v\n", r.Route, err)
		}
		return nil
	})
	fmt.Printf("%d events were written, %d of them were refused\n", sent, refused)
	if err == nil && refused > 0 {
		err = errors.New("some events are refused again")
	}
	return err
}
