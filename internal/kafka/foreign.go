package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"
)

// sniffFor bounds an attempt to find out what listens at an address.
const sniffFor = 2 * time.Second

// IsWebServer reports whether a server of HTTP listens at an address, in place of a broker. Such a
// server often waits for the end of a line that Kafka's protocol does not have, so that a client of
// Kafka learns nothing but that it does not answer.
func IsWebServer(ctx context.Context, s Settings, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, sniffFor)
	defer cancel()
	conn, err := dialTo(ctx, s, address)
	if err != nil {
		return false
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok && conn.SetDeadline(deadline) != nil {
		return false
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		return false
	}
	begin := make([]byte, len("HTTP/"))
	_, err = io.ReadFull(conn, begin)
	return err == nil && bytes.Equal(begin, []byte("HTTP/"))
}

func dialTo(ctx context.Context, s Settings, address string) (net.Conn, error) {
	if s.TLS != nil {
		d := tls.Dialer{Config: s.TLS}
		return d.DialContext(ctx, "tcp", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}
