package check

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answering listens and answers the requests of each connection with texts, one each; "" ends
// the connection, "hold" keeps it without an answer.
func answering(t *testing.T, texts ...string) (url string, requests chan *http.Request) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	requests = make(chan *http.Request, 10)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go serveTexts(conn, texts, requests)
		}
	}()
	return "http://" + ln.Addr().String(), requests
}

func serveTexts(conn net.Conn, texts []string, requests chan<- *http.Request) {
	reader := bufio.NewReader(conn)
	for _, text := range texts {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		requests <- req
		switch text {
		case "":
			conn.Close()
			return
		case "hold":
			return
		}
		if _, err := conn.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
			return
		}
	}
	conn.Close()
}

func lineTo(t *testing.T, timeout time.Duration, urls ...string) *line {
	t.Helper()
	var endpoints []*endpoint
	for _, u := range urls {
		e, err := newEndpoint(u, http.Header{"X-Secret": {"s"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		endpoints = append(endpoints, e)
	}
	l := newLine(endpoints, 0, timeout)
	t.Cleanup(l.close)
	return l
}

const fine = "HTTP/1.1 200 OK\nContent-Length: 2\n\n[]"

// TestLine holds what is known after each way in which a request can end.
func TestLine(t *testing.T) {
	get := request{method: "GET", path: "/x?y=1", accept: mediaV2}
	for _, c := range []struct {
		name    string
		answers []string
		timeout time.Duration
		outcome []Outcome
		late    bool // the last
		conns   int
	}{
		{"one connection for all", []string{fine, fine, fine}, time.Minute, []Outcome{OK, OK, OK}, false, 1},
		{"closed after an answer", []string{strings.Replace(fine, "\n\n", "\nConnection: close\n\n", 1)}, time.Minute, []Outcome{OK, OK}, false, 2},
		{"closed instead of an answer", []string{fine, ""}, time.Minute, []Outcome{OK, Unknown, OK}, false, 2},
		{"half an answer", []string{"HTTP/1.1 200 OK\nContent-Length: 200\n\n["}, time.Minute, []Outcome{Unknown, Unknown}, false, 2},
		{"no answer", []string{"hold"}, 100 * time.Millisecond, []Outcome{Unknown}, true, 1},
		{"an error", []string{"HTTP/1.1 503 x\nContent-Length: 20\n\n{\"error_code\":50301}"}, time.Minute, []Outcome{Failed}, false, 1},
		{"an error that is none of ours", []string{"HTTP/1.1 504 x\nContent-Length: 0\n\n"}, time.Minute, []Outcome{Unknown}, false, 1},
	} {
		url, requests := answering(t, c.answers...)
		l := lineTo(t, c.timeout, url)
		var op Op
		for i, want := range c.outcome {
			op = Op{}
			if op.settle(l.do(t.Context(), get)); op.Outcome != want {
				t.Errorf("%s: request %d is %s (%s), want %s", c.name, i, op.Outcome, op.Note, want)
			}
			if req := <-requests; req.URL.String() != "/x?y=1" || req.Header.Get("Accept") != mediaV2 || req.Header.Get("X-Secret") != "s" {
				t.Errorf("%s: it was sent as %v %v", c.name, req.URL, req.Header)
			}
		}
		if op.Late != c.late || l.number != c.conns {
			t.Errorf("%s: late is %v, and there were %d connections, want %v and %d", c.name, op.Late, l.number, c.late, c.conns)
		}
	}
}

// TestLineGoesOn has a client begin at a node that is not there: nothing was sent, and the
// next request goes to the next node.
func TestLineGoesOn(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + ln.Addr().String()
	ln.Close()
	url, _ := answering(t, fine)
	l := lineTo(t, time.Minute, gone, url)
	for _, want := range []Outcome{Failed, OK} {
		var op Op
		if op.settle(l.do(t.Context(), request{method: "GET", path: "/"})); op.Outcome != want {
			t.Errorf("%s (%s), want %s", op.Outcome, op.Note, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	e, err := newEndpoint("https://user:pass@proxy/base/", nil, nil)
	if err != nil || e.host != "proxy:443" || e.name != "proxy" || e.path != "/base" || e.secure.ServerName != "proxy" || e.headers.Get("Authorization") == "" {
		t.Errorf("%+v, %v", e, err)
	}
	for _, bad := range []string{"", "proxy:8082", "ftp://proxy", "http://user:secret@ab cd"} {
		if _, err := newEndpoint(bad, nil, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
