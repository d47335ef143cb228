//go:build unix

package spool

import (
	"os"
	"syscall"
)

// lock takes the lock of a folder. The kernel drops it when the file is closed, or the process
// ends in whatever way.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
