//go:build !race

package rest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/valyala/fasthttp"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
	"millrace/metadata"
	"millrace/server"
)

// TestMetadataAllocations holds the budget of responses from the cache: negotiated, looked up and
// encoded without an allocation. The router's own allocations, for path parameters, are extra.
func TestMetadataAllocations(t *testing.T) {
	const topic = "a.topic.with-a-name-longer-than-a-small-buffer"
	admin, err := kafka.NewAdmin(kafka.Settings{Brokers: testkit.Fake(t, kfake.SeedTopics(3, topic)).Addrs})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	log := slog.New(slog.DiscardHandler)
	cache := metadata.New(admin, metadata.Settings{MaxAge: time.Hour}, log)
	defer cache.Close()
	if err := cache.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	edge := server.New(server.Settings{}, server.Deps{Logger: log})
	m := NewMetadata(edge, NewMedia(Settings{}, false), cache)
	edge.Handle(m.Routes()...)
	f := func(path string, h server.Handler) {
		t.Helper()
		want := 200
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI(path)
		ctx.Request.Header.SetMethod("GET")
		ctx.Request.Header.SetHost("h")
		edge.Handler()(&ctx) // enters the path's parameters
		if ctx.Response.StatusCode() != 200 || len(ctx.Response.Body()) == 0 {
			t.Errorf("%s: %d %s", path, ctx.Response.StatusCode(), ctx.Response.Body())
		}
		ask := func() {
			ctx.Response.Reset()
			err := m.media.negotiate(&ctx)
			if err == nil {
				err = h(&ctx)
			}
			if err != nil || ctx.Response.StatusCode() != want {
				t.Errorf("%s: %d, %v", path, ctx.Response.StatusCode(), err)
			}
		}
		if n := testing.AllocsPerRun(100, ask); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
		tag := ctx.Response.Header.Peek("ETag")
		if len(tag) == 0 {
			return
		}
		ctx.Request.Header.SetBytesV("If-None-Match", tag)
		want = 304
		if n := testing.AllocsPerRun(100, ask); n != 0 {
			t.Errorf("%s: %v allocations to say that nothing changed", path, n)
		}
	}
	f("/", m.root)
	f("/topics", m.listTopics)
	f("/topics/"+topic, m.describeTopic)
	f("/topics/"+topic+"/partitions", m.listPartitions)
	f("/topics/"+topic+"/partitions/2", m.describePartition)
	f("/brokers", m.listBrokers)
}
