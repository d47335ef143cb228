package rest

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/server"
)

// beatEvery is how long a stream of changes may be silent: what stands between
// client and server gives up on silent connections.
const beatEvery = 15 * time.Second

// comeBack is when a client shall connect again after the end of a stream.
const comeBack = time.Second

// GET /metadata/changes: events, as long as the client likes. The first,
// "start", has the ETags of GET /topics and GET /brokers from which on changes
// are told; a client that has other ones reads again. "topics" has the names
// of topics that came, went or changed, "brokers" is what GET /brokers answers
// from now on.
func (m *Metadata) changes(ctx *fasthttp.RequestCtx) error {
	if _, err := m.cache.Answer(lookUp, metadata.Query{Of: metadata.AllTopics}); err != nil {
		return err
	}
	if ctx.IsHead() {
		ctx.SetContentType(server.MediaEvents)
		return nil
	}
	return m.edge.Stream(ctx, server.MediaEvents, m.sendChanges)
}

func (m *Metadata) sendChanges(st *server.Stream) error {
	w, err := m.cache.Watch(st.Context())
	if err != nil { // too late for a status
		return st.Send(server.CloseEvent(apierr.From(err).Append(server.OpenEvent(nil, "error"))))
	}
	defer w.Close()
	topics, brokers := w.Seen()
	next := server.OpenEvent(server.AppendRetry(nil, comeBack), "start")
	next = apierr.AppendJSONString(append(next, `{"topics":`...), topics.ETag)
	next = apierr.AppendJSONString(append(next, `,"brokers":`...), brokers.ETag)
	next = server.CloseEvent(append(next, '}'))
	for {
		if err := st.Send(next); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(st.Context(), beatEvery)
		changes, ok := w.Next(ctx)
		silent := ctx.Err() != nil
		cancel()
		switch {
		case ok:
			next = appendChanges(next[:0], changes)
		case st.Context().Err() != nil:
			return nil
		case silent:
			next = server.AppendBeat(next[:0])
		default: // the cache is closed
			return nil
		}
	}
}

// appendChanges appends the events that tell of ch.
func appendChanges(dst []byte, ch metadata.Changes) []byte {
	if len(ch.Created)+len(ch.Deleted)+len(ch.Changed) > 0 {
		dst = server.OpenEvent(dst, "topics")
		dst = appendNames(append(dst, `{"created":`...), ch.Created)
		dst = appendNames(append(dst, `,"deleted":`...), ch.Deleted)
		dst = appendNames(append(dst, `,"changed":`...), ch.Changed)
		dst = server.CloseEvent(append(dst, '}'))
	}
	if ch.Brokers != nil {
		dst = server.CloseEvent(append(server.OpenEvent(dst, "brokers"), ch.Brokers.Body...))
	}
	return dst
}

func appendNames(dst []byte, names []string) []byte {
	dst = append(dst, '[')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = apierr.AppendJSONString(dst, name)
	}
	return append(dst, ']')
}
