//go:build !race

package server

import (
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/valyala/fasthttp"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
	"millrace/metadata"
)

// TestMetadataAllocations holds the budget of what is answered from the cache:
// negotiated, looked up and encoded without an allocation. The router's own, for
// the parameters of a path, come on top.
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
	s := New(Settings{}, Deps{Metadata: cache, Logger: log})
	f := func(path string, h handler) {
		t.Helper()
		want := 200
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI(path)
		ctx.Request.Header.SetMethod("GET")
		s.router.Handler(&ctx) // enters the path's parameters
		if ctx.Response.StatusCode() != 200 || len(ctx.Response.Body()) == 0 {
			t.Errorf("%s: %d %s", path, ctx.Response.StatusCode(), ctx.Response.Body())
		}
		rt := route{media: jsonAnswer, handler: h}
		ask := func() {
			ctx.Response.Reset()
			if err := s.answerTo(rt, &ctx); err != nil || ctx.Response.StatusCode() != want {
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
	f("/", (*Server).root)
	f("/topics", (*Server).listTopics)
	f("/topics/"+topic, (*Server).describeTopic)
	f("/topics/"+topic+"/partitions", (*Server).listPartitions)
	f("/topics/"+topic+"/partitions/2", (*Server).describePartition)
	f("/brokers", (*Server).listBrokers)
}
