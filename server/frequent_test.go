package server

import (
	"bufio"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// A parameter is that of its own request, whatever the connection asked for before, and the same as
// the router finds.
func TestFrequentRoutes(t *testing.T) {
	says := func(name string) Handler {
		return func(ctx *fasthttp.RequestCtx) error {
			topic, err := PathParam(ctx, "topic")
			ctx.SetBodyString(name + " " + topic)
			return err
		}
	}
	s, addr := edgeOf(
		t, Deps{},
		Route{Method: "POST", Path: "/topics/{topic}", Action: Produce, Handle: says("produce")},
		Route{Method: "GET", Path: "/topics/{topic}", Handle: says("get")},
		Route{Method: "POST", Path: "/topics/{topic}/partitions/{partition}", Action: Produce, Handle: says("partition")},
	)
	if len(s.frequent) != 1 {
		t.Fatalf("%d frequent routes", len(s.frequent))
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	long := strings.Repeat("x", MaxName)
	for _, c := range []struct{ method, path, want string }{
		{"POST", "/topics/a", "produce a"},
		{"POST", "/topics/a", "produce a"},
		{"POST", "/topics/b", "produce b"},
		{"POST", "/topics/a", "produce a"},
		{"POST", "/topics/aa//", "produce aa"},
		{"POST", "/topics/a%2Fb%20?key=k", "produce a/b "},
		{"POST", "/topics/" + long, "produce " + long},
		{"POST", "/topics/" + long + strings.Repeat("y", maxFrequent), "too long"},
		{"GET", "/topics/c", "get c"},
		{"POST", "/topics/d/partitions/0", "partition d"},
		{"POST", "/topics//partitions", "nothing at"},
		{"POST", "/topics/", "nothing at"},
		{"POST", "/topics/a", "produce a"},
	} {
		request := c.method + " " + c.path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
		status, body := exchange(t, conn, in, request)
		if !strings.Contains(body, c.want) {
			t.Errorf("%s %.60s: %d %.200s, not %.60s", c.method, c.path, status, body, c.want)
		}
	}
}

// A literal beside the parameter would never get a request.
func TestFrequentRouteHidesNoOther(t *testing.T) {
	nothing := func(*fasthttp.RequestCtx) error { return nil }
	produce := Route{Method: "POST", Path: "/topics/{topic}", Action: Produce, Handle: nothing}
	literal := Route{Method: "POST", Path: "/topics/all", Handle: nothing}
	for _, routes := range [][]Route{{produce, literal}, {literal, produce}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s and then %s were taken", routes[0].Path, routes[1].Path)
				}
			}()
			s := New(Settings{}, Deps{Logger: slog.New(slog.DiscardHandler)})
			s.Handle(routes[0])
			s.Handle(routes[1])
		}()
	}
}
