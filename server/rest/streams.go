package rest

import (
	"encoding/base64"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/reader"
	"millrace/server"
)

// Streams is the resource that reads records of a topic as they come, without an end.
type Streams struct {
	edge   *server.Server
	media  *Media
	cache  *metadata.Cache
	reader *reader.Reader
}

// NewStreams returns the resource. The cache reports whether a broker can be reached.
func NewStreams(edge *server.Server, m *Media, cache *metadata.Cache, r *reader.Reader) *Streams {
	return &Streams{edge, m, cache, r}
}

// Routes returns the resource's routes.
func (s *Streams) Routes() []server.Route {
	of := []string{"from", "timestamp", "format", "key", "key_base64", "on_decode_error", "headers", "timestamps"}
	all := server.Query{Known: append([]string{"partition"}, of...), Only: true}
	return []server.Route{
		{Method: "GET", Path: "/topics/{topic}/stream", Query: all, Action: server.Consume, Resource: server.Topic, Handle: s.topic},
		{Method: "GET", Path: partitionPath + "/stream", Query: server.Query{Known: of, Only: true}, Action: server.Consume, Resource: server.Topic, Handle: s.partition},
	}
}

// topic handles GET /topics/{topic}/stream.
func (s *Streams) topic(ctx *fasthttp.RequestCtx) error {
	var q reader.StreamRead
	lists, err := server.QueryTexts(ctx, "partition", maxPartitions, maxPartitions*(1+len("2147483647")))
	if err != nil {
		return err
	}
	for _, list := range lists {
		for item := range strings.SplitSeq(string(list), ",") {
			n, err := strconv.ParseInt(item, 10, 32)
			if len(q.Partitions) == maxPartitions {
				return apierr.Unprocessable.New("The query parameter partition may name %d partitions.", maxPartitions)
			}
			if err != nil || n < 0 {
				return apierr.BadRequest.New("The query parameter partition must be partition numbers, separated by commas, not %q.", list)
			}
			q.Partitions = append(q.Partitions, int32(n))
		}
	}
	return s.streamRecords(ctx, q)
}

// partition handles GET /topics/{topic}/partitions/{partition}/stream.
func (s *Streams) partition(ctx *fasthttp.RequestCtx) error {
	partition, err := pathPartition(ctx)
	if err != nil {
		return err
	}
	return s.streamRecords(ctx, reader.StreamRead{Partitions: []int32{partition}})
}

// streamRecords streams the path's topic with the options of the query.
func (s *Streams) streamRecords(ctx *fasthttp.RequestCtx, q reader.StreamRead) error {
	contentType, frames, err := negotiateStream(ctx)
	if err != nil {
		return err
	}
	q.Frames, q.Heartbeat = frames, s.media.settings.StreamHeartbeat
	if q.Topic, err = server.PathParam(ctx, "topic"); err != nil {
		return err
	}
	if err := s.media.queryStream(ctx, &q); err != nil {
		return err
	}
	if err := queryFrom(ctx, &q); err != nil {
		return err
	}
	if err := s.cache.Healthy(); err != nil {
		return err
	}
	st, err := s.reader.OpenStream(consume, q)
	if err != nil {
		return err
	}
	if ctx.IsHead() {
		ctx.SetContentType(contentType)
		return nil
	}
	return s.edge.Stream(ctx, contentType, func(to *server.Stream) error { return st.Run(to.Context(), to.Send) })
}

