package rest

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/server"
)

// beatEvery is how long a stream of changes may be silent: proxies between client and node close
// silent connections.
const beatEvery = 15 * time.Second

// comeBack is how long a client waits before it connects again after the end of a stream.
const comeBack = time.Second

// changes handles GET /metadata/changes: events, until the client disconnects. The first,
// "start", has the ETags of GET /topics and GET /brokers that the changes are relative to; a
// client with other ETags reads both again. "topics" has the names of topics that were created,
// deleted or changed, "brokers" has the new response of GET /brokers.
func (m *Metadata) changes(ctx *fasthttp.RequestCtx) error {
	if _, err := m.cache.Answer(lookUp, metadata.Query{Of: metadata.AllTopics}); err != nil {
		return err
	}
	if ctx.IsHead() {
		ctx.SetContentType(server.MediaEvents)
		return nil
	}
	caller := server.CallerOf(ctx)
	var now atomic.Pointer[auth.Identity]
	now.Store(caller)
	server.KeepWhile(ctx, func(caller *auth.Identity) error {
		now.Store(caller)
		return nil
	})
	return m.edge.Stream(ctx, server.MediaEvents, func(st *server.Stream) error { return m.sendChanges(st, caller, &now) })
}

// audience is what the reader of a stream of changes may see.
type audience struct {
	topics  func(string) bool // nil: all
	brokers bool
}

func audienceOf(caller *auth.Identity) audience {
	return audience{topics: visibleTo(caller), brokers: caller.May(server.Describe, server.Cluster, brokersPath)}
}

// visibleTo returns which topics the caller may see; nil: all.
func visibleTo(caller *auth.Identity) func(string) bool {
	if caller.MayAll(server.Describe, server.Topic) {
		return nil
	}
	return func(topic string) bool { return caller.May(server.Describe, server.Topic, topic) }
}

// same reports whether o sees what to sees of the state that the watcher has come to.
func (to audience) same(o audience, w *metadata.Watcher) bool {
	topics, _ := w.Seen(to.topics)
	others, _ := w.Seen(o.topics)
	return to.brokers == o.brokers && topics.ETag == others.ETag
}

// of returns the changes that the reader may see; ok is false where there are none.
func (to audience) of(ch metadata.Changes) (_ metadata.Changes, ok bool) {
	if !to.brokers {
		ch.Brokers = nil
	}
	if to.topics != nil {
		for _, list := range []*[]string{&ch.Created, &ch.Deleted, &ch.Changed} {
			*list = slices.DeleteFunc(*list, func(topic string) bool { return !to.topics(topic) })
		}
	}
	return ch, ch.Brokers != nil || len(ch.Created)+len(ch.Deleted)+len(ch.Changed) > 0
}

// sendChanges tells the caller of changes. now is the caller with the rights of the time: the
// stream ends when it sees something else by them, since what was told would not fit what is told
// next.
func (m *Metadata) sendChanges(st *server.Stream, caller *auth.Identity, now *atomic.Pointer[auth.Identity]) error {
	w, err := m.cache.Watch(st.Context())
	if err != nil { // too late for a status
		return st.Send(server.CloseEvent(codec.AppendError(server.OpenEvent(nil, "error"), apierr.From(err))))
	}
	defer w.Close()
	to := audienceOf(caller)
	topics, brokers := w.Seen(to.topics)
	next, err := appendEvent(server.AppendRetry(nil, comeBack), "start", startAnswer{topics.ETag, brokers.ETag})
	if err != nil {
		return err
	}
	for {
		if err := st.Send(next); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(st.Context(), beatEvery)
		changes, ok := w.Next(ctx)
		silent := ctx.Err() != nil
		cancel()
		sees := to
		if latest := now.Load(); latest != caller {
			if caller, to = latest, audienceOf(latest); !sees.same(to, w) {
				return nil
			}
		}
		switch {
		case ok:
			if changes, ok = sees.of(changes); !ok {
				next = server.AppendBeat(next[:0])
				continue
			}
			if next, err = appendChanges(next[:0], changes); err != nil {
				return err
			}
		case st.Context().Err() != nil:
			return nil
		case silent:
			next = server.AppendBeat(next[:0])
		default: // the cache is closed
			return nil
		}
	}
}

// appendChanges appends the events for ch.
func appendChanges(dst []byte, ch metadata.Changes) (_ []byte, err error) {
	if len(ch.Created)+len(ch.Deleted)+len(ch.Changed) > 0 {
		dst, err = appendEvent(dst, "topics", changesAnswer{names(ch.Created), names(ch.Deleted), names(ch.Changed)})
	}
	if ch.Brokers != nil {
		dst = server.CloseEvent(append(server.OpenEvent(dst, "brokers"), ch.Brokers.Body...))
	}
	return dst, err
}

// appendEvent appends an event with v as JSON, which has no line breaks.
func appendEvent(dst []byte, name string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return server.CloseEvent(append(server.OpenEvent(dst, name), text...)), err
}
