package lab

import (
	"time"

	"golang.org/x/sys/unix"
)

// ProcessCPU returns the processor time that this process has used so far, to the
// nanosecond. Other programs of the machine have little influence on it.
func ProcessCPU() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// ThreadCPU returns the processor time that the calling thread has used so far. The
// caller holds its thread by [runtime.LockOSThread]; otherwise two calls may read
// the clocks of two threads.
func ThreadCPU() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

func clock(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		panic("BUG: the kernel has no clock of processor time: " + err.Error())
	}
	return time.Duration(t.Nano())
}
