//go:build unix

package server

import "syscall"

// openFilesLimit returns how many files the process may have open.
func openFilesLimit() (limit uint64, known bool) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, false
	}
	return uint64(r.Cur), true
}
