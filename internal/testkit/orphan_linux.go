package testkit

import "syscall"

// childAttr puts a child into a process group of its own, so that the Ctrl-C of
// a terminal reaches it only through us, and has the kernel kill it when we
// die: a test that panics or times out leaves no broker behind.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
