package testkit

import (
	"syscall"
	"time"
)

// CPUTime is the processor time that this process has used so far. Unlike a clock's,
// its differences say little about what else runs on the machine.
func CPUTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // it has no reason to
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
