package server

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/metadata"
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
func (s *Server) changes(ctx *fasthttp.RequestCtx) error {
	if _, err := s.deps.Metadata.Answer(lookUp, metadata.Query{Of: metadata.AllTopics}); err != nil {
		return err
	}
	if ctx.IsHead() {
		ctx.SetContentType(mediaEvents)
		return nil
	}
	return s.stream(ctx, mediaEvents, s.sendChanges)
}

func (s *Server) sendChanges(st *stream) error {
	w, err := s.deps.Metadata.Watch(st.context())
	if err != nil { // too late for a status
		return st.send(closeEvent(apierr.From(err).Append(openEvent(nil, "error"))))
	}
	defer w.Close()
	topics, brokers := w.Seen()
	next := openEvent(appendRetry(nil, comeBack), "start")
	next = apierr.AppendJSONString(append(next, `{"topics":`...), topics.ETag)
	next = apierr.AppendJSONString(append(next, `,"brokers":`...), brokers.ETag)
	next = closeEvent(append(next, '}'))
	for {
		if err := st.send(next); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(st.context(), beatEvery)
		changes, ok := w.Next(ctx)
		silent := ctx.Err() != nil
		cancel()
		switch {
		case ok:
			next = appendChanges(next[:0], changes)
		case st.context().Err() != nil:
			return nil
		case silent:
			next = appendBeat(next[:0])
		default: // the cache is closed
			return nil
		}
	}
}

// appendChanges appends the events that tell of ch.
func appendChanges(dst []byte, ch metadata.Changes) []byte {
	if len(ch.Created)+len(ch.Deleted)+len(ch.Changed) > 0 {
		dst = openEvent(dst, "topics")
		dst = appendNames(append(dst, `{"created":`...), ch.Created)
		dst = appendNames(append(dst, `,"deleted":`...), ch.Deleted)
		dst = appendNames(append(dst, `,"changed":`...), ch.Changed)
		dst = closeEvent(append(dst, '}'))
	}
	if ch.Brokers != nil {
		dst = closeEvent(append(openEvent(dst, "brokers"), ch.Brokers.Body...))
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
