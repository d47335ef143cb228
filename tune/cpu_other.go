//go:build !linux

package tune

import "time"

var began = time.Now()

// cpuTime returns wall time, because only Linux has the thread's CPU time.
func cpuTime() time.Duration { return time.Since(began) }
