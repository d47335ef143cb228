package metadata

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// newLimit allows one event per interval on average, and a burst after a pause.
func newLimit(interval time.Duration, burst int) *rate.Limiter {
	return rate.NewLimiter(rate.Every(interval), burst)
}

// isReady reports whether an event would be allowed now.
func isReady(limit *rate.Limiter) bool { return limit.Tokens() >= 1 }

// reserve reserves the next event and returns when it is due, or with ctx's error. With
// [rate.Limiter.Wait] the error would be one that no table of errors knows.
func reserve(ctx context.Context, limit *rate.Limiter) error {
	next := limit.Reserve()
	pause := next.Delay()
	if pause == 0 {
		return nil
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		next.Cancel()
		return ctx.Err()
	}
}
