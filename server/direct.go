package server

import (
	"context"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/consumer"
	"millrace/internal/apierr"
)

const partitionPath = "/topics/{topic}/partitions/{partition}"

// directRoutes read records without a consumer instance.
var directRoutes = []route{
	{"GET", partitionPath + "/records", ownAnswer, (*Server).partitionRecords},
	{"GET", partitionPath + "/messages", ownAnswer, (*Server).partitionMessages},
}

// GET …/partitions/{partition}/records, v2: from ?offset= or ?timestamp= on.
func (s *Server) partitionRecords(ctx *fasthttp.RequestCtx) error {
	o, err := s.readOptions(ctx)
	if err != nil {
		return err
	}
	return s.direct(ctx, v2, consumer.DirectRead{ReadOptions: o})
}

// GET …/partitions/{partition}/messages, the simple consumer of v1: ?count=
// records from ?offset= on.
func (s *Server) partitionMessages(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaV1) // for errors
	count, err := queryInt(ctx, "count", 1)
	if err != nil {
		return err
	}
	if count < 1 {
		return apierr.BadRequest.New("The query parameter count must be at least 1.")
	}
	dialect, err := s.acceptedDialect(ctx)
	if err != nil {
		return err
	}
	return s.direct(ctx, v1, consumer.DirectRead{
		Count:       count,
		ReadOptions: consumer.ReadOptions{Layout: codec.NoTopic, Dialect: dialect},
	})
}

// direct reads from the path's partition, from where the query says, in the
// format that Accept names.
func (s *Server) direct(ctx *fasthttp.RequestCtx, v version, q consumer.DirectRead) error {
	var err error
	if q.Format, err = s.negotiateFormat(ctx, v); err != nil {
		return err
	}
	if q.Topic, err = pathParam(ctx, "topic"); err != nil {
		return err
	}
	if q.Partition, err = pathPartition(ctx); err != nil {
		return err
	}
	if err := queryStart(ctx, v, &q); err != nil {
		return err
	}
	if err := s.deps.Metadata.Healthy(); err != nil { // now, not after the time-out
		return err
	}
	return waitFor(ctx, func(life context.Context, dst []byte) ([]byte, error) {
		return s.deps.Consumers.AppendDirect(life, dst, q)
	})
}

// queryStart reads where a direct read begins: ?offset=, or in v2 ?timestamp=,
// in milliseconds since 1970 or as ISO-8601.
func queryStart(ctx *fasthttp.RequestCtx, v version, q *consumer.DirectRead) error {
	args := ctx.QueryArgs()
	byTime := v == v2 && args.Has("timestamp")
	switch {
	case byTime && args.Has("offset"):
		return apierr.BadRequest.New("The query parameters offset and timestamp exclude each other.")
	case byTime:
		var err error
		q.Since, err = queryTime(ctx, "timestamp")
		return err
	case !args.Has("offset"):
		return apierr.Unprocessable.New("The query parameter offset is required: the offset of the first record.")
	}
	text, err := queryText(ctx, "offset", maxWord)
	if err != nil {
		return err
	}
	offset, err := strconv.ParseInt(text, 10, 64)
	if err != nil || offset < 0 {
		return apierr.BadRequest.New("The query parameter offset must be a whole number from 0 on, not %q.", text)
	}
	q.Offset = offset
	return nil
}

// queryTime is a time in the query: milliseconds since 1970, or ISO-8601.
func queryTime(ctx *fasthttp.RequestCtx, name string) (time.Time, error) {
	text, err := queryText(ctx, name, maxWord)
	if err != nil {
		return time.Time{}, err
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 {
		return time.UnixMilli(ms), nil
	}
	at, ok := parseISO8601(text)
	if !ok {
		return at, apierr.BadRequest.New("The query parameter %s must be a number of milliseconds since 1970 or an ISO-8601 time such as 2026-01-31T12:00:00Z, not %q.", name, text)
	}
	return at, nil
}
