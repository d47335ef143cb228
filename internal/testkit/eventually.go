package testkit

import (
	"testing"
	"time"
)

// Eventually returns when is does, looking every few milliseconds, and fails t
// when that takes longer than timeout. It is for conditions that nothing tells
// of; where there is a channel, an answer or a line of output, wait for that.
// is runs on the caller's goroutine. what completes "waited in vain for …".
func Eventually(t testing.TB, timeout time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s (%v)", what, timeout)
		}
	}
}
