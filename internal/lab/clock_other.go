//go:build !linux

package lab

import "time"

var began = time.Now()

// ProcessCPU returns the time on the wall: the clocks of processor time need Linux.
func ProcessCPU() time.Duration { return time.Since(began) }

// ThreadCPU returns the time on the wall, as [ProcessCPU] does.
func ThreadCPU() time.Duration { return time.Since(began) }
