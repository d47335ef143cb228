package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// An exchange may be stopped when it is over, by what has seen rights change or credentials end.
// That stops no other request on its connection.
func TestExchangeIsStoppedTooLate(t *testing.T) {
	var s *Server
	begun := make(chan *Exchange, 1)
	s, addr := edgeOf(t, Deps{}, Route{Method: "POST", Path: "/stream", Streamed: true, Handle: func(ctx *fasthttp.RequestCtx) error {
		return s.Exchange(ctx, MediaJSON, func(x *Exchange) error {
			begun <- x
			for piece := make([]byte, 16); ; {
				n, err := x.Receive(piece)
				if n > 0 {
					err = errors.Join(err, x.Send(piece[:n]))
				}
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
			}
		})
	}})
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for range 3 {
		if status, body := exchange(t, conn, in, "POST /stream HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"); status != 200 || body != "abc" {
			t.Fatalf("%d %q", status, body)
		}
		(<-begun).Stop()
	}
}
