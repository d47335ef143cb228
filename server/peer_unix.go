//go:build unix && !linux

package server

import (
	"errors"
	"net"
	"syscall"
)

// ended reports whether the next event on the connection is its end, and in reset whether the
// other side has not read everything. On TLS, whose own end comes first, it cannot detect it.
func ended(c *net.TCPConn) (end, reset bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, false
	}
	_ = raw.Control(func(fd uintptr) { // an error: we have closed it ourselves
		var next [1]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		reset = errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
		end = reset || n == 0 && err == nil
	})
	return end, reset
}
