package api_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"

	"millrace/internal/testkit"
)

// BenchmarkKeepAlive is a request on a connection that is kept, plain and by TLS 1.3. Both ends are
// in this process. cpu-ns/op is the CPU of both, which the load of a machine changes less than the
// time that it takes.
func BenchmarkKeepAlive(b *testing.B) {
	plain := start(b, testkit.Fake(b).Broker)
	_, dial := startTLS(b, testkit.Fake(b).Broker, func(*stackOptions) {})
	run := func(name string, conn net.Conn) {
		b.Run(name, func(b *testing.B) {
			if secure, ok := conn.(*tls.Conn); ok && secure.ConnectionState().Version != tls.VersionTLS13 {
				b.Fatal("the connection is not of TLS 1.3")
			}
			in := bufio.NewReader(conn)
			b.ReportAllocs()
			before := usedCPU(b)
			for b.Loop() {
				if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
					b.Fatal(err)
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil || resp.StatusCode != 200 {
					b.Fatal(resp, err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(usedCPU(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
	run("plain", plain.raw(b))
	run("tls", dial(b))
}

// usedCPU returns the CPU time in nanoseconds that the process has used.
func usedCPU(b *testing.B) int64 {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}