// negotiateStream picks, by Accept, the form of a stream: lines of JSON by default, or
// server-sent events.
func negotiateStream(ctx *fasthttp.RequestCtx) (string, reader.Frames, error) {
	accept := string(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	if accept == "" {
		accept = "*/*"
	}
	switch server.PickAccepted(accept, []string{server.MediaLines, server.MediaEvents}) {
	case server.MediaLines:
		return server.MediaLines, lines{}, nil
	case server.MediaEvents:
		return server.MediaEvents, events{}, nil
	}
	return "", nil, apierr.NotAcceptable.New("This answers with %s or %s, which Accept does not admit.", server.MediaLines, server.MediaEvents)
}

// queryRecords reads the form of a stream's records from the query.
func (m *Media) queryRecords(ctx *fasthttp.RequestCtx, show *reader.Show, u *reader.Undecodables) (err error) {
	if ctx.QueryArgs().Has("on_decode_error") {
		word, err := server.QueryText(ctx, "on_decode_error", server.MaxWord)
		if err != nil {
			return err
		}
		if *u, err = reader.ParseUndecodables(word); err != nil {
			return err
		}
	}
	return m.shownAs(ctx, show)
}

// queryStream reads the record options of a topic's stream from the query. The default format is
// JSON: a browser cannot set Accept.
func (m *Media) queryStream(ctx *fasthttp.RequestCtx, q *reader.StreamRead) (err error) {
	q.Format = codec.JSON
	if ctx.QueryArgs().Has("format") {
		word, err := server.QueryText(ctx, "format", server.MaxWord)
		if err != nil {
			return err
		}
		if q.Format, err = reader.ParseFormat(word); err != nil {
			return err
		}
	}
	if err := m.queryRecords(ctx, &q.Show, &q.Undecodable); err != nil {
		return err
	}
	keys, err := server.QueryTexts(ctx, "key", maxKeys, maxKey)
	if err != nil {
		return err
	}
	for _, key := range keys {
		q.Keys = append(q.Keys, []byte(string(key)))
		if q.Format == codec.JSON { // JSON text is in quotes
			q.Keys = append(q.Keys, json.AppendString(nil, string(key)))
		}
	}
	if keys, err = server.QueryTexts(ctx, "key_base64", maxKeys, base64.StdEncoding.EncodedLen(maxKey)); err != nil {
		return err
	}
	for _, text := range keys {
		key, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return apierr.BadRequest.New("The query parameter key_base64 must be base64, not %q.", text)
		}
		q.Keys = append(q.Keys, key)
	}
	return nil
}

// queryFrom reads the start of a stream: after the last event that the client has seen, or
// ?from=, or ?timestamp= as for other reads; by default at the end.
func queryFrom(ctx *fasthttp.RequestCtx, q *reader.StreamRead) (err error) {
	if id := ctx.Request.Header.Peek("Last-Event-ID"); len(id) > 0 {
		q.Resume, err = reader.ParsePositions(string(id))
		return err
	}
	args := ctx.QueryArgs()
	if args.Has("timestamp") {
		if args.Has("from") {
			return apierr.BadRequest.New("The query parameters from and timestamp exclude each other.")
		}
		q.Since, err = server.QueryTime(ctx, "timestamp")
		return err
	}
	text, err := server.QueryText(ctx, "from", server.MaxWord)
	if err != nil {
		return err
	}
	switch text {
	case "beginning":
		q.Offset = reader.Beginning
	case "", "end":
		q.Offset = reader.End
	default:
		if offset, err := strconv.ParseInt(text, 10, 64); err == nil && offset >= 0 {
			q.Offset = offset
			return nil
		}
		at, ok := server.ParseISO8601(text)
		if !ok {
			return apierr.BadRequest.New("The query parameter from must be beginning, end, an offset, or an ISO-8601 time such as 2026-01-31T12:00:00Z, not %q.", text)
		}
		q.Since = at
	}
	return nil
}

// lines frames a stream of JSON objects, one per line. An empty line shows that the stream is
// alive.
type lines struct{}

func (lines) Begin(dst []byte, _ *reader.Positions) []byte        { return dst }
func (lines) Open(dst []byte, _ bool, _ *reader.Positions) []byte { return dst }
func (lines) Close(dst []byte) []byte                             { return append(dst, '\n') }
func (lines) Beat(dst []byte, _ *reader.Positions) []byte         { return append(dst, '\n') }

// events frames a stream of server-sent events, each with the id to resume from. A failure is an
// event named failure, because error is the browsers' event for the loss of the connection.
type events struct{}

// Clients that lose this node connect again after retryAfter and up to as long again, so that
// they do not all connect at once.
const retryAfter = time.Second

// Begin gives an id at once. Otherwise a client that has no event yet would lose the connection,
// connect again without an id, and miss the first event in between.
func (events) Begin(dst []byte, at *reader.Positions) []byte {
	dst = server.AppendRetry(dst, retryAfter+rand.N(retryAfter))
	return append(appendID(dst, at), '\n')
}

func (events) Open(dst []byte, failure bool, at *reader.Positions) []byte {
	dst = appendID(dst, at)
	if failure {
		return server.OpenEvent(dst, "failure")
	}
	return server.OpenEvent(dst, "")
}

func (events) Close(dst []byte) []byte { return server.CloseEvent(dst) }

// Beat carries the id, which advances where records are filtered out.
func (events) Beat(dst []byte, at *reader.Positions) []byte {
	return server.AppendBeat(appendID(dst, at))
}

// appendID appends a line with the id, if any.
func appendID(dst []byte, at *reader.Positions) []byte {
	if at == nil {
		return dst
	}
	return append(at.Append(append(dst, "id: "...)), '\n')
}
