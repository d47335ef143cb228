package tune

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time that this thread has used, on which a busy machine has little
// influence. The caller has locked its thread.
func cpuTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic("BUG: no clock of the thread's CPU time: " + err.Error())
	}
	return time.Duration(t.Nano())
}
