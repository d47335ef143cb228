package rest

import (
	"context"
	"strconv"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/reader"
	"millrace/server"
)

const partitionPath = "/topics/{topic}/partitions/{partition}"

// Direct is the resource that reads records without a consumer instance.
type Direct struct {
	media  *Media
	cache  *metadata.Cache
	reader *reader.Reader
}

// NewDirect returns the resource. The cache reports whether a broker can be reached.
func NewDirect(m *Media, cache *metadata.Cache, r *reader.Reader) *Direct {
	return &Direct{m, cache, r}
}

// Routes returns the resource's routes.
func (d *Direct) Routes() []server.Route {
	return []server.Route{
		{Method: "GET", Path: partitionPath + "/records", Query: server.Query{Known: directQuery, Only: true}, Waits: true, Action: server.Consume, Resource: server.Topic, Handle: d.records},
		{Method: "GET", Path: partitionPath + "/messages", Query: server.Query{Known: []string{"offset", "count"}}, Waits: true, Action: server.Consume, Resource: server.Topic, Handle: d.messages},
	}
}

// directQuery are the query parameters of a direct read of v2.
var directQuery = append([]string{"offset", "timestamp"}, readQuery...)

// records handles GET …/partitions/{partition}/records, v2: from ?offset= or ?timestamp=.
func (d *Direct) records(ctx *fasthttp.RequestCtx) error {
	o, err := d.media.readOptions(ctx)
	if err != nil {
		return err
	}
	tellCap(ctx, o.Timeout, d.reader.RequestTimeout())
	return d.read(ctx, v2, reader.DirectRead{Timeout: o.Timeout, NoWait: o.NoWait, MaxBytes: o.MaxBytes, Show: o.Show})
}

// messages handles GET …/partitions/{partition}/messages, the simple consumer of v1: ?count=
// records from ?offset=.
func (d *Direct) messages(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaV1) // for errors
	count, err := server.QueryInt(ctx, "count", 1)
	if err != nil {
		return err
	}
	if count < 1 {
		return apierr.BadRequest.New("The query parameter count must be at least 1.")
	}
	dialect, err := d.media.acceptedDialect(ctx)
	if err != nil {
		return err
	}
	return d.read(ctx, v1, reader.DirectRead{
		Count: count,
		Show:  reader.Show{Layout: codec.NoTopic, Dialect: dialect},
	})
}

// read reads from the path's partition, from the position in the query, in the format that Accept
// names.
func (d *Direct) read(ctx *fasthttp.RequestCtx, v version, q reader.DirectRead) error {
	var err error
	if q.Format, err = d.media.negotiateFormat(ctx, v); err != nil {
		return err
	}
	if q.Topic, err = server.PathParam(ctx, "topic"); err != nil {
		return err
	}
	if q.Partition, err = pathPartition(ctx); err != nil {
		return err
	}
	if err := queryStart(ctx, v, &q); err != nil {
		return err
	}
	if err := d.cache.Healthy(); err != nil { // at once, not after the time-out
		return err
	}
	return server.Wait(ctx, func(life context.Context, dst []byte) ([]byte, error) {
		return d.reader.Append(life, dst, q)
	})
}

// queryStart reads the start of a direct read: ?offset=, or in v2 ?timestamp=, in milliseconds
// since 1970 or as ISO-8601.
func queryStart(ctx *fasthttp.RequestCtx, v version, q *reader.DirectRead) error {
	args := ctx.QueryArgs()
	byTime := v == v2 && args.Has("timestamp")
	switch {
	case byTime && args.Has("offset"):
		return apierr.BadRequest.New("The query parameters offset and timestamp exclude each other.")
	case byTime:
		var err error
		q.Since, err = server.QueryTime(ctx, "timestamp")
		return err
	case !args.Has("offset"):
		return apierr.Unprocessable.New("The query parameter offset is required: the offset of the first record.")
	}
	text, err := server.QueryText(ctx, "offset", server.MaxWord)
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
