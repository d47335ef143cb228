//go:build !unix

package server

import "net"

// ended cannot detect the end on this system before a read.
func ended(*net.TCPConn) (end, reset bool) { return false, false }
