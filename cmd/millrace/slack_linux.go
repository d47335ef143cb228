package main

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The runtime's monitor thread (sysmon) naps for 20 µs at a time during the first millisecond after
// each moment in which the process had nothing to do. A node has such a moment between most
// responses of Kafka, so the monitor is hardly ever calm: at 26,000 requests a second it took 12 %
// of the node's CPU. The kernel may end a thread's sleep late by its timer slack, 50 µs unless
// somebody sets it; with a whole millisecond the monitor sleeps about as long as it does when it is
// calm. All other timers of a node are of milliseconds.
const (
	defaultSlack = 50 * time.Microsecond
	timerSlack   = time.Millisecond
)

// relaxTimers gives all threads of the process the [timerSlack]. A thread has that of the one that
// started it, and may not set another's, and the monitor has started before any code of ours: so
// the program starts itself once more, as the same process, which keeps the slack (prctl(2),
// PR_SET_TIMERSLACK). Another slack than the default, such as systemd's TimerSlackNSec=, stays as
// it is. Where this cannot be done the node runs as well without it.
func relaxTimers() {
	runtime.LockOSThread() // the thread that asks, sets, and becomes the new program's
	defer runtime.UnlockOSThread()
	if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || slack != int(defaultSlack) {
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0); err != nil {
		return
	}
	_ = syscall.Exec(program, os.Args, os.Environ()) // returns only where it fails
}
