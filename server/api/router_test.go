package api_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/valyala/fasthttp"

	"millrace/server"
)

// For every method and path the router responds with a status of its own and an error body, and
// does not panic.
func FuzzRouter(f *testing.F) {
	for _, seed := range [][2]string{
		{"GET", "/topics/%2e%2e/partitions/0"},
		{"POST", "/topics/t/"},
		{"DELETE", "/consumers/%zz/instances/i"},
		{"HEAD", "//topics"},
		{"OPTIONS", "*"},
		{"PATCH", "/topics/{topic}"},
		{"GET", "/topics/a/partitions/-1/offsets?x=%"},
		{"GET", "/consumers/g/instances/i/records"},
		{"BREW", "/"},
	} {
		f.Add(seed[0], seed[1])
	}
	var log bytes.Buffer
	s := server.New(server.Settings{MaxHeaderBytes: 4096, MaxBodyBytes: 1 << 20, MaxConnections: 100}, server.Deps{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for r := range everything().Routes() {
		r.Handle = func(ctx *fasthttp.RequestCtx) error {
			for _, name := range []string{"topic", "group", "instance", "partition"} {
				if _, err := server.PathParam(ctx, name); err != nil {
					return err
				}
			}
			return nil
		}
		s.Handle(r)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.Request.Header.SetHost("localhost") // without, none would reach a route
		ctx.Request.SetRequestURI(path)
		s.Handler()(&ctx)
		switch status := ctx.Response.StatusCode(); status {
		case 200, 204:
		case 400, 404, 405, 406, 415, 422:
			if !bytes.HasPrefix(ctx.Response.Body(), []byte(`{"error_code":`)) {
				t.Fatalf("%q %q: %d %q", method, path, status, ctx.Response.Body())
			}
		default:
			t.Fatalf("%q %q: %d %q\n%s", method, path, status, ctx.Response.Body(), &log)
		}
	})
}
