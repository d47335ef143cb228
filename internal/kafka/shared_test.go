package kafka

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The request of a caller that gives up goes on, for others share its connection, and
// ends by itself.
func TestSharedRequestsOutliveTheirCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, giveUp := context.WithCancel(t.Context())
		began := time.Now()
		ended := make(chan time.Duration, 1)
		time.AfterFunc(time.Second, giveUp)
		_, err := shared(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			ended <- time.Since(began)
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if after := <-ended; after != sharedTimeout {
			t.Errorf("the request ended after %v", after)
		}
	})
}
