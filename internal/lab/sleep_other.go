//go:build !linux

package lab

import "time"

// preciseSleep is as good as Go's timers are.
func preciseSleep(d time.Duration) { time.Sleep(d) }
