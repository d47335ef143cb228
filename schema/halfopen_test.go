package schema

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// A connection that leads nowhere, as after a firewall has forgotten it, is given up. With HTTP/2
// the time-out of a look-up does not end it.
func TestHalfOpenConnection(t *testing.T) {
	var protocol atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(int32(r.ProtoMajor))
		_, _ = io.WriteString(w, `["AVRO"]`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	between, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer between.Close()
	var lost atomic.Bool // what comes from the first connection
	go func() {
		for n := 0; ; n++ {
			near, err := between.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				near.Close()
				continue
			}
			go pass(far, near, func() bool { return n == 0 && lost.Load() })
			go pass(near, far, func() bool { return false })
		}
	}()
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig
	trust.ServerName = "example.com"
	const limit = 300 * time.Millisecond
	c, err := newClient(Settings{URLs: []string{"https://" + between.Addr().String()}, TLS: trust, Timeout: limit}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return c.callAny(ctx, func(ctx context.Context, cl *sr.Client) error {
			_, err := cl.SupportedTypes(ctx)
			return err
		})
	}
	if err := ask(); err != nil || protocol.Load() != 2 {
		t.Fatalf("over HTTP/%d: %v", protocol.Load(), err)
	}
	lost.Store(true)
	err = ask()
	if !isOutage(err) {
		t.Fatalf("the connection that leads nowhere: %v", err)
	}
	for tries := 0; err != nil; tries++ { // one is enough where the timers of both sides are on time
		if tries == 10 {
			t.Fatalf("after it: %v", err)
		}
		err = ask()
	}
}

// pass copies what comes from one side to the other, but for what comes while dropped is true.
func pass(to, from net.Conn, dropped func() bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if n > 0 && !dropped() {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
