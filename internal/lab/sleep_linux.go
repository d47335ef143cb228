package lab

import (
	"syscall"
	"time"
)

// preciseSleep sleeps in the kernel, which is late by some 50 µs. It holds an
// operating system's thread, so it is for short times and few goroutines.
func preciseSleep(d time.Duration) {
	for end := time.Now().Add(d); d > 0; d = time.Until(end) {
		t := syscall.NsecToTimespec(d.Nanoseconds())
		_ = syscall.Nanosleep(&t, nil) // a signal may end it early
	}
}
