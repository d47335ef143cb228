package server

import (
	"net"

	"golang.org/x/sys/unix"
)

// ended reports whether the other side has ended the connection, even if unread bytes precede the
// end: the alert that ends TLS, or a pipelined request. reset reports that it did so without
// having read everything.
func ended(c *net.TCPConn) (end, reset bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, false
	}
	_ = raw.Control(func(fd uintptr) { // an error: we have closed it ourselves
		one := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(one[:], 0); n <= 0 || err != nil {
			return
		}
		reset = one[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
		end = reset || one[0].Revents&unix.POLLRDHUP != 0
	})
	return end, reset
}
