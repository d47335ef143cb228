//go:build !linux

package tune

import "time"

var began = time.Now()

// cpuTime is the time on the wall: all there is without Linux.
func cpuTime() time.Duration { return time.Since(began) }
