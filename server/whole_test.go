package server

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (ours, client *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return accepted.(*net.TCPConn), dialled.(*net.TCPConn)
}

// A response of which the body is known is complete with the first piece of it, however the rest
// is cut; what is not that response is written as it comes.
func TestWhole(t *testing.T) {
	const header = "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n"
	body := bytes.Repeat([]byte("0123456789"), 4000)
	response := header + string(body)
	for name, c := range map[string]struct {
		body   []byte
		pieces []string
		first  int // bytes that the client has after the first piece
	}{
		"two pieces":          {body, []string{response[:8192], response[8192:]}, len(response)},
		"three pieces":        {body, []string{response[:8192], response[8192:16384], response[16384:]}, len(response)},
		"another one behind":  {body, []string{response[:8192], response[8192:] + header, string(body)}, len(response)},
		"another one before":  {body, []string{header + response[:8000], response[8000:]}, len(header) + 8000},
		"the header alone":    {body, []string{header, string(body)}, len(header)},
		"without a body":      {body, []string{header}, len(header)},
		"another body":        {body[1:], []string{response[:8192], response[8192:]}, 8192},
		"of unknown body":     {nil, []string{response[:8192], response[8192:]}, 8192},
		"no header":           {body, []string{string(body[:8192]), string(body[8192:])}, 8192},
		"all in one piece":    {body, []string{response}, len(response)},
		"a body of new lines": {[]byte("\r\n\r\n\r\n\r\n"), []string{"a: b\r\n\r\n\r\n", "\r\n\r\n\r\n"}, len("a: b\r\n\r\n") + 8},
	} {
		t.Run(name, func(t *testing.T) {
			ours, client := tcpPair(t)
			w := whole{body: c.body}
			sent, got := "", make([]byte, 100_000)
			for i, piece := range c.pieces {
				sent += piece
				if n, err := w.write(ours, []byte(piece)); n != len(piece) || err != nil {
					t.Fatalf("piece %d: %d of %d bytes, %v", i, n, len(piece), err)
				}
				if i > 0 {
					continue
				}
				if _, err := io.ReadFull(client, got[:c.first]); err != nil {
					t.Fatal(err)
				}
			}
			ours.Close()
			rest, err := io.ReadAll(client)
			if err != nil {
				t.Fatal(err)
			}
			if all := string(got[:c.first]) + string(rest); all != sent {
				t.Errorf("the client got %d bytes, which begin with %.60q, not the %d that were written", len(all), all, len(sent))
			}
			if len(c.pieces[0]) < c.first && w.parts[1] != nil {
				t.Error("the body is still held")
			}
		})
	}
}

// A write that fails returns an error, and counts no more bytes than it was given.
func TestWholeFails(t *testing.T) {
	ours, _ := tcpPair(t)
	ours.Close()
	body := strings.Repeat("b", 20_000)
	w := whole{body: []byte(body)}
	if n, err := w.write(ours, []byte("h\r\n\r\n"+body[:8187])); n != 0 || err == nil {
		t.Errorf("it wrote %d bytes, %v", n, err)
	}
}
