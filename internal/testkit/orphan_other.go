//go:build !linux

package testkit

import "syscall"

// childAttr puts a child into a process group of its own, so that the Ctrl-C of
// a terminal reaches it only through us. Only Linux can also have it killed
// when we die.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
